"""Between code that blocks and the event loop, a chunk at a time, neither holding up the other."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncIterator, Callable, Generator, Iterator
from contextlib import asynccontextmanager
from typing import TypeVar

from .threads import offload

T = TypeVar("T")


async def iterate(pieces: Generator[bytes, None, None]) -> AsyncIterator[bytes]:
    """The pieces of a blocking generator, each made in a thread when it is asked for.

    Closing this closes the generator, after the step it is in: use it in `closing`.
    """
    step: asyncio.Future[bytes | None] | None = None
    try:
        while True:
            step = asyncio.ensure_future(offload(_next, pieces))
            piece = await asyncio.shield(step)
            if piece is None:
                return
            yield piece
    finally:
        if step is not None and not step.done():
            await asyncio.gather(step, return_exceptions=True)
        await offload(pieces.close)


def _next(pieces: Iterator[bytes]) -> bytes | None:
    return next(pieces, None)


@asynccontextmanager
async def closing(items: AsyncIterator[T]) -> AsyncIterator[AsyncIterator[T]]:
    """`async with` around an iteration that may be left early: its cleanup runs before going on."""
    try:
        yield items
    finally:
        close = getattr(items, "aclose", None)
        if close is not None:
            await close()


async def consume(chunks: AsyncIterator[bytes], work: Callable[[Iterator[bytes]], T]) -> T:
    """Run the blocking `work` in a thread of its own over chunks that arrive here.

    A thread of its own, since a sender may stall for hours: a pool's would be missing elsewhere.
    When cancelled, the iterator given to `work` raises ConnectionAbortedError, and its undo has
    run before this returns.
    """
    loop = asyncio.get_running_loop()
    stop = asyncio.Event()
    done: asyncio.Future[T] = loop.create_future()

    async def following() -> bytes | None:
        getting = asyncio.ensure_future(_anext(chunks))
        stopping = asyncio.ensure_future(stop.wait())
        try:
            await asyncio.wait((getting, stopping), return_when=asyncio.FIRST_COMPLETED)
            if not getting.done():
                raise ConnectionAbortedError("the sender is gone")
            return getting.result()
        finally:
            getting.cancel()
            stopping.cancel()
            await asyncio.gather(getting, stopping, return_exceptions=True)

    def incoming() -> Iterator[bytes]:
        while (chunk := asyncio.run_coroutine_threadsafe(following(), loop).result()) is not None:
            yield chunk

    def run() -> None:
        try:
            result = work(incoming())
        except BaseException as error:  # handed to the caller, whatever it is
            loop.call_soon_threadsafe(_settle, done, None, error)
        else:
            loop.call_soon_threadsafe(_settle, done, result, None)

    threading.Thread(target=run, name="bay-consume", daemon=True).start()
    try:
        return await asyncio.shield(done)
    except asyncio.CancelledError:
        stop.set()
        await asyncio.wait((done,))
        done.exception()  # of an aborted transfer: nobody is left to hear it
        raise


async def _anext(chunks: AsyncIterator[bytes]) -> bytes | None:
    return await anext(chunks, None)


def _settle(done: asyncio.Future[T], result: T | None, error: BaseException | None) -> None:
    if error is not None:
        done.set_exception(error)
    else:
        done.set_result(result)  # type: ignore[arg-type]  # None only where T is None
