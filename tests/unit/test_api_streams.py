"""Taken-over connections: framing, detach keys, half-close, and a client that stalls.

The server and the sockets are real; only the process at the other end is a queue of this test's.
"""

from __future__ import annotations

import asyncio
import socket
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from bayplan.api import hijack
from bayplan.api.call import Call
from bayplan.api.router import route, router
from bayplan.api.server import Server, unix_socket
from bayplan.api.sessions import pump, serve
from bayplan.core import detach


class Queued:
    """A session whose output a test puts and whose input it reads."""

    def __init__(self) -> None:
        self.output: asyncio.Queue[tuple[int, bytes] | None] = asyncio.Queue()
        self.input: asyncio.Queue[bytes] = asyncio.Queue()
        self.closed = asyncio.Event()

    async def read(self) -> tuple[int, bytes] | None:
        return await self.output.get()

    async def write(self, data: bytes) -> None:
        self.input.put_nowait(data)

    async def close_stdin(self) -> None:
        self.input.put_nowait(b"EOF")

    def close(self) -> None:
        self.closed.set()


class Recorder:
    """A client that types what it is given and keeps what it is sent."""

    def __init__(self, *typed: bytes) -> None:
        self._typed = list(typed)
        self.sent = b""

    async def read(self) -> bytes:
        return self._typed.pop(0) if self._typed else b""

    async def write(self, data: bytes) -> None:
        self.sent += data


@asynccontextmanager
async def served(
    folder: Path, handler: Callable[[Call], object]
) -> AsyncIterator[tuple[Path, Server]]:
    """A server with one more route, `POST /test`."""
    server = Server(None, "0", asyncio.Event())  # type: ignore[arg-type]  # its route asks no engine
    router._routes.pop(("POST", "test"), None)
    route("POST", "/test", streaming=True)(handler)  # type: ignore[arg-type]  # a local coroutine
    path = folder / "s"
    await server.listen([unix_socket(path)])
    try:
        yield path, server
    finally:
        router._routes.pop(("POST", "test"), None)
        await server.close()


REQUEST = b"POST /v1.47/test HTTP/1.1\r\nHost: d\r\nContent-Length: 0\r\n%s\r\n"


@pytest.mark.parametrize("upgrade", [True, False])
async def test_a_client_ends_its_input_and_still_reads(tmp_path: Path, upgrade: bool) -> None:
    session = Queued()

    async def handler(call: Call) -> hijack.Hijacked:
        raw = hijack.take_over(call, hijack.RAW)
        await serve(session, raw, framed=True, stdin=True)
        return hijack.Hijacked()

    async with served(tmp_path, handler) as (path, _):
        reader, writer = await asyncio.open_unix_connection(path)
        asked = b"Connection: Upgrade\r\nUpgrade: tcp\r\n" if upgrade else b""
        writer.write(REQUEST % asked)
        head = await reader.readuntil(b"\r\n\r\n")
        assert head.startswith(b"HTTP/1.1 101 UPGRADED" if upgrade else b"HTTP/1.1 200 OK")
        assert b"Api-Version: 1.51" in head
        # Bytes that look like HTTP are bytes.
        writer.write(b"GET / HTTP/1.1\r\n\r\n")
        assert await session.input.get() == b"GET / HTTP/1.1\r\n\r\n"
        writer.write_eof()
        assert await session.input.get() == b"EOF"
        session.output.put_nowait((2, b"late"))
        session.output.put_nowait(None)
        assert await reader.read() == b"\x02\0\0\0\0\0\0\x04late"
        await session.closed.wait()
        writer.close()


async def test_a_client_that_is_gone_closes_its_session(tmp_path: Path) -> None:
    session = Queued()

    async def handler(call: Call) -> hijack.Hijacked:
        raw = hijack.take_over(call, hijack.RAW)
        await serve(session, raw, framed=False, stdin=False)
        return hijack.Hijacked()

    async with served(tmp_path, handler) as (path, _):
        reader, writer = await asyncio.open_unix_connection(path)
        writer.write(REQUEST % b"")
        await reader.readuntil(b"\r\n\r\n")
        writer.transport.abort()
        for _ in range(200):  # its end is seen at a write: nothing else tells half from gone
            if session.closed.is_set():
                break
            session.output.put_nowait((1, b"x"))
            await asyncio.sleep(0)
        await asyncio.wait_for(session.closed.wait(), 120)


async def test_a_stalled_client_holds_up_nobody_else(tmp_path: Path) -> None:
    started: asyncio.Queue[Queued] = asyncio.Queue()

    async def handler(call: Call) -> hijack.Hijacked:
        session = Queued()
        started.put_nowait(session)
        raw = hijack.take_over(call, hijack.RAW)
        await serve(session, raw, framed=False, stdin=False)
        return hijack.Hijacked()

    async with served(tmp_path, handler) as (path, _):
        with socket.socket(socket.AF_UNIX) as stalled:
            stalled.connect(str(path))
            stalled.sendall(REQUEST % b"")
            stuck = await started.get()
            for _ in range(64):
                stuck.output.put_nowait((1, bytes(65536)))
            reader, writer = await asyncio.open_unix_connection(path)
            writer.write(REQUEST % b"")
            lively = await started.get()
            await reader.readuntil(b"\r\n\r\n")
            lively.output.put_nowait((1, b"hello"))
            assert await reader.readexactly(5) == b"hello"
            # Its output waits in its own session, not in this process's memory.
            assert stuck.output.qsize() > 32
            writer.close()


async def test_detach_keys_leave_and_are_not_sent() -> None:
    session, client = Queued(), Recorder(b"ls\x10", b"\x11rest")
    assert await pump(
        session, client, framed=False, stdin=True, detach=detach.parse(detach.DEFAULT)
    )
    assert session.input.get_nowait() == b"ls"
    assert session.input.empty()


async def test_output_that_ends_ends_the_session() -> None:
    session, client = Queued(), Recorder()
    session.output.put_nowait((1, b"a"))
    session.output.put_nowait((2, b"b"))
    session.output.put_nowait(None)
    assert not await pump(session, client, framed=True, stdin=False)
    assert client.sent == hijack.frame(1, b"a") + hijack.frame(2, b"b")
