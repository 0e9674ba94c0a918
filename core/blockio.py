"""A cgroup's block I/O: what its processes have read from each device and written to it.

cgroup v1 has `blkio.throttle.*` (Documentation/admin-guide/cgroup-v1/blkio-controller.rst), v2
`io.stat` (cgroup-v2.rst).
"""

from __future__ import annotations

from collections.abc import Iterator

from ..host import cgroups
from .types import Json

Counters = dict[tuple[int, int, str], int]
"""By major and minor number and `read` or `write`."""


def told_of_v1(cgroup: str) -> tuple[list[Json], list[Json]]:
    """(bytes, operations) as Docker's stats list them: each line the kernel has of a device.

    Asked for with Docker's stats alone, so it is no part of every second's sample; empty with
    cgroup v2. Blocks.
    """
    folder = cgroups.layout().folder("blkio", cgroup)
    if folder is None:
        return [], []
    told = []
    for name in ("io_service_bytes", "io_serviced"):
        try:
            text = (folder / f"blkio.throttle.{name}_recursive").read_text("ascii")
        except OSError:  # gone, or no such file in this kernel
            text = ""
        told.append(entries(text))
    return told[0], told[1]


def entries(text: str) -> list[Json]:
    """`8:0 Sync 4096` lines in Docker's shape, their operation in the kernel's spelling."""
    return [
        {"major": major, "minor": minor, "op": operation, "value": value}
        for major, minor, operation, value in _lines_v1(text)
    ]


def parse_v1(text: bytes) -> Counters:
    """`8:0 Read 4096` lines."""
    return {
        (major, minor, operation.lower()): value
        for major, minor, operation, value in _lines_v1(text.decode("ascii"))
        if operation in ("Read", "Write")
    }


def _lines_v1(text: str) -> Iterator[tuple[int, int, str, int]]:
    """Major and minor number, operation and value; the sum of all devices has no number."""
    for line in text.splitlines():
        fields = line.split()
        if len(fields) == 3:
            major, _, minor = fields[0].partition(":")
            yield int(major), int(minor), fields[1], int(fields[2])


def parse_v2(text: bytes) -> Counters:
    """`8:0 rbytes=4096 wbytes=0 …` lines."""
    result: Counters = {}
    for line in text.decode("ascii").splitlines():
        device, *fields = line.split()
        major, _, minor = device.partition(":")
        for entry in fields:
            key, _, value = entry.partition("=")
            if key in ("rbytes", "wbytes"):
                operation = "read" if key == "rbytes" else "write"
                result[int(major), int(minor), operation] = int(value)
    return result
