"""The engine's name servers: one per container that is told to ask 127.0.0.11."""

from __future__ import annotations

import hashlib
import logging
import socket
from collections.abc import Awaitable, Callable
from pathlib import Path

from ..host.errors import BayError, NotFoundError
from ..host.threads import offload
from ..netns import dnsforward, dnsserver, dnswire
from ..netns.dnsserver import DnsServer, Sockets
from ..netns.dnswire import Query
from ..netns.namespace import Namespace
from . import etcfiles, resolvers
from .netkernel import NetKernel, whole
from .netnames import Names
from .types import Container

_log = logging.getLogger(__name__)

# Short: a container that moves is found again at once by programs that cache.
_TTL = 10
# Replies a container has ready: as many as names it asks again and again.
_KEPT = 256


class Dns:
    """All of them, by container. Belongs to the event loop's thread."""

    def __init__(self, kernel: NetKernel, names: Names) -> None:
        self._kernel = kernel
        self._names = names
        self._servers: dict[str, DnsServer] = {}

    async def ensure(self, container: Container) -> None:
        """Serve the container, if its resolv.conf leads here. Raises BayError when that fails."""
        if container.id in self._servers:
            return
        host = await offload(resolvers.of_host)
        if not etcfiles.uses_embedded(container, host):
            return
        path = self._kernel.path(container.id)
        try:
            sockets = await whole(offload(_open, path, _preferred_port(container.id)))
        except OSError as error:
            raise BayError(f"no name server for container {container.name}: {error}") from error
        self.serve(container, sockets)

    def opener(self, container: Container) -> Callable[[Namespace], Sockets | None]:
        """What opens its sockets inside its new namespace, in a thread; for `serve`.

        None without a name server, as `ensure` has it. Raises BayError.
        """
        preferred = _preferred_port(container.id)

        def work(inside: Namespace) -> Sockets | None:
            if not etcfiles.uses_embedded(container, resolvers.of_host()):
                return None
            try:
                return dnsserver.open_sockets(inside, preferred)
            except OSError as error:
                raise BayError(f"no name server for container {container.name}: {error}") from error

        return work

    def serve(self, container: Container, sockets: Sockets) -> None:
        """Answer on these sockets until the container is dropped."""
        asked = _Asked(container, self._names, self._kernel.path(container.id))
        self._servers[container.id] = DnsServer(sockets, asked)

    def drop(self, container: str) -> None:
        """Serve it no longer; its namespace is let go."""
        server = self._servers.pop(container, None)
        if server is not None:
            server.close()

    def close(self) -> None:
        """Serve nobody; the next engine opens the sockets again."""
        for container in list(self._servers):
            self.drop(container)


class _Asked:
    """Answers what one container asks: names of its networks here, the rest by forwarding."""

    def __init__(self, container: Container, names: Names, namespace: Path) -> None:
        self._container = container
        self._names = names
        self._namespace = namespace
        self._answered: dict[bytes, tuple[object, bytes]] = {}

    def known(self, data: bytes) -> bytes | None:
        """The reply to the same question, while nothing about its networks has changed."""
        kept = self._answered.get(data[2:])
        if kept is None or kept[0] != self._names.state_of(self._container.id):
            return None
        return data[:2] + kept[1]

    def _keep(self, query: Query, reply: bytes) -> bytes:
        if len(self._answered) >= _KEPT:
            self._answered.clear()
        self._answered[query.raw[2:]] = self._names.state_of(self._container.id), reply[2:]
        return reply

    def __call__(self, query: Query, stream: bool) -> bytes | Awaitable[bytes]:
        limit = 65535 if stream else query.limit
        key = self._container.id
        if query.kind == dnswire.PTR:
            address = dnswire.reverse_address(query.name)
            name = self._names.name_of(key, address) if address else None
            if name is not None:
                return dnswire.answer(query, [name], _TTL, limit=limit)
        else:
            version = 6 if query.kind == dnswire.AAAA else 4
            found = self._names.addresses(key, query.name, version)
            if found is not None:
                # The name is ours: what it lacks here exists nowhere, least of all outside.
                records = found if query.kind in (dnswire.A, dnswire.AAAA) else []
                reply = dnswire.answer(query, records, _TTL, limit=limit)
                # Several are in another order each time.
                return self._keep(query, reply) if len(records) < 2 and not stream else reply
        if self._stays_here(query):
            return dnswire.answer(query, [], 0, code=dnswire.NXDOMAIN)
        return self._forward(query, stream)

    def _stays_here(self, query: Query) -> bool:
        """A single name, when the user set ndots: the client goes on with its search domains."""
        options = self._container.host_config.get("DnsOptions") or []
        ndots = [option[6:] for option in options if option.startswith("ndots:")]
        return bool(ndots) and ndots[-1] != "0" and "." not in query.name

    async def _forward(self, query: Query, stream: bool) -> bytes:
        """Ask the `--dns` servers from the container's side, or the host's from the host's.

        A container on internal networks only gets no answer from the host's: names could carry
        data out.
        """
        own: list[str] = self._container.host_config.get("Dns") or []
        if own:
            servers, opener = own, self._open_inside
        elif self._names.has_way_out(self._container.id):
            servers, opener = (await offload(resolvers.of_host)).servers, dnsforward.open_here
        else:
            servers, opener = [], dnsforward.open_here
        reply = await dnsforward.ask(query, servers, opener, stream=stream)
        if reply is None:
            return dnswire.answer(query, [], 0, code=dnswire.SERVFAIL)
        return reply

    async def _open_inside(self, family: int, kind: int) -> socket.socket:
        def work() -> socket.socket:
            with Namespace.open(self._namespace) as inside:
                return inside.run(lambda: socket.socket(family, kind | socket.SOCK_CLOEXEC))

        return await offload(work)


def _open(path: Path, preferred: int) -> dnsserver.Sockets:
    try:
        with Namespace.open(path) as inside:
            return dnsserver.open_sockets(inside, preferred)
    except FileNotFoundError:
        raise NotFoundError(f"network namespace {path} is gone") from None


def _preferred_port(container: str) -> int:
    """A port that is the same after a restart of the engine; above the ephemeral ones."""
    digest = hashlib.sha256(container.encode()).digest()
    return 61000 + int.from_bytes(digest[:2], "big") % 4500
