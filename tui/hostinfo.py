"""Figures of the machine the screen runs on, by psutil."""

from __future__ import annotations

import os
import socket
from collections import deque
from dataclasses import dataclass, field

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


@dataclass
class HostHistory:
    """The last figures and the series the header draws."""

    now: Figures | None = None
    cpu: deque[float] = field(default_factory=lambda: deque(maxlen=600))
    memory: deque[float] = field(default_factory=lambda: deque(maxlen=600))
    rx: float = 0
    tx: float = 0

    def add(self, figures: Figures, passed: float) -> None:
        """Take new figures, measured `passed` seconds after the last ones."""
        if self.now is not None and passed > 0:
            self.rx = max(0.0, (figures.rx - self.now.rx) / passed)
            self.tx = max(0.0, (figures.tx - self.now.tx) / passed)
        self.now = figures
        self.cpu.append(figures.cpu)
        self.memory.append(100 * figures.memory_used / max(1, figures.memory_total))
