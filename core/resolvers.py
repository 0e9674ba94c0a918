"""The host's own resolver configuration, resolv.conf(5)."""

from __future__ import annotations

from dataclasses import dataclass, field
from ipaddress import ip_address
from pathlib import Path

from ..host import files

_FILE = Path("/etc/resolv.conf")
# systemd-resolved keeps the servers it forwards to here; /etc/resolv.conf names only itself.
_RESOLVED = Path("/run/systemd/resolve/resolv.conf")


@dataclass
class ResolvConf:
    """A resolv.conf: servers, search domains and options, in their order."""

    servers: list[str] = field(default_factory=list)
    search: list[str] = field(default_factory=list)
    options: list[str] = field(default_factory=list)

    def render(self) -> str:
        """The file's text."""
        lines = [f"nameserver {server}" for server in self.servers]
        if self.search:
            lines.append("search " + " ".join(self.search))
        if self.options:
            lines.append("options " + " ".join(self.options))
        return "".join(line + "\n" for line in lines)

    def reachable(self, *, ipv6: bool) -> list[str]:
        """The servers a container with its own loopback, with IPv6 or without it, can reach."""
        return [
            server
            for server in self.servers
            if not is_loopback(server) and (ipv6 or ":" not in server)
        ]


def parse(text: str) -> ResolvConf:
    """Read a resolv.conf; what is no server, search list or option is left out."""
    result = ResolvConf()
    for line in text.splitlines():
        words = line.split("#")[0].split(";")[0].split()
        if len(words) < 2:
            continue
        if words[0] == "nameserver" and _is_address(words[1]):
            result.servers.append(words[1])
        elif words[0] in ("search", "domain"):
            result.search = words[1:]
        elif words[0] == "options":
            result.options += words[1:]
    return result


def of_host() -> ResolvConf:
    """The host's configuration; behind systemd-resolved, the servers it forwards to."""
    own = parse(files.read_text(_FILE, ""))
    if own.servers and all(server in ("127.0.0.53", "127.0.0.54") for server in own.servers):
        behind = parse(files.read_text(_RESOLVED, ""))
        if behind.servers:
            return behind
    return own


def is_loopback(server: str) -> bool:
    """Whether that server is this machine, seen from itself."""
    return ip_address(server.partition("%")[0]).is_loopback


def _is_address(text: str) -> bool:
    try:
        ip_address(text.partition("%")[0])
    except ValueError:
        return False
    return True
