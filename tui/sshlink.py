"""Connections over ssh for a screen: nothing is asked on the terminal, one login for all."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path
from typing import TYPE_CHECKING

from ..client.transport import Link, open_ssh, ssh_target

if TYPE_CHECKING:
    from ..client.hosts import Host

# A screen owns the terminal: ssh must not ask there. A dead network is noticed after 15 s.
_PLAIN = (
    *("-o", "BatchMode=yes", "-o", "ConnectTimeout=10"),
    *("-o", "ServerAliveInterval=5", "-o", "ServerAliveCountMax=3"),
)
PERSIST = 30  # seconds that a login outlives its last connection


class Dialled:
    """The ssh processes of one host."""

    def __init__(self, host: Host) -> None:
        self._host = host
        self._options: list[str] | None = None
        self._links: list[Link] = []
        self._said = ""

    def open(self) -> Link:
        """A new connection; blocks for as long as it takes to start ssh."""
        if self._options is None:
            self._options = [*_PLAIN, *_shared(self._host)]
        link = open_ssh(self._host, self._options, subprocess.PIPE)
        assert link.process is not None and link.process.stderr is not None
        os.set_blocking(link.process.stderr.fileno(), False)
        self._links.append(link)
        self._said = ""
        return link

    def close(self, link: Link) -> None:
        """End a connection's process."""
        self._hear(link)
        if link in self._links:
            self._links.remove(link)
        link.close()
        if link.process is not None and link.process.stderr is not None:
            link.process.stderr.close()

    def reason(self) -> str:
        """Why ssh, or the other host, refused the last connection; "" when they said nothing."""
        for link in list(self._links):
            self._hear(link)
        return self._said

    def _hear(self, link: Link) -> None:
        stream = link.process.stderr if link.process is not None else None
        if stream is None or stream.closed:
            return
        try:
            lines = os.read(stream.fileno(), 65536).decode(errors="replace").split("\n")
        except OSError:
            return
        words = [line.strip() for line in lines if line.strip()]
        if words:
            self._said = words[-1]
        if "not found" in self._said and "bay" in self._said:
            self._said = "it has no `bay`, `docker` or `podman` in its PATH for commands over ssh"


def _shared(host: Host) -> list[str]:
    """Options by which all connections share one login, where the user's own do not do so."""
    argv = ["ssh", "-G", *ssh_target(host)]
    try:
        done = subprocess.run(argv, capture_output=True, text=True, timeout=10, check=False)
    except (OSError, subprocess.TimeoutExpired):
        return []
    chosen = [line for line in done.stdout.splitlines() if line.startswith("controlpath ")]
    if chosen and not chosen[0].endswith(" none"):
        return []
    state = os.environ.get("XDG_STATE_HOME") or os.path.expanduser("~/.local/state")
    folder = Path(state) / "bay" / "ssh"
    try:
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    except OSError:
        return []  # then each connection is a login
    if len(os.fsencode(folder)) > 45:  # %C is 40 bytes, ssh's own suffix 17, a socket's path 107
        return []
    sharing = ("ControlMaster=auto", f"ControlPath={folder}/%C", f"ControlPersist={PERSIST}")
    return [word for one in sharing for word in ("-o", one)]
