"""What a running container uses: one reading of its cgroup and of its network counters.

All counters are cumulative. Control groups v1 and v2 have the same facts in different files
(kernel: admin-guide/cgroup-v1, cgroup-v2.rst).
"""

from __future__ import annotations

import errno
import functools
import os
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ..host import cgroups
from . import blockio

# What "no limit" is in v1's memory.limit_in_bytes: the largest multiple of a page.
_UNLIMITED = 1 << 62
# So many readings of a container that rests are of its CPU time only.
_RESTS = 5
# memory.stat has 2 KB; a page is what the kernel gives at once.
_LARGEST = 16384
_PERCPU = ("cpuacct", "cpuacct.usage_percpu")
_NET = ("rx_bytes", "rx_packets", "rx_errors", "rx_dropped", "tx_bytes", "tx_packets")
_NET_FIELDS = (*_NET, "tx_errors", "tx_dropped")
# Their columns in /proc/net/dev (proc(5)).
_NET_COLUMNS = (0, 1, 2, 3, 8, 9, 10, 11)


@dataclass(frozen=True, slots=True)
class Sample:
    """One reading. Times in ns (CPU and wall), memory and I/O in bytes; 0 for no limit.

    `memory` is without the page cache that can go at once (Docker's figure), `memory_raw` with.
    `block` has (major, minor, operation) → bytes; `network` interface → counters; `throttling`
    periods, throttled ones, and ns; `pressure` percent of CPU, memory and I/O (PSI, some avg10);
    `percpu` the CPU time on each CPU as the kernel of v1 writes it.
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
    pressure: tuple[float, float, float] = (0.0, 0.0, 0.0)
    percpu: bytes = b""

    def later(self, now: int, system: int, network: dict[str, dict[str, int]]) -> Sample:
        """The same at another time: of a container none of whose processes has run meanwhile."""
        return Sample(
            now,
            self.cpu,
            self.cpu_user,
            self.cpu_kernel,
            system,
            self.throttling,
            self.memory,
            self.memory_raw,
            self.memory_peak,
            self.memory_limit,
            self.memory_stat,
            self.pids,
            self.pids_limit,
            self.block,
            network,
            self.pressure,
            self.percpu,
        )

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

    def throttled(self, before: Sample | None) -> float:
        """Time without CPU because of the quota since `before`, in percent; 0 without one."""
        if before is None or self.time <= before.time:
            return 0.0
        held = self.throttling[2] - before.throttling[2]
        return max(0, held) / (self.time - before.time) * 100

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


class Reader:
    """Reads one container's figures again and again, blocking some 40 µs.

    Most containers rest. While the CPU time of one stands still nothing in it has run; what else
    can change (memory that the kernel takes back) is read every few times.

    With `keep` its files stay open, which is four times cheaper and takes some 16 descriptors.
    A removed cgroup can't be read through them, and they do not hold it; they are closed then, for
    a container that is started again has another one of the same name.
    """

    def __init__(self, cgroup: str, keep: bool = False) -> None:
        layout = cgroups.layout()
        self._read = _read_v2 if layout.version == 2 else _read_v1
        self._time = ("unified", "cpu.stat") if layout.version == 2 else _PERCPU
        self._last: Sample | None = None
        self._spent = b""
        # Not all containers in the same second.
        self._rested = hash(cgroup) % _RESTS
        self.resting = False
        self._folders = {
            name: os.fspath(folder) + "/"
            for name in ("cpuacct", "cpu", "memory", "pids", "blkio")
            if (folder := layout.folder(name, cgroup)) is not None
        }
        if layout.unified is not None:
            self._folders["unified"] = os.fspath(layout.unified / cgroup.lstrip("/")) + "/"
        self._keep = keep
        # -1: the kernel has no such file.
        self._open: dict[str, int] = {}
        self._parsed: dict[str, tuple[bytes, Any]] = {}

    def sample(self, system: int, network: dict[str, dict[str, int]]) -> Sample | None:
        """A reading, with the host's CPU time and the network's counters; None when it is gone."""
        try:
            spent = self.content(*self._time)
            last = self._last
            self.resting = (
                last is not None
                and spent == self._spent
                and self._rested < _RESTS
                and not any(last.pressure)
            )
            if last is not None and self.resting:
                self._rested += 1
                self._last = last.later(time.time_ns(), system, network)
            else:
                self._rested = 0 if last is not None else self._rested
                self._spent = spent
                self._last = self._read(self, system, network, spent)
            return self._last
        except (FileNotFoundError, ProcessLookupError, NotADirectoryError):
            self.close()
            return None
        except OSError as error:
            if error.errno == errno.ENODEV:  # removed after it was opened
                self.close()
                return None
            raise

    def renew(self) -> None:
        """Read everything next time: somebody has changed its limits."""
        self._rested = _RESTS

    def content(self, controller: str, name: str) -> bytes:
        """The content of one of the cgroup's files. Raises FileNotFoundError."""
        fd = self._open.get(name, -2)
        if fd >= 0:
            return os.pread(fd, _LARGEST, 0)
        if (folder := self._folders.get(controller)) is None or fd == -1:
            raise FileNotFoundError(controller)
        try:
            fd = os.open(folder + name, os.O_RDONLY | os.O_CLOEXEC)
        except FileNotFoundError:
            if self._open:  # the cgroup is there, this file of it is not
                self._open[name] = -1
            raise
        if self._keep:
            self._open[name] = fd
            return os.pread(fd, _LARGEST, 0)
        try:
            return os.read(fd, _LARGEST)
        finally:
            os.close(fd)

    def optional(self, controller: str, name: str) -> bytes:
        """Likewise; empty where the kernel has no such file."""
        try:
            return self.content(controller, name)
        except FileNotFoundError:
            return b""
        except OSError as error:
            if error.errno == errno.EOPNOTSUPP:  # pressure, where the boot line turned it off
                return b""
            raise

    def parsed(self, controller: str, name: str, parse: Callable[[bytes], Any]) -> Any:
        """What `parse` makes of a file that some kernels lack; of the same bytes only once."""
        data = self.optional(controller, name)
        last = self._parsed.get(name)
        if last is None or last[0] != data:
            last = self._parsed[name] = data, parse(data)
        return last[1]

    def pressure(self) -> tuple[float, float, float]:
        """PSI of CPU, memory and I/O: percent of ten seconds in which some process waited."""
        return (
            self.parsed("unified", "cpu.pressure", _pressure),
            self.parsed("unified", "memory.pressure", _pressure),
            self.parsed("unified", "io.pressure", _pressure),
        )

    def close(self) -> None:
        """Close what was kept open."""
        for fd in self._open.values():
            if fd >= 0:
                os.close(fd)
        self._open.clear()


