"""What a container used, on disk: ten minutes by the second, a day by ten seconds.

One file of fixed-size records in the container's folder, which goes with it. A record's place
follows from its time, and its checksum says whether it is whole: there is nothing to repair after
a crash, no head to move, and the file never grows beyond its two rings (0.8 MB, most of it holes
for a container that has lived less).
"""

from __future__ import annotations

import os
import struct
import time
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

NAME = "stats"
_MAGIC = b"BAYSTAT1"
_HEADER = 64
_SECOND = 1_000_000_000


class Ring(NamedTuple):
    """A ring of records: their distance in seconds, how many, and where in the file."""

    interval: int
    slots: int
    offset: int


# The checksum comes after the point.
_RECORD = struct.Struct("<QffQQQQQQIfff")
_SIZE = _RECORD.size + 4
SECONDS = Ring(1, 600, _HEADER)
TENS = Ring(10, 8640, _HEADER + 600 * _SIZE)
LARGEST = TENS.offset + TENS.slots * _SIZE


@dataclass(slots=True)
class Point:
    """What is kept of one sample, or of ten seconds of them.

    Time in ns; CPU and throttling in percent of one CPU; memory in bytes; network and block bytes
    since the start; pressure (PSI, some avg10) in percent of the time.
    """

    time: int
    cpu: float
    throttled: float
    memory: int
    memory_limit: int
    rx: int
    tx: int
    read: int
    write: int
    pids: int
    pressure_cpu: float = 0.0
    pressure_memory: float = 0.0
    pressure_io: float = 0.0

    def pack(self) -> bytes:
        """Its record, with the checksum."""
        body = _RECORD.pack(
            *(self.time, self.cpu, self.throttled, self.memory, self.memory_limit),
            *(self.rx, self.tx, self.read, self.write, self.pids),
            *(self.pressure_cpu, self.pressure_memory, self.pressure_io),
        )
        return body + zlib.crc32(body).to_bytes(4, "little")


FIGURES = tuple(name for name in Point.__slots__ if name not in ("time", "memory_limit"))
_ROUNDED = {"cpu", "throttled", "pressure_cpu", "pressure_memory", "pressure_io"}


def _points(data: bytes) -> Iterator[Point]:
    for start in range(0, len(data) - _SIZE + 1, _SIZE):
        body = data[start : start + _RECORD.size]
        check = int.from_bytes(data[start + _RECORD.size : start + _SIZE], "little")
        if any(body) and zlib.crc32(body) == check:
            yield Point(*_RECORD.unpack(body))


def read(folder: Path, ring: Ring, since: int) -> list[Point]:
    """The points of a container's folder after `since` (ns), oldest first; blocks.

    Empty for a container that was never sampled, or whose file is another version's.
    """
    try:
        with open(folder / NAME, "rb") as file:
            if file.read(len(_MAGIC)) != _MAGIC:
                return []
            file.seek(ring.offset)
            data = file.read(ring.slots * _SIZE)
    except FileNotFoundError:
        return []
    # A slot that was not written this time round still has a point of the last one.
    oldest = max(since, _newest(data) - ring.interval * ring.slots * _SECOND)
    return sorted((p for p in _points(data) if p.time > oldest), key=lambda point: point.time)


def _newest(data: bytes) -> int:
    return max((point.time for point in _points(data)), default=0)


class Writer:
    """Writes the points of one container, of which there is one a second at most."""

    def __init__(self, folder: Path) -> None:
        """Open or make the file in `folder`. Raises OSError."""
        self._fd = os.open(folder / NAME, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        if os.pread(self._fd, len(_MAGIC), 0) != _MAGIC:
            os.ftruncate(self._fd, 0)
            os.pwrite(self._fd, _MAGIC, 0)
        # What the engine before this one had not summed up yet.
        recent = read(folder, SECONDS, time.time_ns() - 2 * TENS.interval * _SECOND)
        self._pending = [p for p in recent if _slot(p, TENS) == _slot(recent[-1], TENS)]

    def add(self, point: Point) -> None:
        """Write a point, and with the first one of new ten seconds the last ten. Raises OSError."""
        if self._pending and _slot(self._pending[0], TENS) != _slot(point, TENS):
            self._write(TENS, _together(self._pending))
            self._pending.clear()
        self._pending.append(point)
        self._write(SECONDS, point)

    def _write(self, ring: Ring, point: Point) -> None:
        place = ring.offset + _slot(point, ring) % ring.slots * _SIZE
        os.pwrite(self._fd, point.pack(), place)

    def close(self) -> None:
        """Write what there is of the last ten seconds, and close; the file stays."""
        try:
            if self._pending:
                self._write(TENS, _together(self._pending))
        finally:
            os.close(self._fd)


def _slot(point: Point, ring: Ring) -> int:
    return point.time // (_SECOND * ring.interval)


def _together(points: list[Point]) -> Point:
    """Ten seconds as one point: means of what is a rate, the most of what comes and goes."""
    last, count = points[-1], len(points)
    return Point(
        time=last.time,
        cpu=sum(p.cpu for p in points) / count,
        throttled=sum(p.throttled for p in points) / count,
        memory=max(p.memory for p in points),
        memory_limit=last.memory_limit,
        rx=last.rx,
        tx=last.tx,
        read=last.read,
        write=last.write,
        pids=max(p.pids for p in points),
        pressure_cpu=sum(p.pressure_cpu for p in points) / count,
        pressure_memory=sum(p.pressure_memory for p in points) / count,
        pressure_io=sum(p.pressure_io for p in points) / count,
    )


def curves(points: list[Point]) -> dict[str, object]:
    """One list per figure, with the last memory limit."""
    result: dict[str, object] = {"time": [point.time for point in points]}
    for name in FIGURES:
        values = [getattr(point, name) for point in points]
        result[name] = [round(value, 2) for value in values] if name in _ROUNDED else values
    result["memory_limit"] = points[-1].memory_limit if points else 0
    return result
