"""A log in pieces: the lines before, after and at the beginning, each fetched when it is wanted.

The API can begin at the last N lines (`tail`) or at a time (`since`), and a reply can be let go of
in its middle: with these every place of a log of any length is reached without reading all of it.
"""

from __future__ import annotations

import sys
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from datetime import datetime
from pathlib import Path
from typing import Any

from ..host import clock
from .logbuffer import Line, LogBuffer, matches
from .source import Source, demux

PAGE = 2000


async def parts(pieces: AsyncIterator[bytes], tty: bool) -> AsyncIterator[tuple[int, bytes]]:
    """A reply's body as (1 stdout | 2 stderr, bytes); a terminal's output is one stream."""
    if not tty:
        async for part in demux(pieces):
            yield part
        return
    async for piece in pieces:
        yield 1, piece


class LogPages:
    """The log of one container; `tty` says how the API frames it."""

    def __init__(self, source: Source, container: str, tty: bool) -> None:
        self._source = source
        self._path = f"/containers/{container}/logs"
        self._tty = tty

    async def before(self, first: Line, behind: int) -> list[Line]:
        """Up to a page of lines before `first`, which is `behind` lines before the end."""
        lines = await self._take(PAGE, tail=behind + PAGE)
        for index, line in enumerate(lines):
            if line.time > first.time or _same(line, first):
                return lines[:index]
        return lines

    async def after(self, last: Line) -> list[Line]:
        """Up to a page of lines after `last`."""
        lines = await self._take(PAGE, since=moment(_ns(last)))
        for index, line in enumerate(lines):
            if _same(line, last):
                return lines[index + 1 :]
        return lines

    async def beginning(self) -> list[Line]:
        """The first page of the log."""
        return await self._take(PAGE)

    async def take(self, **query: Any) -> list[Line]:
        """The lines of one whole reply, the last `KEEP` of them."""
        return await self._take(sys.maxsize, **query)

    async def copy(self, write: Callable[[Line], None], **query: Any) -> None:
        """Give every line of the log to `write`, holding few of them at a time."""
        buffer, done = LogBuffer(), 0
        async with self._reply(query) as read:
            async for stream, data in read:
                buffer.feed(stream, data)
                done = _drain(buffer, done, write)
        buffer.finish()
        _drain(buffer, done, write)

    async def _take(self, most: int, **query: Any) -> list[Line]:
        """The first `most` lines of a reply, the rest of which is let go of."""
        buffer = LogBuffer()
        async with self._reply(query) as read:
            async for stream, data in read:
                buffer.feed(stream, data)
                if buffer.total >= most:
                    break
            else:
                buffer.finish()
        return list(buffer.lines)[:most]

    @asynccontextmanager
    async def _reply(
        self, query: dict[str, Any]
    ) -> AsyncIterator[AsyncIterator[tuple[int, bytes]]]:
        wanted = {"stdout": True, "stderr": True, "timestamps": True, **query}
        async with self._source.stream("GET", self._path, wanted) as pieces:
            yield parts(pieces, self._tty)


def _drain(buffer: LogBuffer, done: int, write: Callable[[Line], None]) -> int:
    """Write the lines from number `done` on; the number after the last."""
    for number in range(done, buffer.total):
        line = buffer.get(number)
        if line is not None:
            write(line)
    return buffer.total


def _same(one: Line, other: Line) -> bool:
    return (one.time, one.stream, one.text) == (other.time, other.stream, other.text)


def moment(ns: int) -> str:
    """A time in ns since 1970 as the API takes it."""
    return f"{ns // 10**9}.{ns % 10**9:09}"


def _ns(line: Line) -> int:
    """When a line was written; 0 where its engine does not say so as all do."""
    try:
        return clock.to_ns(line.time)
    except ValueError:
        return 0


def after(line: Line) -> str:
    """The moment after `line`, from which on the lines that follow it are."""
    return moment(_ns(line) + 1)


async def save(
    path: Path, readers: list[tuple[str, LogPages]], query: str, times: bool, begin: str
) -> int:
    """Write logs to `path`, those of several containers one after the other; how many lines.

    Only what matches `query`, with its time if `times`, from the API's moment `begin` on. Raises
    OSError, before the engine is asked where the file can't be made, and BayError.
    """
    count = 0
    with open(path, "w", encoding="utf-8") as file:

        def write(line: Line) -> None:
            nonlocal count
            if matches(line, query):
                count += 1
                stamp = f"{line.time} " if times else ""
                file.write(f"{label}{stamp}{line.plain}\n")

        for name, pages in readers:
            label = f"{name} " if len(readers) > 1 else ""
            await pages.copy(write, **({"since": begin} if begin else {}))
    return count


def since(words: str, now: float) -> str:
    """What a user types for a moment, as the API's `since` at `now` (seconds).

    A span before now (`90`, `10m`, `2h`, `3d`), a time of today (`14:30`), or a date and time.
    Raises ValueError with the sentence for the user.
    """
    words = words.strip()
    units = {"s": 1, "m": 60, "h": 3600, "d": 86400}
    number, unit = (words[:-1], words[-1]) if words and words[-1] in units else (words, "s")
    try:
        return f"{now - float(number) * units[unit]:.3f}"
    except ValueError:
        pass
    try:
        if words.count(":") in (1, 2) and "-" not in words:
            today = datetime.fromtimestamp(now).date().isoformat()
            words = f"{today} {words}"
        return f"{datetime.fromisoformat(words).timestamp():.3f}"
    except (ValueError, OverflowError):
        raise ValueError(
            f"“{words}” is no moment: write 10m, 2h, 14:30 or 2026-01-31 14:30"
        ) from None
