"""One container's figures at one moment, from its cgroup files and its network namespace.

cgroup v1 and hybrid: Documentation/admin-guide/cgroup-v1; v2: admin-guide/cgroup-v2. A file that
is missing leaves its figure 0: a controller may not be mounted.
"""

from __future__ import annotations

import os
import time
from dataclasses import dataclass, field
from pathlib import Path

from ..host import cgroups
from .types import Json

_TICK_NS = 1_000_000_000 // os.sysconf("SC_CLK_TCK")
# A v1 limit that is none is the largest multiple of a page below 2^63.
_UNLIMITED = 1 << 62


@dataclass(frozen=True)
class Sample:
    """Cumulative counters and levels: times in ns, memory and traffic in bytes."""

    time: int
    cpu: int = 0
    cpu_user: int = 0
    cpu_system: int = 0
    host_cpu: int = 0
    throttling: tuple[int, int, int] = (0, 0, 0)
    memory: int = 0
    memory_max: int = 0
    memory_limit: int = 0
    memory_stat: dict[str, int] = field(default_factory=dict)
    pids: int = 0
    pids_limit: int = 0
    blkio: list[Json] = field(default_factory=list)
    networks: dict[str, dict[str, int]] = field(default_factory=dict)

    @property
    def used(self) -> int:
        """Memory in use as Docker counts it: without the file cache that could go."""
        cache = self.memory_stat.get(
            "total_inactive_file", self.memory_stat.get("inactive_file", 0)
        )
        return max(0, self.memory - cache) if cache < self.memory else self.memory

    def traffic(self, key: str) -> int:
        """The sum over all links of `rx_bytes` or `tx_bytes`."""
        return sum(link[key] for link in self.networks.values())

    def moved(self, operation: str) -> int:
        """Bytes of block I/O: `operation` is read or write."""
        return sum(int(row["value"]) for row in self.blkio if row["op"] == operation)


def read(cgroup: str, pid: int, *, own_network: bool) -> Sample:
    """The figures of `cgroup`, whose first process is `pid`; blocks for some 100 us.

    Without `own_network` (host mode) the traffic is not the container's and is left out.
    """
    links = _links(pid) if own_network else {}
    common = {"time": time.time_ns(), "host_cpu": host_cpu(), "networks": links}
    if cgroups.layout().version == 2:
        return _version_2(cgroup, common)
    return _version_1(cgroup, common)


def _version_1(cgroup: str, common: Json) -> Sample:
    account = _pairs(_text("cpuacct", cgroup, "cpuacct.stat"))
    throttled = _pairs(_text("cpu", cgroup, "cpu.stat"))
    limit = _number("memory", cgroup, "memory.limit_in_bytes")
    return Sample(
        **common,
        cpu=_number("cpuacct", cgroup, "cpuacct.usage"),
        cpu_user=account.get("user", 0) * _TICK_NS,
        cpu_system=account.get("system", 0) * _TICK_NS,
        throttling=(
            throttled.get("nr_periods", 0),
            throttled.get("nr_throttled", 0),
            throttled.get("throttled_time", 0),
        ),
        memory=_number("memory", cgroup, "memory.usage_in_bytes"),
        memory_max=_number("memory", cgroup, "memory.max_usage_in_bytes"),
        memory_limit=limit if 0 < limit < _UNLIMITED else host_memory(),
        memory_stat=_pairs(_text("memory", cgroup, "memory.stat")),
        pids=_number("pids", cgroup, "pids.current"),
        pids_limit=_number("pids", cgroup, "pids.max"),
        blkio=_blkio_1(_text("blkio", cgroup, "blkio.throttle.io_service_bytes_recursive")),
    )


def _version_2(cgroup: str, common: Json) -> Sample:
    cpu = _pairs(_text("cpu", cgroup, "cpu.stat"))
    limit = _number("memory", cgroup, "memory.max")
    return Sample(
        **common,
        cpu=cpu.get("usage_usec", 0) * 1000,
        cpu_user=cpu.get("user_usec", 0) * 1000,
        cpu_system=cpu.get("system_usec", 0) * 1000,
        throttling=(
            cpu.get("nr_periods", 0),
            cpu.get("nr_throttled", 0),
            cpu.get("throttled_usec", 0) * 1000,
        ),
        memory=_number("memory", cgroup, "memory.current"),
        memory_max=_number("memory", cgroup, "memory.peak"),
        memory_limit=limit or host_memory(),
        memory_stat=_pairs(_text("memory", cgroup, "memory.stat")),
        pids=_number("pids", cgroup, "pids.current"),
        pids_limit=_number("pids", cgroup, "pids.max"),
        blkio=_blkio_2(_text("io", cgroup, "io.stat")),
    )


def _text(controller: str, cgroup: str, name: str) -> str:
    folder = cgroups.layout().folder(controller, cgroup)
    if folder is None:
        return ""
    try:
        return (folder / name).read_text(encoding="ascii")
    except OSError:
        return ""  # the controller is off, or the container has just ended


def _number(controller: str, cgroup: str, name: str) -> int:
    """A file of one number; `max` and an absent file are 0."""
    text = _text(controller, cgroup, name).strip()
    return int(text) if text.isdigit() else 0


def _pairs(text: str) -> dict[str, int]:
    result = {}
    for line in text.splitlines():
        name, _, value = line.partition(" ")
        if value.isdigit():
            result[name] = int(value)
    return result


def _blkio_1(text: str) -> list[Json]:
    rows = []
    for line in text.splitlines():
        words = line.split()
        if len(words) == 3 and words[1] in ("Read", "Write"):
            rows.append(_row(words[0], words[1].lower(), int(words[2])))
    return rows


def _blkio_2(text: str) -> list[Json]:
    rows = []
    for line in text.splitlines():
        device, *pairs = line.split()
        values = dict(pair.split("=", 1) for pair in pairs if "=" in pair)
        for key, operation in (("rbytes", "read"), ("wbytes", "write")):
            if key in values:
                rows.append(_row(device, operation, int(values[key])))
    return rows


def _row(device: str, operation: str, value: int) -> Json:
    major, _, minor = device.partition(":")
    return {"major": int(major), "minor": int(minor), "op": operation, "value": value}


def _links(pid: int) -> dict[str, dict[str, int]]:
    """Counters of every link but `lo` in the namespace of `pid` (proc(5), net/dev).

    The file is opened anew each time: a kept one would hold the namespace of a dead container.
    """
    try:
        text = Path(f"/proc/{pid}/net/dev").read_text(encoding="ascii")
    except OSError:
        return {}
    result = {}
    for line in text.splitlines()[2:]:
        name, _, rest = line.partition(":")
        words = rest.split()
        if name.strip() == "lo" or len(words) < 12:
            continue
        numbers = [int(word) for word in words]
        result[name.strip()] = {
            "rx_bytes": numbers[0],
            "rx_packets": numbers[1],
            "rx_errors": numbers[2],
            "rx_dropped": numbers[3],
            "tx_bytes": numbers[8],
            "tx_packets": numbers[9],
            "tx_errors": numbers[10],
            "tx_dropped": numbers[11],
        }
    return result


def host_cpu() -> int:
    """ns of CPU time the host has given out in all, idle included (proc(5), stat)."""
    with open("/proc/stat", encoding="ascii") as file:
        fields = file.readline().split()[1:9]
    return sum(int(value) for value in fields) * _TICK_NS


def host_memory() -> int:
    """Bytes of memory of this host."""
    return os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
