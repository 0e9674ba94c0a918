"""A small shop on an engine: real containers that really do something, for screenshots.

Everything is made from the engine's own starter image, so no registry is needed.
"""

from __future__ import annotations

import contextlib
import time
from typing import Any

from bayplan.client.client import Client
from bayplan.host.errors import BayError, NotFoundError

LABEL = {"bay.demo": "shop"}
_WEB = (
    "mkdir -p /www; echo ok > /www/index.html; httpd -p 80 -h /www; i=0; while :; do i=$((i+1));"
    ' echo "10.0.0.$((i % 40 + 2)) GET /cart/$i 200 $((i * 7 % 90 + 3))ms";'
    ' [ $((i % 9)) = 0 ] && echo "upstream api: timed out after 500ms, retrying ($i)" >&2;'
    " sleep 0.4; done"
)
_BUSY = "while :; do i=0; while [ $i -lt {0} ]; do i=$((i+1)); done; sleep {1}; done"
_CONTAINERS: tuple[tuple[str, str, str, dict[str, Any]], ...] = (
    ("web", "shop/web:2.1", _WEB, {"ports": {"80/tcp": "18080"}, "network": "shop"}),
    ("api", "shop/api:1.9", _BUSY.format(30000, 0.2), {"network": "shop", "memory": 256 << 20}),
    ("worker", "shop/api:1.9", _BUSY.format(90000, 0.5), {"network": "shop"}),
    (
        "db",
        "shop/db:16",
        "dd if=/dev/zero of=/data/pages bs=1M count=24; sleep 9999",
        {"network": "shop", "binds": ["shop-data:/data"], "health": True},
    ),
    ("console", "starter:latest", "", {"tty": True}),
    ("migrate", "shop/api:1.9", "echo applied 12 migrations; exit 0", {"network": "shop"}),
    ("import", "shop/db:16", "echo 'cannot read dump: no such file' >&2; exit 3", {}),
)


def build(client: Client) -> None:
    """Make the shop's images, network, volume and containers, and start them."""
    _image(client, "starter:latest", "shop/web", "2.1", 3)
    _image(client, "shop/web:2.1", "shop/api", "1.9", 11)
    _image(client, "starter:latest", "shop/db", "16", 38)
    client.post("/networks/create", {"Name": "shop", "Labels": LABEL})
    client.post("/volumes/create", {"Name": "shop-data", "Labels": LABEL})
    client.post("/volumes/create", {"Name": "old-data", "Labels": LABEL})
    for name, image, script, extra in _CONTAINERS:
        _container(client, name, image, script, extra)
    for name in ("migrate", "import"):
        client.post(f"/containers/{name}/wait")


def _image(client: Client, base: str, repository: str, tag: str, megabytes: int) -> None:
    script = f"dd if=/dev/urandom of=/srv-{tag} bs=1M count={megabytes}"
    body = {"Image": base, "Cmd": ["sh", "-c", script], "Labels": LABEL}
    made = client.post("/containers/create", body)["Id"]
    client.post(f"/containers/{made}/start")
    client.post(f"/containers/{made}/wait")
    config = {"Cmd": ["sh"], "Labels": LABEL}
    comment = f"{repository} {tag}"
    client.call(
        "POST",
        "/commit",
        {"container": made, "repo": repository, "tag": tag, "comment": comment},
        config,
    )
    client.delete(f"/containers/{made}", force=True)


def _container(client: Client, name: str, image: str, script: str, extra: dict[str, Any]) -> None:
    host: dict[str, Any] = {"Memory": extra.get("memory", 0), "Binds": extra.get("binds", [])}
    if "network" in extra:
        host["NetworkMode"] = extra["network"]
    ports = extra.get("ports", {})
    host["PortBindings"] = {key: [{"HostPort": value}] for key, value in ports.items()}
    body: dict[str, Any] = {
        "Image": image,
        "Labels": LABEL,
        "HostConfig": host,
        "ExposedPorts": {key: {} for key in ports},
        "Tty": bool(extra.get("tty")),
        "OpenStdin": bool(extra.get("tty")),
        "StopSignal": "SIGKILL",
    }
    if script:
        body["Cmd"] = ["sh", "-c", script]
    if extra.get("health"):
        body["Healthcheck"] = {"Test": ["CMD", "true"], "Interval": 2_000_000_000}
    client.call("POST", "/containers/create", {"name": name}, body)
    client.post(f"/containers/{name}/start")


def settle(client: Client, seconds: float) -> None:
    """Let the engine gather samples until the oldest container has that many seconds of them."""
    deadline = time.monotonic() + seconds + 30
    while time.monotonic() < deadline:
        reply = client.get("/bay/samples", seconds=int(seconds) + 5)
        if max((len(one["time"]) for one in reply["containers"].values()), default=0) >= seconds:
            return
        time.sleep(0.5)
    raise TimeoutError(f"no {seconds} seconds of samples")


def clear(client: Client) -> None:
    """Remove all of it."""
    for name, *_ in _CONTAINERS:
        with contextlib.suppress(NotFoundError):
            client.delete(f"/containers/{name}", force=True, v=True)
    for path in (
        "/networks/shop",
        "/volumes/shop-data",
        "/volumes/old-data",
        "/images/shop/api:1.9",
        "/images/shop/web:2.1",
        "/images/shop/db:16",
    ):
        with contextlib.suppress(BayError):
            client.delete(path)
