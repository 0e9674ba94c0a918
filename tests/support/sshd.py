"""OpenSSH's server on the loopback with a configuration, keys and a port of its own."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from .ports import free_port
from .waiting import wait_until

SSHD = shutil.which("sshd", path="/usr/sbin:/usr/local/sbin") or "/usr/sbin/sshd"


class Sshd:
    """A server for root's logins by key. `programs` is the PATH of what is run there.

    `client_path` is a folder with an `ssh` that knows the server and the key: OpenSSH's client
    takes neither from $HOME.
    """

    def __init__(self, folder: Path, programs: str) -> None:
        self.folder = folder
        for name in ("host", "user"):
            argv = ["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", str(folder / name)]
            subprocess.run(argv, check=True)
        self.port = free_port()
        (folder / "config").write_text(
            f"Port {self.port}\nListenAddress 127.0.0.1\nHostKey {folder}/host\nUsePAM no\n"
            f"PidFile none\nStrictModes no\nPermitRootLogin yes\nPasswordAuthentication no\n"
            f"AuthorizedKeysFile {folder}/user.pub\nSetEnv PATH={programs}\n"
        )
        key = (folder / "host.pub").read_text()
        (folder / "known_hosts").write_text(f"[127.0.0.1]:{self.port} {key}")
        self.client_path = folder / "bin"
        self.client_path.mkdir()
        script = self.client_path / "ssh"
        script.write_text(
            f"#!/bin/sh\nexec {shutil.which('ssh')} -F none -i {folder}/user"
            f' -o UserKnownHostsFile={folder}/known_hosts -o BatchMode=yes "$@"\n'
        )
        script.chmod(0o755)
        # It wants /run/sshd, which a host without its service has not: a /run of its own.
        inside = 'mount -t tmpfs none /run && mkdir -m 755 /run/sshd && exec "$@"'
        self._log = open(folder / "log", "wb")  # noqa: SIM115 - closed in close()
        self._child = subprocess.Popen(
            ["unshare", "--mount", "sh", "-c", inside, "sh", SSHD, "-D", "-e", "-f",
             str(folder / "config")],
            stdin=subprocess.DEVNULL, stdout=self._log, stderr=self._log,
        )  # fmt: skip
        wait_until(self._answers, "sshd", timeout=240)

    def _answers(self) -> bool:
        assert self._child.poll() is None, (self.folder / "log").read_text()
        try:
            with socket.create_connection(("127.0.0.1", self.port), 60) as probe:
                return probe.recv(4) == b"SSH-"
        except OSError:
            time.sleep(0.02)
            return False

    def close(self) -> None:
        self._child.terminate()
        self._child.wait(timeout=240)
        self._log.close()


@contextmanager
def ssh_agent(socket_path: Path, key: Path | None = None) -> Iterator[Path]:
    """OpenSSH's agent at this socket, which holds a key if one is given."""
    child = subprocess.Popen(["ssh-agent", "-D", "-a", socket_path], stdout=subprocess.DEVNULL)
    try:
        # 1: it answers, and has no keys yet.
        wait_until(lambda: agent_command(socket_path, "-l") in (0, 1), "ssh-agent")
        if key is not None:
            assert agent_command(socket_path, "-q", str(key)) == 0
        yield socket_path
    finally:
        child.terminate()
        child.wait(timeout=240)


def agent_command(socket_path: Path, *words: str) -> int:
    """The exit code of ssh-add with these words."""
    environment = {**os.environ, "SSH_AUTH_SOCK": str(socket_path)}
    argv = ["ssh-add", *words]
    return subprocess.run(argv, env=environment, capture_output=True, check=False).returncode
