"""Asking other name servers, several at once when the first is slow (RFC 1035, RFC 5452)."""

from __future__ import annotations

import asyncio
import secrets
import socket
from collections.abc import Awaitable, Callable, Sequence

from . import dnswire
from .dnswire import Query

# Seconds: the next server is asked too when the ones before have not answered; all of them again
# for a lost packet; and the end, before a client with the usual 5 seconds gives up.
_NEXT, _AGAIN, _END = 0.3, 1.5, 4.5
_PORT = 53

# Makes an unconnected socket of that family and kind in the network namespace to ask from.
Opener = Callable[[int, int], Awaitable[socket.socket]]


async def open_here(family: int, kind: int) -> socket.socket:
    """An `Opener` for the engine's own namespace."""
    return socket.socket(family, kind | socket.SOCK_CLOEXEC | socket.SOCK_NONBLOCK)


async def ask(
    query: Query, servers: Sequence[str], opener: Opener, *, stream: bool, port: int = _PORT
) -> bytes | None:
    """The first useful answer of `servers`, with the query's id; None when there is none.

    Their order is a preference: each has a head start on the next. An answer that only says that
    its server fails is kept for the case that nobody knows better.
    """
    key = secrets.randbelow(1 << 16)
    one = _ask_stream if stream else _ask_datagram
    waiting: set[asyncio.Task[bytes | None]] = set()
    schedule = [(_NEXT * number, server) for number, server in enumerate(servers)]
    if not stream:
        schedule += [(max(_AGAIN, at + _NEXT), server) for at, server in list(schedule)]
    poor: bytes | None = None
    started = asyncio.get_running_loop().time()
    try:
        while schedule or waiting:
            elapsed = asyncio.get_running_loop().time() - started
            # Nobody is left to wait for: the next one is asked at once.
            while schedule and (schedule[0][0] <= elapsed or not waiting):
                _, server = schedule.pop(0)
                waiting.add(asyncio.ensure_future(one(query, key, (server, port), opener)))
            limit = (schedule[0][0] if schedule else _END) - elapsed
            if elapsed >= _END:
                break
            done, waiting = await asyncio.wait(
                waiting, timeout=max(0.0, limit), return_when=asyncio.FIRST_COMPLETED
            )
            for task in done:
                reply = task.result()
                if reply is None:
                    continue
                if dnswire.code_of(reply) in (dnswire.NOERROR, dnswire.NXDOMAIN):
                    return dnswire.with_id(reply, query.id)
                poor = reply
    finally:
        for task in waiting:
            task.cancel()
    return dnswire.with_id(poor, query.id) if poor is not None else None


async def _ask_datagram(
    query: Query, key: int, server: tuple[str, int], opener: Opener
) -> bytes | None:
    """Ask one server by UDP, from a port of its own; None when it cannot be reached."""
    loop = asyncio.get_running_loop()
    try:
        family, address = _address(server)
        made = await opener(family, socket.SOCK_DGRAM)
        with made:
            made.setblocking(False)
            await loop.sock_connect(made, address)
            await loop.sock_sendall(made, dnswire.with_id(query.raw, key))
            async with asyncio.timeout(_END):
                while True:
                    reply = await loop.sock_recv(made, 65535)
                    if dnswire.is_reply_to(reply, query, key):
                        return reply
    except (OSError, TimeoutError):
        return None


async def _ask_stream(
    query: Query, key: int, server: tuple[str, int], opener: Opener
) -> bytes | None:
    """Ask one server by TCP."""
    loop = asyncio.get_running_loop()
    try:
        family, address = _address(server)
        made = await opener(family, socket.SOCK_STREAM)
        with made:
            made.setblocking(False)
            async with asyncio.timeout(_END):
                await loop.sock_connect(made, address)
                message = dnswire.with_id(query.raw, key)
                await loop.sock_sendall(made, len(message).to_bytes(2, "big") + message)
                size = int.from_bytes(await _exactly(made, 2), "big")
                reply = await _exactly(made, size)
                return reply if dnswire.is_reply_to(reply, query, key) else None
    except (OSError, TimeoutError):
        return None


async def _exactly(source: socket.socket, size: int) -> bytes:
    loop = asyncio.get_running_loop()
    parts = b""
    while len(parts) < size:
        part = await loop.sock_recv(source, size - len(parts))
        if not part:
            raise ConnectionResetError("the name server closed the connection")
        parts += part
    return parts


def _address(server: tuple[str, int]) -> tuple[int, tuple[str, int] | tuple[str, int, int, int]]:
    """Family and socket address of a numeric server; its scope (`%eth0`) is resolved."""
    host, port = server
    address, _, scope = host.partition("%")
    if ":" not in address:
        return socket.AF_INET, (address, port)
    number = 0
    if scope:
        number = int(scope) if scope.isdecimal() else socket.if_nametoindex(scope)
    return socket.AF_INET6, (address, port, 0, number)
