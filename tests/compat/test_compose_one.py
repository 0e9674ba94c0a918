"""docker-compose 1.29, in Python, as Debian has it: it reads fields that newer clients do not."""

from __future__ import annotations

import os
import re
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from support.engine import EngineProcess
from support.waiting import wait_until

Compose = Callable[..., str]
PROJECT = "cmone"
SERVICES = """
version: "2.4"
services:
  web:
    image: {image}
    command: ["sh", "-c", "echo hello > /data/index.html; exec httpd -f -p 80 -h /data"]
    volumes: ["data:/data", "/anonymous"]
    networks: {{inner: {{aliases: [www]}}}}
    ports: ["127.0.0.1::80"]
    stop_signal: SIGKILL
    healthcheck: {{test: ["CMD", "wget", "-qO-", "http://127.0.0.1/"], interval: 1s}}
  client:
    image: {image}
    command: ["sh", "-c", "echo WORD $$(wget -qO- http://www/); exec sleep 600"]
    depends_on: {{web: {{condition: service_healthy}}}}
    networks: [inner]
    stop_signal: SIGKILL
networks: {{inner: {{}}}}
volumes: {{data: {{}}}}
"""


@pytest.fixture
def compose(engine: EngineProcess, busybox_image: str, tmp_path: Path) -> Iterator[Compose]:
    """`compose("up", "-d")`: what both streams say; everything is taken down after."""
    engine.pull(busybox_image)
    (tmp_path / "docker-compose.yml").write_text(SERVICES.format(image=busybox_image))
    environment = {**engine.environment, "DOCKER_HOST": engine.host, "COMPOSE_HTTP_TIMEOUT": "180"}
    environment["COLUMNS"] = "200"  # its tables break lines where there is less room
    # It is of the system's Python: nothing of this one's.
    environment = {k: v for k, v in environment.items() if k not in ("PYTHONPATH", "PYTHONHOME")}
    path = [folder for folder in os.get_exec_path() if ".venv" not in folder]

    def run(*arguments: str) -> str:
        argv = ["docker-compose", "--ansi", "never", "--project-name", PROJECT, *arguments]
        done = subprocess.run(
            argv,
            cwd=tmp_path,
            env={**environment, "PATH": ":".join(path)},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=240,
            check=False,
        )
        assert done.returncode == 0, f"{argv}\n{done.stdout}{engine.tail(20)}"
        return done.stdout

    yield run
    run("down", "-v", "--timeout", "1")


def ids(engine: EngineProcess) -> dict[str, str]:
    """The project's containers: id by name."""
    rows = engine.api("GET", "/containers/json?all=1").json()
    named = ((row["Names"][0].lstrip("/"), row["Id"]) for row in rows)
    return {name: key for name, key in named if name.startswith(f"{PROJECT}_")}


def test_up_again_recreate_scale_down(
    engine: EngineProcess, compose: Compose, tmp_path: Path
) -> None:
    """What is up to date stays, what changed is made anew, `down -v` leaves nothing."""
    compose("up", "-d")
    first = ids(engine)
    assert first.keys() == {f"{PROJECT}_web_1", f"{PROJECT}_client_1"}
    log = lambda *words: compose("logs", "--no-color", *words, "client")  # noqa: E731
    wait_until(lambda: "client_1  | WORD hello" in log(), "the client's word")
    assert re.search(r"web_1 .*Up \(healthy\) +127\.0\.0\.1:\d+->80/tcp", compose("ps"))

    assert compose("up", "-d").count("is up-to-date") == 2
    assert ids(engine) == first

    compose("up", "-d", "--force-recreate")
    second = ids(engine)
    assert second.keys() == first.keys() and not set(second.values()) & set(first.values())
    assert compose("exec", "-T", "client", "wget", "-qO-", "http://web/") == "hello\n"

    compose("up", "-d", "--scale", "client=3")
    third = ids(engine)
    assert len(third) == 4 and second.items() <= third.items()
    compose("up", "-d", "--scale", "client=1")
    assert ids(engine) == second

    file = tmp_path / "docker-compose.yml"
    file.write_text(file.read_text().replace("WORD", "CHANGED"))
    compose("up", "-d")
    changed = ids(engine)
    assert changed[f"{PROJECT}_web_1"] == second[f"{PROJECT}_web_1"]
    assert changed[f"{PROJECT}_client_1"] != second[f"{PROJECT}_client_1"]
    wait_until(lambda: "CHANGED hello" in log("--tail", "1"), "the new client's word")

    compose("restart", "--timeout", "0", "client")
    compose("stop", "--timeout", "0")
    compose("start")
    compose("down", "-v", "--timeout", "1")
    assert ids(engine) == {}
    names = [row["Name"] for row in engine.api("GET", "/networks").json()]
    names += [row["Name"] for row in engine.api("GET", "/volumes").json()["Volumes"]]
    assert not [name for name in names if name.startswith(PROJECT)]
