"""The Logs tab: one container's log, read and followed over the API."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

from textual.worker import Worker

from ...host.errors import BayError
from ..source import Source, demux
from .logview import LogView

TAIL = 2000  # lines asked for at first


class Logs(LogView):
    """A LogView that follows the log of the container it is told to show."""

    def __init__(self, source: Source, *, widget_id: str | None = None) -> None:
        super().__init__(widget_id=widget_id)
        self._source = source
        self._shown_id = ""
        self._worker: Worker[None] | None = None

    def show(self, container: str, fresh: bool = False) -> None:
        """Follow the log of `container` (an id, "" for none); `fresh` reads it anew."""
        if container == self._shown_id and not fresh:
            return
        self._shown_id = container
        if self._worker is not None:
            self._worker.cancel()
        self.clear("" if container else "No container chosen.")
        if container:
            self._worker = self.run_worker(self._follow(container), group="logs", exclusive=True)

    async def _follow(self, container: str) -> None:
        buffer = self.buffer
        try:
            details = await self._source.get(f"/containers/{container}/json")
            query = {"follow": True, "stdout": True, "stderr": True, "timestamps": True}
            path = f"/containers/{container}/logs"
            async with self._source.stream("GET", path, {**query, "tail": TAIL}) as pieces:
                self.note = "No output yet."
                parts = _single(pieces) if details["Config"]["Tty"] else demux(pieces)
                async for stream, data in parts:
                    if buffer.feed(stream, data):
                        self.grew()
                    # A flood must leave the loop to keys and other streams.
                    await asyncio.sleep(0)
            self.note = "No output."
        except BayError as error:
            self.note = str(error)
        buffer.finish()
        self.grew()


async def _single(pieces: AsyncIterator[bytes]) -> AsyncIterator[tuple[int, bytes]]:
    """A terminal's output is one stream."""
    async for piece in pieces:
        yield 1, piece
