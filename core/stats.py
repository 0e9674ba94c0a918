"""Statistics with memory: every running container sampled once a second, for all who look.

The engine samples whether anyone looks or not, so that a screen opened now shows the minutes
before it.
"""

from __future__ import annotations

import asyncio
import os
from collections import deque
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field

from ..host import clock
from ..host.threads import offload
from . import samples
from .context import cgroup_path
from .options import Options
from .samples import Sample
from .types import Container, Json

INTERVAL = 1.0
KEPT_SECONDS = 600


@dataclass(frozen=True)
class Point:
    """One second of history: `cpu` in percent of one core, the rest as in `Sample`."""

    time: int
    cpu: float
    memory: int
    rx: int
    tx: int
    read: int
    write: int
    pids: int


@dataclass
class Track:
    """What is remembered of one container: its last two samples, and ten minutes of points."""

    last: Sample | None = None
    before: Sample | None = None
    points: deque[Point] = field(default_factory=lambda: deque(maxlen=KEPT_SECONDS))


class Stats:
    """Samples every running container each second while `run` runs."""

    def __init__(self, options: Options, containers: Callable[[], list[Container]]) -> None:
        self._options = options
        self._containers = containers
        self._tracks: dict[str, Track] = {}
        self._tick = asyncio.Condition()

    async def run(self) -> None:
        """Sample until cancelled."""
        loop = asyncio.get_running_loop()
        due = loop.time()
        while True:
            await self._sample_all()
            async with self._tick:
                self._tick.notify_all()
            due = max(due + INTERVAL, loop.time())
            await asyncio.sleep(due - loop.time())

    async def _sample_all(self) -> None:
        containers = self._containers()
        running = [item for item in containers if item.state.running]
        wanted = [
            (
                item.id,
                cgroup_path(self._options, item),
                item.state.pid,
                item.host_config["NetworkMode"] != "host",
            )
            for item in running
        ]
        found = await offload(_read_all, wanted) if wanted else []
        for key, sample in found:
            self._add(key, sample)
        known = {item.id for item in containers}
        for key in [key for key in self._tracks if key not in known]:
            del self._tracks[key]
        for item in containers:
            if not item.state.running and item.id in self._tracks:
                # A next run counts from 0 again; its history goes on.
                self._tracks[item.id].last = self._tracks[item.id].before = None

    def _add(self, key: str, sample: Sample) -> None:
        track = self._tracks.setdefault(key, Track())
        track.before, track.last = track.last, sample
        track.points.append(
            Point(
                time=sample.time,
                cpu=round(cpu_percent(track.before, sample), 2),
                memory=sample.used,
                rx=sample.traffic("rx_bytes"),
                tx=sample.traffic("tx_bytes"),
                read=sample.moved("read"),
                write=sample.moved("write"),
                pids=sample.pids,
            )
        )

    def latest(self, key: str) -> Sample | None:
        """The newest sample of a running container; None before the first."""
        track = self._tracks.get(key)
        return track.last if track else None

    def history(self, seconds: int) -> Json:
        """Every container's points of the last `seconds`, as `/bay/samples` gives them."""
        result: Json = {}
        for key, track in self._tracks.items():
            points = list(track.points)[-seconds:] if seconds > 0 else []
            row: Json = {
                name: [getattr(point, name) for point in points]
                for name in ("time", "cpu", "memory", "rx", "tx", "read", "write", "pids")
            }
            row["memory_limit"] = track.last.memory_limit if track.last else 0
            result[key] = row
        return {"interval": INTERVAL, "containers": result}

    async def stream(self) -> AsyncIterator[Json]:
        """Every running container's newest point, once a second from the next sampling on."""
        while True:
            async with self._tick:
                await self._tick.wait()
            rows: Json = {}
            now = 0
            for key, track in self._tracks.items():
                if track.last is None:
                    continue
                point = track.points[-1]
                now = max(now, point.time)
                rows[key] = {
                    "cpu": point.cpu,
                    "memory": point.memory,
                    "memory_limit": track.last.memory_limit,
                    "rx": point.rx,
                    "tx": point.tx,
                    "read": point.read,
                    "write": point.write,
                    "pids": point.pids,
                }
            yield {"time": now, "containers": rows}

    def docker_json(self, container: Container) -> Json:
        """Docker's stats object; all zero for a container that does not run."""
        track = self._tracks.get(container.id, Track())
        if container.state.running and track.last is None:
            self._add_now(container)
            track = self._tracks[container.id]
        return docker_json(container, track.before, track.last)

    def _add_now(self, container: Container) -> None:
        """A container younger than a second: read it now, some 100 us."""
        own = container.host_config["NetworkMode"] != "host"
        path = cgroup_path(self._options, container)
        self._add(container.id, samples.read(path, container.state.pid, own_network=own))


def _read_all(wanted: list[tuple[str, str, int, bool]]) -> list[tuple[str, Sample]]:
    return [(key, samples.read(path, pid, own_network=own)) for key, path, pid, own in wanted]


def cpu_percent(before: Sample | None, now: Sample) -> float:
    """Percent of one core between two samples; 0 for the first one."""
    if before is None or now.time <= before.time or now.cpu < before.cpu:
        return 0.0
    return (now.cpu - before.cpu) / (now.time - before.time) * 100


def docker_json(container: Container, before: Sample | None, now: Sample | None) -> Json:
    """Docker's `StatsResponse` of two samples."""
    result: Json = {
        "read": clock.from_ns(now.time if now else 0),
        "preread": clock.from_ns(before.time if before else 0),
        "num_procs": 0,
        "storage_stats": {},
        "name": f"/{container.name}",
        "id": container.id,
        "cpu_stats": _cpu(now),
        "precpu_stats": _cpu(before),
        "pids_stats": {},
        "memory_stats": {},
        "blkio_stats": {"io_service_bytes_recursive": None, "io_serviced_recursive": None},
    }
    if now is None:
        return result
    result["pids_stats"] = {"current": now.pids}
    if now.pids_limit:
        result["pids_stats"]["limit"] = now.pids_limit
    result["memory_stats"] = {
        "usage": now.memory,
        "max_usage": now.memory_max,
        "stats": now.memory_stat,
        "limit": now.memory_limit,
    }
    result["blkio_stats"]["io_service_bytes_recursive"] = now.blkio
    if now.networks:
        result["networks"] = now.networks
    return result


def _cpu(sample: Sample | None) -> Json:
    periods, throttled, lost = sample.throttling if sample else (0, 0, 0)
    result: Json = {
        "cpu_usage": {
            "total_usage": sample.cpu if sample else 0,
            "usage_in_kernelmode": sample.cpu_system if sample else 0,
            "usage_in_usermode": sample.cpu_user if sample else 0,
        },
        "throttling_data": {
            "periods": periods,
            "throttled_periods": throttled,
            "throttled_time": lost,
        },
    }
    if sample:
        result["system_cpu_usage"] = sample.host_cpu
        result["online_cpus"] = len(os.sched_getaffinity(0))
    return result
