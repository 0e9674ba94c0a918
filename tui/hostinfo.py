"""Figures of the machine the screen runs on, by psutil.

No machine stands quite still. What is shown stays as it is while what is measured is near it: a
screen that is left open on a host at rest writes nothing to its terminal.
"""

from __future__ import annotations

import os
import socket
from collections import deque
from dataclasses import dataclass, field, replace
from typing import TypeVar

import psutil


@dataclass(frozen=True)
class Figures:
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


def read() -> Figures:
    """Measure now; the CPU share is since the last call, 0 at the first."""
    memory = psutil.virtual_memory()
    disk = psutil.disk_usage("/")
    network = psutil.net_io_counters()
    return Figures(
        name=socket.gethostname(),
        cpus=psutil.cpu_count() or 1,
        cpu=psutil.cpu_percent(),
        memory_used=memory.total - memory.available,
        memory_total=memory.total,
        load=os.getloadavg(),
        disk_used=disk.used,
        disk_total=disk.total,
        rx=network.bytes_recv if network else 0,
        tx=network.bytes_sent if network else 0,
    )


REST = 2048  # bytes per second that pass on a host where nothing happens: shown as none


@dataclass
class HostHistory:
    """The last figures and the series the header draws, each steady while little changes."""

    now: Figures | None = None
    cpu: deque[float] = field(default_factory=lambda: deque(maxlen=600))
    memory: deque[float] = field(default_factory=lambda: deque(maxlen=600))
    rx: float = 0
    tx: float = 0
    _counted: tuple[int, int] = (0, 0)

    def add(self, figures: Figures, passed: float) -> None:
        """Take new figures, measured `passed` seconds after the last ones."""
        before, counted = self.now, (figures.rx, figures.tx)
        if before is not None:
            if passed > 0:
                self.rx = _rate(self.rx, (counted[0] - self._counted[0]) / passed)
                self.tx = _rate(self.tx, (counted[1] - self._counted[1]) / passed)
            figures = replace(
                figures,
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
