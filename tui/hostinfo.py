"""Figures of the machine the screen runs on, from proc(5): psutil is slow to import.

No machine stands quite still. What is shown stays as it is while what is measured is near it: a
screen that is left open on a host at rest writes nothing to its terminal.
"""

from __future__ import annotations

import os
from _socket import gethostname
from collections import deque
from collections.abc import Callable
from typing import NamedTuple, TypeVar


class Figures(NamedTuple):
    """The host at one moment: CPU in percent of all CPUs, memory in bytes, load of 1, 5, 15 min."""

    name: str
    cpus: int
    cpu: float
    memory_used: int
    memory_total: int
    load: tuple[float, float, float]
    disk_used: int
    disk_total: int
    rx: int
    tx: int


_busy = (0, 0)  # of the last reading: what the CPUs were busy with, and all their time, in ticks


def read() -> Figures:
    """Measure now; the CPU share is since the last call, 0 at the first."""
    memory = _memory()
    total = memory.get("MemTotal", 0)
    available = min(total, memory.get("MemAvailable", memory.get("MemFree", 0)))
    disk = os.statvfs("/")
    rx, tx = _network()
    return Figures(
        name=gethostname(),
        cpus=os.cpu_count() or 1,
        cpu=_cpu(),
        memory_used=total - available,
        memory_total=total,
        load=os.getloadavg(),
        disk_used=(disk.f_blocks - disk.f_bfree) * disk.f_frsize,
        disk_total=disk.f_blocks * disk.f_frsize,
        rx=rx,
        tx=tx,
    )


def beginning_with(first: Figures) -> Callable[[], Figures]:
    """A `read` whose first answer is `first`, which was just measured."""
    given = [first]

    def measured() -> Figures:
        return given.pop() if given else read()

    return measured


def _lines(path: str) -> list[bytes]:
    with open(path, "rb") as file:
        return file.read().splitlines()


def _memory() -> dict[str, int]:
    """The lines of /proc/meminfo in bytes."""
    words = (line.split() for line in _lines("/proc/meminfo"))
    return {one[0].decode().rstrip(":"): int(one[1]) * 1024 for one in words if len(one) > 1}


def _cpu() -> float:
    """The share of all CPUs that was busy since the last call, in percent."""
    global _busy
    # user nice system idle iowait irq softirq steal; what guests used is in the first two.
    ticks = [int(word) for word in _lines("/proc/stat")[0].split()[1:9]]
    before, whole = _busy, sum(ticks)
    _busy = (whole - ticks[3] - ticks[4], whole)
    passed = whole - before[1]
    if not before[1] or passed <= 0:
        return 0.0
    return min(100.0, max(0.0, 100 * (_busy[0] - before[0]) / passed))


def _network() -> tuple[int, int]:
    """The bytes that all links have received and sent."""
    rx = tx = 0
    for line in _lines("/proc/net/dev")[2:]:
        words = line.rpartition(b":")[2].split()
        rx, tx = rx + int(words[0]), tx + int(words[8])
    return rx, tx


REST = 2048  # bytes per second that pass on a host where nothing happens: shown as none


class HostHistory:
    """The last figures and the series the header draws, each steady while little changes."""

    def __init__(self) -> None:
        self.now: Figures | None = None
        self.cpu: deque[float] = deque(maxlen=600)
        self.memory: deque[float] = deque(maxlen=600)
        self.rx = self.tx = 0.0
        self._counted = (0, 0)

    def add(self, figures: Figures, passed: float) -> None:
        """Take new figures, measured `passed` seconds after the last ones."""
        before, counted = self.now, (figures.rx, figures.tx)
        if before is not None:
            if passed > 0:
                self.rx = _rate(self.rx, (counted[0] - self._counted[0]) / passed)
                self.tx = _rate(self.tx, (counted[1] - self._counted[1]) / passed)
            figures = figures._replace(
                cpu=_steady(before.cpu, figures.cpu, 2.5),
                memory_used=_steady(
                    before.memory_used, figures.memory_used, figures.memory_total / 200
                ),
                disk_used=_steady(before.disk_used, figures.disk_used, figures.disk_total / 1000),
                load=_loads(before.load, figures.load),
            )
        self.now, self._counted = figures, counted
        self.cpu.append(figures.cpu)
        self.memory.append(100 * figures.memory_used / max(1, figures.memory_total))


Number = TypeVar("Number", int, float)


def _steady(before: Number, now: Number, step: float) -> Number:
    """`before` as long as `now` is less than `step` away from it."""
    return before if abs(now - before) < step else now


def _rate(before: float, now: float) -> float:
    """A rate of bytes per second; it moves by a quarter at least."""
    return _steady(before, now, before / 4) if now >= REST else 0.0


def _loads(
    before: tuple[float, float, float], now: tuple[float, float, float]
) -> tuple[float, float, float]:
    one, two, three = (
        _steady(old, new, max(0.05, old / 20)) for old, new in zip(before, now, strict=True)
    )
    return one, two, three
