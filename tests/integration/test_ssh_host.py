"""`-H ssh://` through a real sshd: bay by its own dial-stdio, docker by a link of its name."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from support.engine import BAY, EngineProcess
from support.sshd import Sshd
from support.terminal import Terminal
from support.waiting import wait_until


@dataclass
class Remote:
    """An engine behind ssh; the client's side knows nothing of its socket but by the address."""

    engine: EngineProcess
    server: Sshd
    image: str

    @property
    def address(self) -> str:
        return f"ssh://root@127.0.0.1:{self.server.port}{self.engine.socket}"

    @property
    def environment(self) -> dict[str, str]:
        kept = self.engine.environment
        path = f"{self.server.client_path}:{kept['PATH']}"
        return {**kept, "PATH": path, "BAY_RUN_ROOT": "/nonexistent"}

    def run(
        self, *words: str, program: str | Path = BAY, input: bytes = b"", address: str = ""
    ) -> subprocess.CompletedProcess[bytes]:
        return subprocess.run(
            [str(program), "-H", address or self.address, *words],
            input=input, capture_output=True, env=self.environment, check=False, timeout=240,
        )  # fmt: skip


@pytest.fixture(scope="module")
def remote(
    tmp_path_factory: pytest.TempPathFactory, engine: EngineProcess, busybox_image: str
) -> Iterator[Remote]:
    folder = tmp_path_factory.mktemp("ssh")
    programs = folder / "programs"
    programs.mkdir()
    # As docs/remote.md tells: what docker calls there is ours.
    (programs / "docker").symlink_to(BAY)
    (programs / "bay").symlink_to(BAY)
    engine.pull(busybox_image)
    server = Sshd(folder, f"{programs}:/usr/bin:/bin")
    try:
        yield Remote(engine, server, busybox_image)
    finally:
        server.close()


@pytest.mark.parametrize("program", [BAY, "docker"])
def test_a_container_over_ssh(remote: Remote, program: str | Path) -> None:
    """Exit code, both streams, and a stdin that ends before the output begins."""
    data = os.urandom(300_000)
    script = "wc -c; echo apart >&2; exit 7"
    done = remote.run(
        "run", "-i", "--rm", remote.image, "sh", "-c", script, program=program, input=data
    )
    assert (done.returncode, done.stdout) == (7, b"300000\n"), done.stderr
    assert done.stderr == b"apart\n"


@pytest.mark.parametrize("program", [BAY, "docker"])
def test_a_terminal_over_ssh(remote: Remote, program: str | Path) -> None:
    argv = [program, "-H", remote.address, "run", "-it", "--rm", remote.image, "sh"]
    with Terminal(argv, remote.environment) as shell:
        # An older docker tells the size after the start.
        shell.line("until stty size | grep '^24'; do :; done; echo $((40 + 2))")
        shell.wait_for("24 80\r\n")
        shell.wait_for("42")
        shell.line("exit 5")
        assert shell.wait() == 5


def test_a_connection_that_breaks(remote: Remote) -> None:
    """An exec whose ssh is killed has not succeeded, and what carried it there goes with it."""
    remote.engine.bay("run", "-d", "--name", "silent", remote.image, "sleep", "600", check=True)
    argv = [str(BAY), "-H", remote.address, "exec", "silent", "sleep", "599"]
    child = subprocess.Popen(argv, env=remote.environment, stderr=subprocess.PIPE, text=True)
    try:
        mine = f"{remote.server.folder}/programs/bay".encode()
        wait_until(lambda: "sleep 599" in top(remote), "the command")
        far = {pid for pid, words in commands() if mine in words and b"dial-stdio" in words}
        assert far
        for pid, words in commands():
            if words[0].endswith(b"ssh") and str(remote.server.port).encode() in words:
                os.kill(pid, signal.SIGKILL)
        told = child.communicate(timeout=240)[1]
        assert child.returncode == 1 and "the connection to the engine was lost" in told
        wait_until(lambda: not far & {pid for pid, _ in commands()}, "the far ends are gone")
        assert "sleep 599" in top(remote)
    finally:
        child.kill()
        child.wait()
        remote.engine.remove_containers()


def top(remote: Remote) -> str:
    return remote.engine.bay("top", "silent").stdout


def commands() -> list[tuple[int, list[bytes]]]:
    """Every process that is no zombie, with its words."""
    found = []
    for entry in os.listdir("/proc"):
        with contextlib.suppress(OSError, ValueError):
            words = Path(f"/proc/{int(entry)}/cmdline").read_bytes().split(b"\0")
            if words[0]:
                found.append((int(entry), words))
    return found


def test_what_is_wrong_with_ssh_is_said(remote: Remote) -> None:
    """No server, a socket that is not there, a host without any program for it: a sentence each."""
    done = remote.run("ps", address="ssh://127.0.0.1:1")
    assert done.returncode == 1 and b"ssh failed; what it said is above" in done.stderr
    done = remote.run("ps", address=f"ssh://127.0.0.1:{remote.server.port}/nowhere.sock")
    assert done.returncode == 1 and b"Cannot connect to the engine" in done.stderr
    programs = remote.server.folder / "programs"
    (programs / "bay").rename(programs / "away")
    link = (programs / "docker").readlink()
    try:
        # docker, or podman, passes the bytes on.
        assert remote.run("ps").returncode == 0
        (programs / "docker").unlink()
        (programs / "docker").write_text("#!/bin/sh\nexit 127\n")
        (programs / "docker").chmod(0o755)
        done = remote.run("ps")
    finally:
        (programs / "away").rename(programs / "bay")
        (programs / "docker").unlink()
        (programs / "docker").symlink_to(link)
    assert done.returncode == 1 and b"no `bay`, `docker` or `podman`" in done.stderr
    assert b"Traceback" not in done.stderr
