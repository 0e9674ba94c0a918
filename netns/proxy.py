"""Published ports on IPv6 addresses where the firewall cannot help, copied by the engine.

nftables does not turn IPv6 into IPv4, and the kernel does not route what came for [::1]: those
connections end here and go on to the container from the host. All others are translated before
they reach these sockets.
"""

from __future__ import annotations

import asyncio
import contextlib
import socket
import struct
from collections.abc import Coroutine
from typing import Any

from ..host.acceptor import Acceptor

_CONNECTIONS = 1024
_CLIENTS = 1024
_IDLE = 60.0
_BLOCK = 1 << 16

Address = tuple[str, int]


class StreamProxy:
    """TCP: accepts on a bound socket, whose owner closes it after this, and copies both ways."""

    def __init__(self, bound: socket.socket, target: Address) -> None:
        self._target = target
        self._tasks: set[asyncio.Task[None]] = set()
        self._loop = asyncio.get_running_loop()
        # Accepted connections inherit it: their TIME_WAIT must not keep the next engine out.
        bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        bound.listen(128)
        self._acceptor = Acceptor(bound, self._accepted, f"published on [{target[0]}]:{target[1]}")

    def close(self) -> None:
        """Accept no more and end the connections there are."""
        self._acceptor.close()
        for task in self._tasks:
            task.cancel()

    def _accepted(self, client: socket.socket) -> None:
        if len(self._tasks) >= _CONNECTIONS:
            client.close()
        else:
            _keep(self._tasks, self._connection(client))

    async def _connection(self, client: socket.socket) -> None:
        """One connection, until both sides have said their last."""
        family = socket.AF_INET6 if ":" in self._target[0] else socket.AF_INET
        with client, socket.socket(family, socket.SOCK_STREAM | socket.SOCK_CLOEXEC) as server:
            server.setblocking(False)
            try:
                await self._loop.sock_connect(server, self._target)
            except OSError:
                # Reset rather than end: the client sees that nobody listens.
                client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
                return
            for each in (client, server):
                each.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            with contextlib.suppress(OSError, ExceptionGroup):
                async with asyncio.TaskGroup() as both:
                    both.create_task(self._copy(client, server))
                    both.create_task(self._copy(server, client))

    async def _copy(self, source: socket.socket, sink: socket.socket) -> None:
        while data := await self._loop.sock_recv(source, _BLOCK):
            await self._loop.sock_sendall(sink, data)
        with contextlib.suppress(OSError):
            sink.shutdown(socket.SHUT_WR)


class DatagramProxy:
    """UDP: a socket towards the container for each client, until it is idle."""

    def __init__(self, bound: socket.socket, target: Address) -> None:
        self._bound = bound
        self._target = target
        self._clients: dict[Any, socket.socket] = {}
        self._tasks: set[asyncio.Task[None]] = set()
        self._loop = asyncio.get_running_loop()
        bound.setblocking(False)
        self._loop.add_reader(bound, self._read)

    def close(self) -> None:
        """Take no more and forget the clients."""
        self._loop.remove_reader(self._bound)
        for task in self._tasks:
            task.cancel()
        for made in self._clients.values():
            made.close()

    def _read(self) -> None:
        for _ in range(32):
            try:
                data, peer = self._bound.recvfrom(_BLOCK)
            except BlockingIOError:
                return
            except OSError:
                continue
            # UDP may lose what does not fit or has nowhere to go.
            with contextlib.suppress(OSError):
                self._towards(peer).send(data)

    def _towards(self, peer: Any) -> socket.socket:
        known = self._clients.get(peer)
        if known is not None:
            return known
        if len(self._clients) >= _CLIENTS:
            raise OSError("too many clients")
        family = socket.AF_INET6 if ":" in self._target[0] else socket.AF_INET
        made = socket.socket(family, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC)
        try:
            made.setblocking(False)
            made.connect(self._target)
        except BaseException:
            made.close()
            raise
        self._clients[peer] = made
        _keep(self._tasks, self._answers(peer, made))
        return made

    async def _answers(self, peer: Any, made: socket.socket) -> None:
        try:
            while True:
                async with asyncio.timeout(_IDLE):
                    data = await self._loop.sock_recv(made, _BLOCK)
                self._bound.sendto(data, peer)
        except (OSError, TimeoutError):
            return
        finally:
            self._clients.pop(peer, None)
            made.close()


def start(protocol: str, bound: socket.socket, target: Address) -> StreamProxy | DatagramProxy:
    """A proxy for tcp or udp on a bound socket."""
    kind = StreamProxy if protocol == "tcp" else DatagramProxy
    return kind(bound, target)


def _keep(tasks: set[asyncio.Task[None]], work: Coroutine[Any, Any, None]) -> None:
    task = asyncio.ensure_future(work)
    tasks.add(task)
    task.add_done_callback(tasks.discard)
