"""Figures of all running containers, once a second: `docker stats` and the screen's curves."""

from __future__ import annotations

import asyncio
import logging
import os
import time
from collections import deque
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field

from ..host import cgroups, clock
from ..host.threads import offload
from . import samples
from .context import cgroup_path
from .options import Options
from .samples import Sample
from .types import Container, Json

KEPT = 600
INTERVAL = 1.0
_log = logging.getLogger(__name__)


@dataclass(slots=True)
class _Point:
    """What is kept of a sample for the curves."""

    time: int
    cpu: float
    memory: int
    memory_limit: int
    rx: int
    tx: int
    read: int
    write: int
    pids: int

    def json(self) -> Json:
        return {
            "cpu": self.cpu,
            "memory": self.memory,
            "memory_limit": self.memory_limit,
            "rx": self.rx,
            "tx": self.tx,
            "read": self.read,
            "write": self.write,
            "pids": self.pids,
        }


@dataclass
class _Track:
    """One container's last two samples and its curve."""

    last: Sample | None = None
    before: Sample | None = None
    points: deque[_Point] = field(default_factory=lambda: deque(maxlen=KEPT))

    def add(self, sample: Sample) -> None:
        # A container restarted within a second counts from 0 again.
        previous = self.last if self.last and self.last.cpu <= sample.cpu else None
        self.before, self.last = previous, sample
        self.points.append(
            _Point(
                time=sample.time,
                cpu=round(sample.percent(previous), 2),
                memory=sample.memory,
                memory_limit=sample.memory_limit or samples.host_memory(),
                rx=sample.received,
                tx=sample.sent,
                read=sample.read_bytes,
                write=sample.written_bytes,
                pids=sample.pids,
            )
        )


class Stats:
    """Samples every running container while `run` runs; keeps ten minutes of each."""

    def __init__(self, options: Options, containers: Callable[[], list[Container]]) -> None:
        self._options = options
        self._containers = containers
        self._tracks: dict[str, _Track] = {}
        self._tick: Json = {"time": 0, "containers": {}}
        self._ticked = asyncio.Event()

    async def run(self) -> None:
        """Sample once a second until cancelled."""
        loop = asyncio.get_running_loop()
        due = loop.time()
        while True:
            try:
                await self.sample()
            except OSError:
                # One odd file must not end the figures of all others for good.
                _log.exception("sampling failed")
            # What a slow second missed is not caught up with.
            due = max(due + INTERVAL, loop.time())
            await asyncio.sleep(due - loop.time())

    async def sample(self) -> None:
        """Take one sample of each running container now, and tell the listeners."""
        existing = self._containers()
        wanted = [
            (entry.id, cgroup_path(self._options, entry), _network_pid(entry))
            for entry in existing
            if entry.state.running and entry.state.pid
        ]
        found = await offload(_read_all, wanted) if wanted else {}
        for gone in self._tracks.keys() - {entry.id for entry in existing}:
            del self._tracks[gone]
        for entry in existing:
            if not entry.state.running and entry.id in self._tracks:
                # Its next run counts from 0 again; its curve goes on.
                self._tracks[entry.id].last = self._tracks[entry.id].before = None
        for identity, sample in found.items():
            self._tracks.setdefault(identity, _Track()).add(sample)
        self._tick = {
            "time": max((sample.time for sample in found.values()), default=0),
            "containers": {key: self._tracks[key].points[-1].json() for key in found},
        }
        ticked, self._ticked = self._ticked, asyncio.Event()
        ticked.set()

    def latest(self, container_id: str) -> Sample | None:
        """The container's last sample; None when there was none yet."""
        track = self._tracks.get(container_id)
        return track.last if track else None

    async def stream(self) -> AsyncIterator[Json]:
        """Each second's figures of all running containers. A slow reader misses some."""
        while True:
            await self._ticked.wait()
            yield self._tick

    def history(self, seconds: int) -> Json:
        """The curves of the last `seconds` (at most ten minutes), one list per figure."""
        result: Json = {}
        oldest = time.time_ns() - seconds * 1_000_000_000
        for identity, track in self._tracks.items():
            points = [point for point in track.points if point.time > oldest]
            curves: Json = {"time": [point.time for point in points]}
            for key in ("cpu", "memory", "rx", "tx", "read", "write", "pids"):
                curves[key] = [getattr(point, key) for point in points]
            curves["memory_limit"] = points[-1].memory_limit if points else 0
            result[identity] = curves
        return {"interval": INTERVAL, "containers": result}

    def docker_json(self, container: Container) -> Json:
        """Docker's stats object of a container, with the second before; zeros when it is down."""
        result: Json = {"name": f"/{container.name}", "id": container.id, "num_procs": 0}
        track = self._tracks.get(container.id)
        if container.state.running and (track is None or track.last is None):
            # Younger than a second: this reading takes some 100 us.
            wanted = (container.id, cgroup_path(self._options, container), _network_pid(container))
            for sample in _read_all([wanted]).values():
                track = self._tracks.setdefault(container.id, _Track())
                track.add(sample)
        if track is None or track.last is None or not container.state.running:
            result |= {"read": clock.ZERO, "preread": clock.ZERO, "pids_stats": {}}
            empty: Json = {"cpu_usage": {"total_usage": 0}, "throttling_data": {}}
            result |= {"cpu_stats": empty, "precpu_stats": empty, "memory_stats": {}}
            return result | {"blkio_stats": {}, "storage_stats": {}}
        last, before = track.last, track.before
        result |= {
            "read": clock.from_ns(last.time),
            "preread": clock.from_ns(before.time if before else 0),
            "pids_stats": _without_zero({"current": last.pids, "limit": last.pids_limit}),
            "blkio_stats": _blkio(last),
            "storage_stats": {},
            "cpu_stats": _cpu(last),
            "precpu_stats": _cpu(before) if before else _NO_CPU,
            "memory_stats": _memory(last),
        }
        if last.network:
            result["networks"] = last.network
        return result


