"""Moving bytes between a client's connection and a process: attach, exec, and web socket."""

from __future__ import annotations

import asyncio
import contextlib
from typing import Protocol

from aiohttp import web

from ..core.detach import Detacher
from ..host.errors import BayError
from .hijack import RawConnection, frame


class Session(Protocol):
    """The engine's end: a `core.console.Session`, or a `core.attachment.Attachment`."""

    async def read(self) -> tuple[int, bytes] | None:
        """The next output (1 stdout, 2 stderr), None at the end."""

    async def write(self, data: bytes) -> None:
        """Input for the process."""

    async def close_stdin(self) -> None:
        """The end of the input."""

    def close(self) -> None:
        """Let go."""


class Client(Protocol):
    """The client's end."""

    async def read(self) -> bytes:
        """The next input, empty at its end."""

    async def write(self, data: bytes) -> None:
        """Send output; raises ConnectionError when the client is gone."""


class WebSocketClient:
    """A web socket as a `Client`: binary messages of raw bytes, as Docker has it."""

    def __init__(self, socket: web.WebSocketResponse) -> None:
        self._socket = socket

    async def read(self) -> bytes:
        """The next message's bytes; empty once the socket is closed."""
        async for message in self._socket:
            data: str | bytes = message.data
            data = data.encode() if isinstance(data, str) else data
            if data:
                return data
        return b""

    async def write(self, data: bytes) -> None:
        """Send one message."""
        await self._socket.send_bytes(data)


async def pump(
    session: Session,
    client: Client,
    *,
    framed: bool,
    stdin: bool,
    detach: bytes = b"",
    half_close: bool = True,
) -> bool:
    """Move bytes both ways until the output ends, the client is gone, or detaches (True).

    `framed` puts Docker's headers before the pieces of output; `stdin` passes input on. The end of
    the client's input closes the process's, and with `half_close` off ends all. The session is
    left open.
    """
    output = asyncio.create_task(_output(session, client, framed))
    source = asyncio.create_task(_input(session, client, stdin, Detacher(detach)))
    try:
        await asyncio.wait((output, source), return_when=asyncio.FIRST_COMPLETED)
        detached = source.done() and source.result()
        if not detached and (half_close or output.done()):
            await output
        return detached
    finally:
        for task in (output, source):
            task.cancel()
        await asyncio.gather(output, source, return_exceptions=True)


async def _output(session: Session, client: Client, framed: bool) -> None:
    # A client that hangs up ends its session, and nothing else.
    with contextlib.suppress(ConnectionError):
        while (packet := await session.read()) is not None:
            stream, data = packet
            await client.write(frame(stream, data) if framed else data)


async def _input(session: Session, client: Client, stdin: bool, detacher: Detacher) -> bool:
    while data := await client.read():
        if not stdin:
            continue
        data = detacher.feed(data)
        # A process that has ended reads no more; its output, still on the way, tells the client.
        with contextlib.suppress(BayError, OSError):
            if data:
                await session.write(data)
        if detacher.detached:
            return True
    if stdin:
        with contextlib.suppress(BayError, OSError):
            await session.close_stdin()
    return False


async def serve(
    session: Session, raw: RawConnection, *, framed: bool, stdin: bool, detach: bytes = b""
) -> bool:
    """`pump` for a taken-over connection; closes both ends."""
    try:
        return await pump(session, raw, framed=framed, stdin=stdin, detach=detach)
    finally:
        session.close()
        raw.close()
