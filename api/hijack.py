"""A connection taken over from HTTP: attach, and exec start.

The client asks with `Upgrade: tcp` (answer 101) or without (answer 200), and from then on both
sides send bytes. Either side may end its half first: `docker run -i` closes its stdin and still
reads. aiohttp has no word for that, so the transport is given another protocol.
"""

from __future__ import annotations

import asyncio
import struct
from collections import deque
from collections.abc import Mapping
from typing import TYPE_CHECKING

from aiohttp import web

if TYPE_CHECKING:
    from .call import Call

RAW = "application/vnd.docker.raw-stream"
MULTIPLEXED = "application/vnd.docker.multiplexed-stream"
# The stream of an exec's exit code in decimal, its last frame; only where asked for.
EXIT = 4
# What a client may send ahead of its container before it is made to wait.
_HIGH, _LOW = 256 * 1024, 64 * 1024


def frame(stream: int, data: bytes) -> bytes:
    """Docker's frame of an output stream (1 stdout, 2 stderr) of a container without a terminal."""
    return struct.pack(">BxxxL", stream, len(data)) + data


class RawConnection(asyncio.Protocol):
    """Both directions of a taken-over connection, with back-pressure in each."""

    def __init__(self, transport: asyncio.Transport, former: asyncio.BaseProtocol) -> None:
        self._transport = transport
        self._former = former
        self._input: deque[bytes] = deque()
        self._size = 0
        self._ended = False
        self._lost = False
        self._arrived = asyncio.Event()
        self._writable = asyncio.Event()
        self._writable.set()

    async def read(self) -> bytes:
        """The next bytes of the client; empty when it has ended its half."""
        while not self._input and not self._ended:
            self._arrived.clear()
            await self._arrived.wait()
        if not self._input:
            return b""
        data = self._input.popleft()
        before, self._size = self._size, self._size - len(data)
        if before > _LOW >= self._size and not self._ended:
            self._transport.resume_reading()
        return data

    async def write(self, data: bytes) -> None:
        """Send to the client; waits while it is slow, raises ConnectionError when it is gone."""
        await self._writable.wait()
        if self._lost or self._transport.is_closing():
            raise ConnectionResetError("the client is gone")
        self._transport.write(data)

    def close(self) -> None:
        """End the connection once what was written is sent."""
        self._transport.close()

    def abort(self) -> None:
        """End the connection now: whatever a stalled client has not taken is dropped."""
        self._transport.abort()

    def data_received(self, data: bytes) -> None:
        """Called by the transport."""
        self._input.append(data)
        self._size += len(data)
        if self._size > _HIGH >= self._size - len(data):
            self._transport.pause_reading()
        self._arrived.set()

    def eof_received(self) -> bool:
        """Called by the transport; True keeps our half open."""
        self._ended = True
        self._arrived.set()
        return True

    def pause_writing(self) -> None:
        """Called by the transport."""
        self._writable.clear()

    def resume_writing(self) -> None:
        """Called by the transport."""
        self._writable.set()

    def connection_lost(self, error: Exception | None) -> None:
        """Called by the transport; tells aiohttp too, which keeps a list of its connections."""
        self._lost = self._ended = True
        self._arrived.set()
        self._writable.set()
        self._former.connection_lost(error)


class Hijacked(web.StreamResponse):
    """What a handler returns when it has answered on the raw connection itself."""

    def __init__(self) -> None:
        super().__init__()
        self.force_close()

    @property
    def prepared(self) -> bool:
        """Already answered."""
        return True

    async def prepare(self, request: web.BaseRequest) -> None:
        """Nothing is left to send."""

    async def write_eof(self, data: bytes = b"") -> None:
        """Nothing is left to send."""


def take_over(
    call: Call, content_type: str, more: Mapping[str, str] | None = None
) -> RawConnection:
    """Answer 101 (or 200, to a client that does not ask to upgrade) and hand over the connection.

    `more` are headers beside Docker's.

    What the client sent before it saw the answer is lost, as HTTP allows. Raises ConnectionError
    when it is already gone.
    """
    transport = call.request.transport
    if transport is None or transport.is_closing():
        raise ConnectionResetError("the client is gone")
    raw = RawConnection(transport, transport.get_protocol())
    transport.set_protocol(raw)
    # aiohttp may have paused it because of the body that was read.
    transport.resume_reading()
    if call.request.headers.get("Upgrade"):
        wanted = "h2c" if call.request.headers["Upgrade"] == "h2c" else "tcp"
        head = ["HTTP/1.1 101 UPGRADED", "Connection: Upgrade", f"Upgrade: {wanted}"]
    else:
        head = ["HTTP/1.1 200 OK"]
    head.append(f"Content-Type: {content_type}")
    head += [f"{name}: {value}" for name, value in {**call.server.headers, **(more or {})}.items()]
    transport.write("\r\n".join([*head, "", ""]).encode())
    return raw
