"""A cgroup's block I/O: what its processes have read from each device and written to it.

cgroup v1 has `blkio.throttle.*` (Documentation/admin-guide/cgroup-v1/blkio-controller.rst), v2
`io.stat` (cgroup-v2.rst).
"""

from __future__ import annotations

from ..host import cgroups

Counters = dict[tuple[int, int, str], int]
"""By major and minor number and `read` or `write`."""


def operations(cgroup: str) -> Counters:
    """How many reads and writes its processes have made of each device, by device and operation.

    Asked for with Docker's stats alone, so it is no part of every second's sample. Blocks.
    """
    folder = cgroups.layout().folder("blkio", cgroup)
    if folder is None:  # of cgroup v2, Docker does not tell them
        return {}
    try:
        return parse_v1((folder / "blkio.throttle.io_serviced_recursive").read_bytes())
    except OSError:  # gone, or no such file in this kernel
        return {}


def parse_v1(text: bytes) -> Counters:
    """`8:0 Read 4096` lines."""
    result: Counters = {}
    for line in text.decode("ascii").splitlines():
        fields = line.split()
        if len(fields) == 3 and fields[1] in ("Read", "Write"):
            major, _, minor = fields[0].partition(":")
            result[int(major), int(minor), fields[1].lower()] = int(fields[2])
    return result


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
