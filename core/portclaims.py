"""Ports of this host held for containers, by sockets bound in the engine.

The firewall would happily take a port from under a program that listens on it; a bound socket
makes the kernel refuse whoever comes second, in either order. It costs 6 µs and one descriptor.
"""

from __future__ import annotations

import contextlib
import errno
import itertools
import socket
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import psutil

from ..host.errors import BayError, InvalidError
from .portspecs import PortSpec

_KINDS = {
    "tcp": (socket.SOCK_STREAM, socket.IPPROTO_TCP),
    "udp": (socket.SOCK_DGRAM, socket.IPPROTO_UDP),
    "sctp": (socket.SOCK_STREAM, socket.IPPROTO_SCTP),
}
# What a host without IPv6, or one whose kernel lacks SCTP, answers.
_LACKING = (errno.EAFNOSUPPORT, errno.EADDRNOTAVAIL, errno.EPROTONOSUPPORT, errno.ESOCKTNOSUPPORT)


class PortTakenError(BayError):
    """Docker's sentence for a port that somebody has; `owner` if that is a container of ours.

    `process_on` tells of others.
    """

    def __init__(self, protocol: str, host: str, port: int, owner: str) -> None:
        self.protocol, self.port, self.owner = protocol, port, owner
        shown = f"[{host}]" if ":" in host else host
        text = f"Bind for {shown}:{port} failed: port is already allocated"
        super().__init__(f"{text} ({owner})" if owner else text)


@dataclass
class Claim:
    """One held port. `socket` is None where the kernel has no such protocol to reserve it in."""

    protocol: str
    host: str
    port: int
    target_port: int
    socket: socket.socket | None

    def close(self) -> None:
        """Let go of the port."""
        if self.socket is not None:
            self.socket.close()


class PortClaims:
    """All claims, by container id. Belongs to the event loop's thread; nothing here waits."""

    def __init__(self) -> None:
        self._held: dict[str, list[Claim]] = {}
        self._cursor = 0

    def claim(self, container: str, specs: list[PortSpec], hosts: list[str]) -> list[Claim]:
        """Hold a port for each spec; all or none.

        `hosts` are the addresses a spec without one stands for. Raises PortTakenError, or
        InvalidError for an address this host does not have.
        """
        made: list[Claim] = []
        try:
            for spec in specs:
                made += self._one(spec, hosts)
        except BaseException:
            for claim in made:
                claim.close()
            raise
        self._held.setdefault(container, []).extend(made)
        return made

    def adopt(self, container: str, protocol: str, host: str, port: int, target: int) -> bool:
        """Hold a port again after a restart of the engine; False when somebody took it."""
        try:
            bound = _bind(protocol, host, port)
        except OSError:
            return False
        self._held.setdefault(container, []).append(Claim(protocol, host, port, target, bound))
        return True

    def of(self, container: str) -> list[Claim]:
        """What is held for a container."""
        return self._held.get(container, [])

    def release(self, container: str) -> None:
        """Let go of all that is held for a container."""
        for claim in self._held.pop(container, []):
            claim.close()

    def close(self) -> None:
        """Let go of everything."""
        for container in list(self._held):
            self.release(container)

    def holder(self, protocol: str, port: int) -> str | None:
        """The id of the container that has this port, on whatever address."""
        for container, claims in self._held.items():
            if any((claim.protocol, claim.port) == (protocol, port) for claim in claims):
                return container
        return None

    def _one(self, spec: PortSpec, hosts: list[str]) -> list[Claim]:
        chosen = [spec.host] if spec.host else hosts
        error: OSError | None = None
        for port in self._candidates(spec):
            made: list[Claim] = []
            try:
                for host in chosen:
                    claim = _claim(spec, host, port, needed=host == chosen[0])
                    if claim is not None:
                        made.append(claim)
                if not spec.low:
                    self._cursor = port
                return made
            except OSError as failure:
                for claim in made:
                    claim.close()
                if failure.errno == errno.EADDRNOTAVAIL:
                    raise InvalidError(
                        f"cannot publish on {chosen[0]}: this host has no such address"
                    ) from None
                if failure.errno != errno.EADDRINUSE:
                    raise
                error = failure
        if spec.low == spec.high and spec.low:
            owner = self._owner(spec.protocol, spec.low)
            raise PortTakenError(spec.protocol, chosen[0], spec.low, owner) from error
        raise BayError(
            f"all ports are allocated: none of {spec.low or 'the ephemeral range'}"
            f"{f'-{spec.high}' if spec.low else ''} is free for {spec.port}/{spec.protocol}"
        )

    def _candidates(self, spec: PortSpec) -> Iterable[int]:
        if spec.low:
            return range(spec.low, spec.high + 1)
        low, high = _ephemeral_range()
        start = max(low, self._cursor + 1)
        return itertools.chain(range(start, high + 1), range(low, min(start, high + 1)))

    def _owner(self, protocol: str, port: int) -> str:
        container = self.holder(protocol, port)
        return f"container {container[:12]} has it" if container is not None else ""


def _claim(spec: PortSpec, host: str, port: int, *, needed: bool) -> Claim | None:
    """A held port; None when an address that is not `needed` cannot be had on this host."""
    bound = None
    try:
        bound = _bind(spec.protocol, host, port)
    except OSError as error:
        if error.errno in _LACKING and not needed:
            return None
        if error.errno != errno.EPROTONOSUPPORT:
            raise
    return Claim(spec.protocol, host, port, spec.port, bound)


def _bind(protocol: str, host: str, port: int) -> socket.socket:
    kind, number = _KINDS[protocol]
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    made = socket.socket(family, kind | socket.SOCK_CLOEXEC, number)
    try:
        if family == socket.AF_INET6:
            made.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
        if protocol != "udp":
            # With it the TIME_WAIT remains of an ended program do not count; taken back after the
            # bind, it makes others' listen() fail.
            made.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        made.bind((host, port))
        made.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 0)
    except BaseException:
        made.close()
        raise
    return made


def _ephemeral_range() -> tuple[int, int]:
    text = Path("/proc/sys/net/ipv4/ip_local_port_range").read_text(encoding="ascii")
    low, high = text.split()
    return int(low), int(high)


def process_on(protocol: str, port: int) -> str:
    """Who has the port, as "nginx, pid 123, has it"; "" when that cannot be told.

    Blocks: it looks through the descriptors of every process.
    """
    with contextlib.suppress(psutil.Error, OSError):
        for connection in psutil.net_connections("udp" if protocol == "udp" else "tcp"):
            listens = protocol == "udp" or connection.status == psutil.CONN_LISTEN
            if listens and connection.laddr and connection.laddr.port == port and connection.pid:
                name = psutil.Process(connection.pid).name()
                return f"{name}, pid {connection.pid}, has it"
    return ""
