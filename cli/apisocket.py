"""`run --use-api-socket`: the engine's socket in the container, and the registries' credentials."""

from __future__ import annotations

import io
import tarfile

from ..host import quickjson
from ..host.light import TYPE_CHECKING, Any
from .flags import UsageError

if TYPE_CHECKING:
    from .app import App

Json = dict[str, Any]

_SOCKET = "/var/run/docker.sock"
_FOLDER = "/run/secrets/docker"


def prepare(app: App, body: Json) -> None:
    """Add the mount and the variable to a create request. Raises UsageError."""
    if app.host.kind != "unix":
        raise UsageError(f"--use-api-socket needs an engine on this machine, not {app.host}")
    if any(item.startswith("DOCKER_CONFIG=") for item in body["Env"] or []):
        raise UsageError("--use-api-socket sets DOCKER_CONFIG itself: leave it out of --env")
    mount = {"Type": "bind", "Source": app.host.path, "Target": _SOCKET}
    body["HostConfig"].setdefault("Mounts", []).append(mount)
    if app.config.values.get("auths"):
        body["Env"] = [*(body["Env"] or []), f"DOCKER_CONFIG={_FOLDER}"]


def hand_on(app: App, container: str) -> None:
    """Put the credentials into the container that was created."""
    auths = app.config.values.get("auths")
    if not auths:
        return
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w") as archive:
        above = ""
        for part in _FOLDER.strip("/").split("/"):
            above = f"{above}/{part}".lstrip("/")
            folder = tarfile.TarInfo(above)
            folder.type, folder.mode = tarfile.DIRTYPE, 0o755
            archive.addfile(folder)
        data = quickjson.dumps({"auths": auths}).encode()
        entry = tarfile.TarInfo(f"{above}/config.json")
        entry.size, entry.mode = len(data), 0o600
        archive.addfile(entry, io.BytesIO(data))
    headers = {"Content-Type": "application/x-tar"}
    path = f"/containers/{container}/archive"
    with app.client.open("PUT", path, {"path": "/"}, out.getvalue(), headers):
        pass