_NO_CPU: Json = {
    "cpu_usage": {"total_usage": 0, "usage_in_kernelmode": 0, "usage_in_usermode": 0},
    "throttling_data": {"periods": 0, "throttled_periods": 0, "throttled_time": 0},
}


def _network_pid(container: Container) -> int:
    """Whose counters are the container's: nobody's with the host's network, as in Docker."""
    if container.host_config.get("NetworkMode") == "host":
        return 0
    return container.state.pid


def _read_all(wanted: list[tuple[str, str, int]]) -> dict[str, Sample]:
    system = samples.system_cpu()
    found = {}
    for identity, cgroup, pid in wanted:
        if (sample := samples.read(cgroup, pid, system)) is not None:
            found[identity] = sample
    return found


def _cpu(sample: Sample) -> Json:
    periods, throttled, throttled_time = sample.throttling
    return {
        "cpu_usage": {
            "total_usage": sample.cpu,
            "usage_in_kernelmode": sample.cpu_kernel,
            "usage_in_usermode": sample.cpu_user,
        },
        "system_cpu_usage": sample.system_cpu,
        "online_cpus": len(os.sched_getaffinity(0)),
        "throttling_data": {
            "periods": periods,
            "throttled_periods": throttled,
            "throttled_time": throttled_time,
        },
    }


def _memory(sample: Sample) -> Json:
    stats = {}
    for line in sample.memory_stat.splitlines():
        key, _, value = line.partition(b" ")
        if value.isdigit():
            stats[key.decode()] = int(value)
    result: Json = {
        "usage": sample.memory_raw,
        "stats": stats,
        "limit": sample.memory_limit or samples.host_memory(),
    }
    if cgroups.layout().version == 1:
        result["max_usage"] = sample.memory_peak
    return result


def _blkio(sample: Sample) -> Json:
    entries = [
        {"major": major, "minor": minor, "op": operation, "value": value}
        for (major, minor, operation), value in sorted(sample.block.items())
    ]
    names = ("io_serviced", "io_queue", "io_service_time", "io_wait_time", "io_merged", "io_time")
    empty = {f"{name}_recursive": None for name in names}
    return {"io_service_bytes_recursive": entries or None, **empty, "sectors_recursive": None}


def _without_zero(values: dict[str, int]) -> dict[str, int]:
    return {key: value for key, value in values.items() if value}