def read(cgroup: str, pid: int, system: int | None = None) -> Sample | None:
    """One reading of the container in `cgroup` whose first process is `pid`; None when it is gone.

    `pid` 0 leaves the network out (it is the host's). `system` is `system_cpu()` when the caller
    has it already: it is the same for all.
    """
    try:
        network = read_network(pid) if pid else {}
    except (FileNotFoundError, ProcessLookupError):
        return None
    return Reader(cgroup).sample(system_cpu() if system is None else system, network)


def _read_v1(
    reader: Reader, system: int, network: dict[str, dict[str, int]], percpu: bytes
) -> Sample:
    now = time.time_ns()
    stat = reader.content("memory", "memory.stat")
    raw = int(reader.content("memory", "memory.usage_in_bytes"))
    block = "blkio.throttle.io_service_bytes_recursive"
    return Sample(
        time=now,
        # The sum is cpuacct.usage: one file tells both.
        cpu=sum(map(int, percpu.split())),
        percpu=percpu,
        cpu_user=int(reader.content("cpuacct", "cpuacct.usage_user")),
        cpu_kernel=int(reader.content("cpuacct", "cpuacct.usage_sys")),
        system_cpu=system,
        throttling=reader.parsed("cpu", "cpu.stat", _throttling_v1),
        # Docker's rule: without the page cache that the kernel would give up first.
        memory=max(0, raw - field_of(stat, b"total_inactive_file")),
        memory_raw=raw,
        memory_peak=int(reader.content("memory", "memory.max_usage_in_bytes")),
        memory_limit=reader.parsed("memory", "memory.limit_in_bytes", _limit),
        memory_stat=stat,
        pids=int(reader.content("pids", "pids.current")),
        pids_limit=reader.parsed("pids", "pids.max", _limit),
        block=reader.parsed("blkio", block, blockio.parse_v1),
        network=network,
        pressure=reader.pressure(),
    )


def _read_v2(
    reader: Reader, system: int, network: dict[str, dict[str, int]], spent: bytes
) -> Sample:
    now = time.time_ns()
    cpu = _pairs(spent)
    stat = reader.content("unified", "memory.stat")
    raw = int(reader.content("unified", "memory.current"))
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
        memory_peak=int(reader.optional("unified", "memory.peak") or 0),
        memory_limit=reader.parsed("unified", "memory.max", _limit),
        memory_stat=stat,
        pids=int(reader.optional("unified", "pids.current") or 0),
        pids_limit=reader.parsed("unified", "pids.max", _limit),
        block=reader.parsed("unified", "io.stat", blockio.parse_v2),
        network=network,
        pressure=reader.pressure(),
    )


def _throttling_v1(text: bytes) -> tuple[int, int, int]:
    found = _pairs(text)
    names = ("nr_periods", "nr_throttled", "throttled_time")
    periods, throttled, nanoseconds = (found.get(name, 0) for name in names)
    return periods, throttled, nanoseconds


def _pressure(text: bytes) -> float:
    """`some avg10=1.23 …` of a PSI file; 0 without one."""
    _, found, rest = text.partition(b"avg10=")
    return float(rest.split(None, 1)[0]) if found else 0.0


def _bytes(path: Path) -> bytes:
    with open(path, "rb", buffering=0) as file:
        return file.read() or b""


def _limit(text: bytes) -> int:
    """A limit in a file; 0 for none."""
    text = text.strip()
    if not text or text == b"max":
        return 0
    value = int(text)
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
    return 0 if start < 0 else int(text[start + len(key) :].split(None, 1)[0])


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
