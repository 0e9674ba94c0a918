"""More of the machine than the header needs: cores, disks, links, pressure, processes."""

from __future__ import annotations

import os
import re
import time
from dataclasses import dataclass, field
from pathlib import Path

import psutil

# A container's 64 hex digits in the path of its cgroup, however the engine names it.
_CONTAINER = re.compile(r"[0-9a-f]{64}")
_PRESSURE = Path("/proc/pressure")
# What is no disk of its own, or not one that fills up.
_LEFT_OUT = ("squashfs", "overlay", "tmpfs", "devtmpfs", "iso9660", "ramfs")


@dataclass(frozen=True)
class Process:
    """One process: its CPU share in percent of a core, its memory in bytes, whose it is.

    `container` is the container's id, "" for the host's own.
    """

    pid: int
    name: str
    command: str
    cpu: float
    memory: int
    container: str = ""


@dataclass(frozen=True)
class Disk:
    """One file system: bytes used and in all; `rate` bytes a second, read and written."""

    place: str
    used: int
    total: int


@dataclass(frozen=True)
class Link:
    """One network device: bytes a second in and out."""

    name: str
    rx: float
    tx: float


@dataclass
class Facts:
    """The machine at one moment."""

    cores: list[float] = field(default_factory=list)
    memory: dict[str, int] = field(default_factory=dict)
    swap_used: int = 0
    swap_total: int = 0
    disks: list[Disk] = field(default_factory=list)
    read: float = 0
    written: float = 0
    links: list[Link] = field(default_factory=list)
    pressure: dict[str, float] = field(default_factory=dict)
    processes: list[Process] = field(default_factory=list)
    uptime: float = 0


class Reader:
    """Reads the facts; rates are since the last reading. Blocks some milliseconds: use a thread."""

    def __init__(self) -> None:
        self._at = 0.0
        self._disk = (0, 0)
        self._net: dict[str, tuple[int, int]] = {}
        self._cpu: dict[int, float] = {}

    def read(self) -> Facts:
        """Measure now."""
        now = time.monotonic()
        passed = now - self._at if self._at else 0.0
        self._at = now
        facts = Facts(cores=psutil.cpu_percent(percpu=True))
        memory = psutil.virtual_memory()
        facts.memory = {"used": memory.total - memory.available, "total": memory.total}
        for name in ("cached", "buffers", "shared"):
            facts.memory[name] = int(getattr(memory, name, 0))
        swap = psutil.swap_memory()
        facts.swap_used, facts.swap_total = swap.used, swap.total
        facts.disks = _disks()
        facts.uptime = time.time() - psutil.boot_time()
        facts.pressure = _pressure()
        self._rates(facts, passed)
        facts.processes = self._processes(passed)
        return facts

    def _rates(self, facts: Facts, passed: float) -> None:
        counters = psutil.disk_io_counters()
        before = self._disk
        self._disk = (counters.read_bytes, counters.write_bytes) if counters else (0, 0)
        if passed:
            facts.read = max(0, self._disk[0] - before[0]) / passed
            facts.written = max(0, self._disk[1] - before[1]) / passed
        links = {
            name: (one.bytes_recv, one.bytes_sent)
            for name, one in psutil.net_io_counters(pernic=True).items()
            if not name.startswith("veth")
        }
        for name, (rx, tx) in links.items():
            was = self._net.get(name, (rx, tx))
            span = passed or 1
            facts.links.append(Link(name, max(0, rx - was[0]) / span, max(0, tx - was[1]) / span))
        self._net = links

    def _processes(self, passed: float, most: int = 40) -> list[Process]:
        used: dict[int, float] = {}
        found: list[Process] = []
        for process in psutil.process_iter():
            try:
                with process.oneshot():
                    times = process.cpu_times()
                    total = times.user + times.system
                    used[process.pid] = total
                    before = self._cpu.get(process.pid)
                    share = 100 * (total - before) / passed if before is not None and passed else 0
                    memory = process.memory_info().rss
                    if not memory:
                        continue  # a thread of the kernel
                    found.append(Process(process.pid, process.name(), "", share, memory))
            except psutil.Error:
                continue  # it has ended
        self._cpu = used
        found.sort(key=lambda one: (-one.cpu, -one.memory))
        return [_named(one) for one in found[:most]]


def _named(one: Process) -> Process:
    """With its command line and the container whose cgroup it is in."""
    try:
        words = Path(f"/proc/{one.pid}/cmdline").read_bytes().split(b"\0")
        command = b" ".join(words).decode(errors="replace").strip()
    except OSError:
        command = ""
    return Process(one.pid, one.name, command or one.name, one.cpu, one.memory, owner(one.pid))


def owner(pid: int) -> str:
    """The id of the container whose process it is, "" when it is none's (cgroups(7))."""
    try:
        text = Path(f"/proc/{pid}/cgroup").read_text()
    except OSError:
        return ""
    match = _CONTAINER.search(text)
    return match[0] if match else ""


def _disks() -> list[Disk]:
    found: list[Disk] = []
    seen: set[int] = set()
    for part in psutil.disk_partitions(all=False):
        if part.fstype in _LEFT_OUT:
            continue
        try:
            device = os.stat(part.mountpoint).st_dev
            usage = psutil.disk_usage(part.mountpoint)
        except OSError:
            continue
        if device not in seen and usage.total:
            seen.add(device)
            found.append(Disk(part.mountpoint, usage.used, usage.total))
    if not found:
        usage = psutil.disk_usage("/")
        found.append(Disk("/", usage.used, usage.total))
    return found


def _pressure() -> dict[str, float]:
    """What share of the last ten seconds somebody waited, in percent (kernel: accounting/psi)."""
    found: dict[str, float] = {}
    for name in ("cpu", "memory", "io"):
        try:
            text = (_PRESSURE / name).read_text()
        except OSError:
            continue
        match = re.search(r"some avg10=([0-9.]+)", text)
        if match:
            found[name] = float(match[1])
    return found
