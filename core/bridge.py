"""Streams between the event loop and threads, in both directions, neither blocking the other."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator
from concurrent.futures import CancelledError, Future

from ..host.errors import BayError
from ..host.threads import offload_long

_BLOCK = 1 << 20


class Inflow:
    """What arrives on the event loop, read by a thread as a file: `read(n)`, b"" at the end.

    Made on the loop. `stop` makes a thread that waits in `read` raise.
    """

    def __init__(self, chunks: AsyncIterator[bytes]) -> None:
        self._chunks = chunks
        self._loop = asyncio.get_running_loop()
        self._waiting: Future[bytes] | None = None
        self._rest = b""
        self._stopped = False

    def read(self, size: int = -1, /) -> bytes:
        """At most `size` bytes, all that is left when negative; b"" only at the end."""
        if size < 0:
            return b"".join(iter(lambda: self.read(_BLOCK), b""))
        if not self._rest:
            self._rest = self._ask()
        data, self._rest = self._rest[:size], self._rest[size:]
        return data

    def __iter__(self) -> Iterator[bytes]:
        return iter(lambda: self.read(_BLOCK), b"")

    def stop(self) -> None:
        """End it; from the loop."""
        self._stopped = True
        if self._waiting is not None:
            self._waiting.cancel()

    def _ask(self) -> bytes:
        if self._stopped:
            raise BayError("the upload was stopped")
        self._waiting = asyncio.run_coroutine_threadsafe(self._gather(), self._loop)
        # `stop` may have come in between, and then has cancelled nothing.
        if self._stopped:
            self._waiting.cancel()
        try:
            return self._waiting.result()
        except CancelledError:
            raise BayError("the upload was stopped") from None

    async def _gather(self) -> bytes:
        """Some megabyte at once: a change of threads costs more than a chunk of a socket."""
        parts: list[bytes] = []
        size = 0
        while size < _BLOCK:
            chunk = await anext(self._chunks, None)
            if chunk is None:
                break
            parts.append(chunk)
            size += len(chunk)
        return b"".join(parts)


async def outflow(chunks: Iterator[bytes]) -> AsyncIterator[bytes]:
    """A blocking iterator for the event loop, in blocks of a megabyte, one of them read ahead.

    No thread is held while the reader is slow.
    """

    def block() -> bytes:
        parts: list[bytes] = []
        size = 0
        for chunk in chunks:
            parts.append(chunk)
            size += len(chunk)
            if size >= _BLOCK:
                break
        return b"".join(parts)

    ahead = asyncio.ensure_future(offload_long(block))
    try:
        while data := await asyncio.shield(ahead):
            ahead = asyncio.ensure_future(offload_long(block))
            yield data
    finally:
        # Nobody else may touch the iterator before the thread has left it.
        await asyncio.wait([ahead])
