"""What a running container uses: one reading of its cgroup and of its network counters.

All counters are cumulative. Control groups v1 and v2 have the same facts in different files
(kernel: admin-guide/cgroup-v1, cgroup-v2.rst).
"""

from __future__ import annotations

import functools
import os
import time
from dataclasses import dataclass, field
from pathlib import Path

from ..host import cgroups

# What "no limit" is in v1's memory.limit_in_bytes: the largest multiple of a page.
_UNLIMITED = 1 << 62
_NET = ("rx_bytes", "rx_packets", "rx_errors", "rx_dropped", "tx_bytes", "tx_packets")
_NET_FIELDS = (*_NET, "tx_errors", "tx_dropped")
# Their columns in /proc/net/dev (proc(5)).
_NET_COLUMNS = (0, 1, 2, 3, 8, 9, 10, 11)


@dataclass(frozen=True, slots=True)
class Sample:
    """One reading. Times in ns (CPU and wall), memory and I/O in bytes; 0 for no limit.

    `memory` is without the page cache that can go at once (Docker's figure), `memory_raw` with.
    `block` has (major, minor, operation) → bytes; `network` interface → counters.
    """

    time: int
    cpu: int
    cpu_user: int
    cpu_kernel: int
    system_cpu: int
    throttling: tuple[int, int, int]
    memory: int
    memory_raw: int
    memory_peak: int
    memory_limit: int
    memory_stat: bytes
    pids: int
    pids_limit: int
    block: dict[tuple[int, int, str], int] = field(default_factory=dict)
    network: dict[str, dict[str, int]] = field(default_factory=dict)

    @property
    def received(self) -> int:
        """Bytes received on all interfaces but the loopback."""
        return sum(counters["rx_bytes"] for counters in self.network.values())

    @property
    def sent(self) -> int:
        """Bytes sent on all interfaces but the loopback."""
        return sum(counters["tx_bytes"] for counters in self.network.values())

    @property
    def read_bytes(self) -> int:
        """Bytes read from block devices."""
        return sum(value for key, value in self.block.items() if key[2] == "read")

    @property
    def written_bytes(self) -> int:
        """Bytes written to block devices; in v1 mostly those not through the page cache."""
        return sum(value for key, value in self.block.items() if key[2] == "write")

    def percent(self, before: Sample | None) -> float:
        """CPU use since `before` in percent of one CPU; 0 without an earlier reading."""
        if before is None or self.time <= before.time:
            return 0.0
        return max(0, self.cpu - before.cpu) / (self.time - before.time) * 100


@functools.cache
def host_memory() -> int:
    """The host's memory in bytes: the limit of whoever has none of his own."""
    return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")


def system_cpu() -> int:
    """What all CPUs have spent since boot, in ns (Docker's `system_cpu_usage`; proc(5) stat)."""
    with open("/proc/stat", "rb") as file:
        fields = file.readline().split()
    # user nice system idle iowait irq softirq, as Docker sums them.
    return sum(map(int, fields[1:8])) * 1_000_000_000 // os.sysconf("SC_CLK_TCK")


def read(cgroup: str, pid: int, system: int | None = None) -> Sample | None:
    """A reading of the container in `cgroup` whose first process is `pid`; None when it is gone.

    `pid` 0 leaves the network out (it is the host's). `system` is `system_cpu()` when the caller
    has it already: it is the same for all. Blocks for about 50 µs.
    """
    try:
        network = read_network(pid) if pid else {}
        total = system_cpu() if system is None else system
        reader = _read_v2 if cgroups.layout().version == 2 else _read_v1
        return reader(cgroup, total, network)
    except (FileNotFoundError, ProcessLookupError, NotADirectoryError):
        return None
    except OSError as error:
        if error.errno == 19:  # ENODEV: the cgroup was removed between open and read
            return None
        raise


def _read_v1(cgroup: str, system: int, network: dict[str, dict[str, int]]) -> Sample:
    cpu, memory, pids = (_folder(name, cgroup) for name in ("cpuacct", "memory", "pids"))
    now = time.time_ns()
    stat = _bytes(memory / "memory.stat")
    raw = _number(memory / "memory.usage_in_bytes")
    throttled = _pairs(_bytes(_folder("cpu", cgroup) / "cpu.stat"))
    return Sample(
        time=now,
        cpu=_number(cpu / "cpuacct.usage"),
        cpu_user=_number(cpu / "cpuacct.usage_user"),
        cpu_kernel=_number(cpu / "cpuacct.usage_sys"),
        system_cpu=system,
        throttling=(
            throttled.get("nr_periods", 0),
            throttled.get("nr_throttled", 0),
            throttled.get("throttled_time", 0),
        ),
        memory=max(0, raw - field_of(stat, b"total_inactive_file")),
        memory_raw=raw,
        memory_peak=_number(memory / "memory.max_usage_in_bytes"),
        memory_limit=_limit(_number(memory / "memory.limit_in_bytes")),
        memory_stat=stat,
        pids=_number(pids / "pids.current"),
        pids_limit=_number(pids / "pids.max"),
        block=_block_v1(_folder("blkio", cgroup) / "blkio.throttle.io_service_bytes_recursive"),
        network=network,
    )


