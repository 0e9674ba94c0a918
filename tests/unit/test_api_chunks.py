"""Chunks between threads and the event loop: order, errors, and leaving early."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Generator, Iterator

import pytest
from bayplan.host.chunks import closing, consume, iterate


async def sending(*chunks: bytes) -> AsyncIterator[bytes]:
    for chunk in chunks:
        yield chunk


async def test_a_blocking_generator_is_iterated_and_closed() -> None:
    closed = []

    def pieces() -> Generator[bytes, None, None]:
        try:
            yield b"a"
            yield b"b"
        finally:
            closed.append(True)

    async with closing(iterate(pieces())) as chunks:
        assert [chunk async for chunk in chunks] == [b"a", b"b"]
    assert closed == [True]
    async with closing(iterate(pieces())) as chunks:
        assert await anext(chunks) == b"a"
    assert closed == [True, True]


async def test_a_generators_error_arrives() -> None:
    def pieces() -> Generator[bytes, None, None]:
        yield b"a"
        raise OSError("bad disk")

    with pytest.raises(OSError, match="bad disk"):
        assert [chunk async for chunk in iterate(pieces())]


async def test_blocking_work_consumes_what_arrives() -> None:
    def join(chunks: Iterator[bytes]) -> bytes:
        return b"".join(chunks)

    assert await consume(sending(b"a", b"b", b"c"), join) == b"abc"


async def test_errors_of_either_side_arrive() -> None:
    def fail(chunks: Iterator[bytes]) -> None:
        next(chunks)
        raise ValueError("not a tar")

    with pytest.raises(ValueError, match="not a tar"):
        await consume(sending(b"a", b"b"), fail)

    async def broken() -> AsyncIterator[bytes]:
        yield b"a"
        raise ConnectionResetError("gone")

    with pytest.raises(ConnectionResetError):
        await consume(broken(), lambda chunks: b"".join(chunks))


async def test_cancelled_work_has_cleaned_up_before_it_is_over() -> None:
    waiting = asyncio.Event()
    undone = []

    async def stalled() -> AsyncIterator[bytes]:
        yield b"a"
        waiting.set()
        await asyncio.Event().wait()

    def work(chunks: Iterator[bytes]) -> None:
        try:
            for _ in chunks:
                pass
        finally:
            undone.append(True)

    task = asyncio.create_task(consume(stalled(), work))
    await waiting.wait()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert undone == [True]
