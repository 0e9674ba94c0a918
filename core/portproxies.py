"""Which published ports the engine copies itself: those with IPv6 at an end, see `netns.proxy`."""

from __future__ import annotations

from ..netns import proxy
from ..netns.proxy import DatagramProxy, StreamProxy
from .netmodel import PortRow
from .portclaims import Claim


class PortProxies:
    """The proxies of every container; belongs to the event loop's thread."""

    def __init__(self) -> None:
        self._running: dict[str, list[StreamProxy | DatagramProxy]] = {}

    def start(self, claims: list[Claim], rows: list[PortRow]) -> None:
        """Serve a container's ports on the sockets that hold them."""
        targets = {(row.protocol, row.host, row.host_port): row for row in rows}
        for claim in claims:
            row = targets.get((claim.protocol, claim.host, claim.port))
            if row is None or claim.socket is None or ":" not in claim.host + row.target:
                continue
            if row.protocol in ("tcp", "udp"):
                made = proxy.start(row.protocol, claim.socket, (row.target, row.target_port))
                self._running.setdefault(row.container, []).append(made)

    def stop(self, container: str) -> None:
        """Serve a container's ports no longer; the sockets stay their owner's."""
        for running in self._running.pop(container, []):
            running.close()

    def close(self) -> None:
        """Serve nobody."""
        for container in list(self._running):
            self.stop(container)
