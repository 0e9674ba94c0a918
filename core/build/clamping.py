"""Layers of which no file is newer than SOURCE_DATE_EPOCH."""

from __future__ import annotations

from collections.abc import Iterator

from ...storage.tarstream import TarStream
from ...storage.tarwriter import END, header, padding


def clamped(chunks: Iterator[bytes], latest: int | None) -> Iterator[bytes]:
    """The tar `chunks` with no time after `latest` (ns); as it is when that is None."""
    if latest is None:
        yield from chunks
        return
    stream = TarStream(chunks)
    for entry in stream:
        entry.mtime = min(entry.mtime, latest)
        yield header(entry)
        for piece in stream.payload():
            yield bytes(piece)
        yield padding(entry.size)
    yield END
