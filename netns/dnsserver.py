"""The resolver at 127.0.0.11 of one container: sockets inside its namespace, served by the engine.

Port 53 stays free for the container's own use: a rule in its namespace leads 127.0.0.11:53 to the
ports these sockets have. Sockets on the bridge instead would be cut off by any firewall of the
host that drops input.
"""

from __future__ import annotations

import asyncio
import contextlib
import socket
from collections.abc import Awaitable
from dataclasses import dataclass
from typing import Protocol

from ..host.acceptor import Acceptor
from . import dnsrules, dnswire
from .dnswire import Query
from .namespace import Namespace

ADDRESS = "127.0.0.11"
_IDLE = 10.0
_BUSY = 512


class Handler(Protocol):
    """What answers: `query` came by stream (TCP) or not; the reply is there at once, or later."""

    def __call__(self, query: Query, stream: bool) -> bytes | Awaitable[bytes]:
        """The reply."""

    def known(self, data: bytes) -> bytes | None:
        """The reply to a datagram that was answered before, if that is still true."""


@dataclass(frozen=True)
class Sockets:
    """The bound sockets, one per protocol, of one namespace."""

    datagram: socket.socket
    stream: socket.socket

    def close(self) -> None:
        """Close both."""
        self.datagram.close()
        self.stream.close()


def open_sockets(inside: Namespace, preferred: int) -> Sockets:
    """Bind in the namespace and lead 127.0.0.11:53 there; blocks about 0.3 ms.

    `preferred` is the port tried first: after a restart of the engine the one from before, for
    which the kernel may still remember connections. Raises OSError.
    """

    def work() -> Sockets:
        datagram = _bound(socket.SOCK_DGRAM, preferred)
        try:
            stream = _bound(socket.SOCK_STREAM, preferred)
        except BaseException:
            datagram.close()
            raise
        try:
            stream.listen(64)
            dnsrules.lead(ADDRESS, datagram.getsockname()[1], stream.getsockname()[1])
        except BaseException:
            datagram.close()
            stream.close()
            raise
        return Sockets(datagram, stream)

    return inside.run(work)


class DnsServer:
    """Answers on one container's sockets until closed; belongs to the event loop's thread."""

    def __init__(self, sockets: Sockets, handler: Handler) -> None:
        self._sockets = sockets
        self._handler = handler
        self._tasks: set[asyncio.Task[None]] = set()
        self._loop = asyncio.get_running_loop()
        self._loop.add_reader(sockets.datagram, self._datagrams)
        self._acceptor = Acceptor(sockets.stream, self._accepted, "a container's resolver")

    def close(self) -> None:
        """Close the sockets, which lets the namespace go, and drop what is under way."""
        self._acceptor.close()
        self._loop.remove_reader(self._sockets.datagram)
        self._sockets.close()
        for task in self._tasks:
            task.cancel()

    def _datagrams(self) -> None:
        # Bounded: the loop has other work than one container that asks without end.
        for _ in range(32):
            try:
                data, peer = self._sockets.datagram.recvfrom(4096)
            except (BlockingIOError, InterruptedError):
                return
            except OSError:
                # An ICMP error of an earlier reply: the asker is gone.
                continue
            self._one_datagram(data, peer)

    def _one_datagram(self, data: bytes, peer: tuple[str, int]) -> None:
        known = self._handler.known(data)
        if known is not None:
            self._send(known, peer)
            return
        try:
            query = dnswire.parse(data)
        except dnswire.MalformedError:
            self._send(dnswire.failure(data, dnswire.FORMERR), peer)
            return
        reply = self._handler(query, False)
        if isinstance(reply, bytes):
            self._send(reply, peer)
        elif len(self._tasks) >= _BUSY:
            _discard(reply)
            self._send(dnswire.answer(query, [], 0, code=dnswire.REFUSED), peer)
        else:
            self._start(self._later(reply, peer))

    async def _later(self, reply: Awaitable[bytes], peer: tuple[str, int]) -> None:
        self._send(await reply, peer)

    def _send(self, reply: bytes, peer: tuple[str, int]) -> None:
        # A full buffer or an asker that is gone: UDP's clients ask again.
        with contextlib.suppress(OSError):
            if reply:
                self._sockets.datagram.sendto(reply, peer)

    def _accepted(self, accepted: socket.socket) -> None:
        if len(self._tasks) >= _BUSY:
            accepted.close()
        else:
            self._start(self._conversation(accepted))

    async def _conversation(self, accepted: socket.socket) -> None:
        """Queries on one TCP connection, each with its length before it, until it is idle."""
        reader, writer = await asyncio.open_connection(sock=accepted)
        try:
            while True:
                async with asyncio.timeout(_IDLE):
                    size = int.from_bytes(await reader.readexactly(2), "big")
                    query = dnswire.parse(await reader.readexactly(size))
                reply = self._handler(query, True)
                message = reply if isinstance(reply, bytes) else await reply
                writer.write(len(message).to_bytes(2, "big") + message)
                async with asyncio.timeout(_IDLE):
                    await writer.drain()
        except (TimeoutError, asyncio.IncompleteReadError, OSError, dnswire.MalformedError):
            return
        finally:
            writer.close()

    def _start(self, work: Awaitable[None]) -> None:
        task = asyncio.ensure_future(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)


def _bound(kind: int, preferred: int) -> socket.socket:
    made = socket.socket(socket.AF_INET, kind | socket.SOCK_CLOEXEC | socket.SOCK_NONBLOCK)
    try:
        if kind == socket.SOCK_STREAM:
            made.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            made.bind((ADDRESS, preferred))
        except OSError:
            made.bind((ADDRESS, 0))
    except BaseException:
        made.close()
        raise
    return made


def _discard(work: Awaitable[bytes]) -> None:
    close = getattr(work, "close", None)
    if close is not None:
        close()