def _read_v2(cgroup: str, system: int, network: dict[str, dict[str, int]]) -> Sample:
    folder = _folder("", cgroup)
    now = time.time_ns()
    cpu = _pairs(_bytes(folder / "cpu.stat"))
    stat = _bytes(folder / "memory.stat")
    raw = _number(folder / "memory.current")
    return Sample(
        time=now,
        cpu=cpu.get("usage_usec", 0) * 1000,
        cpu_user=cpu.get("user_usec", 0) * 1000,
        cpu_kernel=cpu.get("system_usec", 0) * 1000,
        system_cpu=system,
        throttling=(
            cpu.get("nr_periods", 0),
            cpu.get("nr_throttled", 0),
            cpu.get("throttled_usec", 0) * 1000,
        ),
        memory=max(0, raw - field_of(stat, b"inactive_file")),
        memory_raw=raw,
        memory_peak=_number(folder / "memory.peak", optional=True),
        memory_limit=_limit(_number(folder / "memory.max")),
        memory_stat=stat,
        pids=_number(folder / "pids.current", optional=True),
        pids_limit=_number(folder / "pids.max", optional=True),
        block=_block_v2(folder / "io.stat"),
        network=network,
    )


def _folder(controller: str, cgroup: str) -> Path:
    folder = cgroups.layout().folder(controller, cgroup)
    if folder is None:
        raise FileNotFoundError(controller)
    return folder


def _bytes(path: Path) -> bytes:
    with open(path, "rb", buffering=0) as file:
        return file.read() or b""


def _number(path: Path, optional: bool = False) -> int:
    """The number in a file, 0 for `max`; files some kernels lack are `optional`."""
    try:
        text = _bytes(path).strip()
    except FileNotFoundError:
        if optional:
            return 0
        raise
    return 0 if text == b"max" else int(text)


def _limit(value: int) -> int:
    return 0 if value >= _UNLIMITED else value


def _pairs(text: bytes) -> dict[str, int]:
    """`key number` lines."""
    result = {}
    for line in text.splitlines():
        key, _, value = line.partition(b" ")
        if value.isdigit():
            result[key.decode()] = int(value)
    return result


def field_of(text: bytes, key: bytes) -> int:
    """One of the `key number` lines, found without taking all apart."""
    start = (b"\n" + text).find(b"\n" + key + b" ")
    if start < 0:
        return 0
    return int(text[start + len(key) :].split(None, 1)[0])


def _block_v1(path: Path) -> dict[tuple[int, int, str], int]:
    """`8:0 Read 4096` lines."""
    result: dict[tuple[int, int, str], int] = {}
    for line in _bytes(path).decode("ascii").splitlines():
        fields = line.split()
        if len(fields) == 3 and fields[1] in ("Read", "Write"):
            major, _, minor = fields[0].partition(":")
            result[int(major), int(minor), fields[1].lower()] = int(fields[2])
    return result


def _block_v2(path: Path) -> dict[tuple[int, int, str], int]:
    """`8:0 rbytes=4096 wbytes=0 …` lines."""
    result: dict[tuple[int, int, str], int] = {}
    try:
        text = _bytes(path).decode("ascii")
    except FileNotFoundError:
        return result
    for line in text.splitlines():
        device, *fields = line.split()
        major, _, minor = device.partition(":")
        for entry in fields:
            key, _, value = entry.partition("=")
            if key in ("rbytes", "wbytes"):
                operation = "read" if key == "rbytes" else "write"
                result[int(major), int(minor), operation] = int(value)
    return result


def read_network(pid: int) -> dict[str, dict[str, int]]:
    """The counters of the interfaces a process sees, without the loopback."""
    result = {}
    for line in _bytes(Path(f"/proc/{pid}/net/dev")).decode().splitlines()[2:]:
        name, _, rest = line.partition(":")
        values = rest.split()
        if name.strip() != "lo":
            numbers = (int(values[column]) for column in _NET_COLUMNS)
            result[name.strip()] = dict(zip(_NET_FIELDS, numbers, strict=True))
    return result
