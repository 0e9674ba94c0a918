"""Figures of all running containers, once a second: `docker stats` and the screen's curves."""

from __future__ import annotations

import asyncio
import contextlib
import dataclasses
import logging
import resource
import threading
import time
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from ..host.errors import InvalidError
from ..host.threads import offload
from . import blockio, dockerstats, history, samples
from .context import cgroup_path
from .history import Point
from .options import Options
from .samples import Reader, Sample
from .types import Container, Json

if TYPE_CHECKING:
    from .netlive import Cable, NetLive

INTERVAL = 1.0
# Of the descriptors the engine may have, those that samples may keep; a reader keeps some 18.
_SHARE, _FILES = 4, 18
_log = logging.getLogger(__name__)


class _Track:
    """One running container's reader, its last two samples, and its history on disk."""

    def __init__(self, wanted: _Wanted, keep: bool) -> None:
        self.wanted = wanted
        self.reader = Reader(wanted.cgroup, keep)
        self._folder = wanted.folder
        self._keep = keep
        self._writer: history.Writer | None = None
        # A request for a container younger than a second meets the sampling thread.
        self._lock = threading.Lock()
        self.last: Sample | None = None
        self.before: Sample | None = None
        self.point: Point | None = None

    def take(self, system: int, network: dict[str, dict[str, int]]) -> bool:
        """Take a sample and keep it; False when the container is gone. Blocks."""
        with self._lock:
            return self._take(system, network)

    def _take(self, system: int, network: dict[str, dict[str, int]]) -> bool:
        sample = self.reader.sample(system, network)
        if sample is None:
            return False
        # A container restarted within a second counts from 0 again.
        previous = self.last if self.last and self.last.cpu <= sample.cpu else None
        self.before, self.last = previous, sample
        self.point = _point(sample, previous, self.point if self.reader.resting else None)
        try:
            if self._writer is None:
                self._writer = history.Writer(self._folder)
            self._writer.add(self.point)
        except OSError as error:
            # A full disk, or a container that is being removed: the figures of now are still told.
            _log.debug("no history in %s: %s", self._folder, error)
        if not self._keep:
            self._close_writer()
        return True

    def _close_writer(self) -> None:
        if self._writer is not None:
            writer, self._writer = self._writer, None
            writer.close()

    def turn_to(self, wanted: _Wanted) -> None:
        """Other limits are read at once; of another process there is another cgroup to open."""
        with self._lock:
            if wanted.pid != self.wanted.pid:
                self.reader.close()
            self.wanted = wanted
            self.reader.renew()

    def close(self) -> None:
        """Close its files; what is on disk stays."""
        with self._lock:
            self.reader.close()
            with contextlib.suppress(OSError):
                self._close_writer()


def _close(tracks: list[_Track]) -> None:
    """Blocks: what is not yet of ten seconds is written."""
    for track in tracks:
        track.close()


def _point(sample: Sample, before: Sample | None, resting: Point | None) -> Point:
    """What is kept of `sample`. `resting` is the point before, of a container that rests since."""
    if resting is not None and before is not None and sample.network == before.network:
        return dataclasses.replace(resting, time=sample.time, cpu=0.0, throttled=0.0)
    return Point(
        time=sample.time,
        cpu=round(sample.percent(before), 2),
        throttled=round(sample.throttled(before), 2),
        memory=sample.memory,
        memory_limit=sample.memory_limit or samples.host_memory(),
        rx=sample.received,
        tx=sample.sent,
        read=sample.read_bytes,
        write=sample.written_bytes,
        pids=sample.pids,
        pressure_cpu=sample.pressure[0],
        pressure_memory=sample.pressure[1],
        pressure_io=sample.pressure[2],
    )


@dataclass(frozen=True)
class _Wanted:
    """A container to sample: its first process, and whose network it is (see `_network_of`).

    `limits` is its `HostConfig`, which an update replaces.
    """

    id: str
    cgroup: str
    folder: Path
    pid: int
    network: str
    limits: Json = dataclasses.field(repr=False, compare=False)


class Stats:
    """Samples every running container while `run` runs, and keeps a day of each on disk.

    `live` reads the counters of all networks at once; without it each container's are read inside.
    """

    def __init__(
        self,
        options: Options,
        containers: Callable[[], list[Container]],
        live: NetLive | None = None,
    ) -> None:
        self._options = options
        self._containers = containers
        self._live = live
        self._tracks: dict[str, _Track] = {}
        # The last points, and what the listeners are told of them once one asks.
        self._tick: dict[str, Point] = {}
        self._told: Json | None = None
        self._ticked = asyncio.Event()
        limit = resource.getrlimit(resource.RLIMIT_NOFILE)[0]
        self._kept = limit // _SHARE // _FILES

    async def run(self) -> None:
        """Sample once a second until cancelled."""
        loop = asyncio.get_running_loop()
        due = loop.time()
        failing = False
        while True:
            try:
                await self.sample()
                failing = False
            except (OSError, ValueError):
                # One odd file must not end the figures of all others for good, nor fill the log.
                if not failing:
                    _log.exception("sampling failed")
                failing = True
            # What a slow second missed is not caught up with.
            due = max(due + INTERVAL, loop.time())
            await asyncio.sleep(due - loop.time())

    async def sample(self) -> None:
        """Take one sample of each running container now, and tell the listeners."""
        wanted = {
            entry.id: self._wanted(entry)
            for entry in self._containers()
            if entry.state.pid and entry.state.running
        }
        gone = [self._tracks.pop(key) for key in self._tracks.keys() - wanted.keys()]
        if gone:
            await offload(_close, gone)
        for identity, one in wanted.items():
            self._track(identity, one)
        cables = self._live.cables() if self._live else []
        found = await offload(self._take, list(wanted.values()), cables) if wanted else {}
        self._tick, self._told = found, None
        ticked, self._ticked = self._ticked, asyncio.Event()
        ticked.set()

    def _wanted(self, entry: Container) -> _Wanted:
        track = self._tracks.get(entry.id)
        if (
            track is not None
            and track.wanted.pid == entry.state.pid
            and track.wanted.limits is entry.host_config
        ):
            return track.wanted
        return _Wanted(
            entry.id,
            cgroup_path(self._options, entry),
            entry.bundle,
            entry.state.pid,
            _network_of(entry),
            entry.host_config,
        )

    def _track(self, identity: str, wanted: _Wanted) -> _Track:
        track = self._tracks.get(identity)
        if track is None:
            keep = len(self._tracks) < self._kept
            track = self._tracks[identity] = _Track(wanted, keep)
        if track.wanted is not wanted:
            track.turn_to(wanted)
        return track

    def _take(self, wanted: list[_Wanted], cables: list[Cable]) -> dict[str, Point]:
        """Sample all of `wanted`; blocks. Nothing else touches the tracks meanwhile but to drop."""
        system = samples.system_cpu()
        networks = self._live.counters(cables) if self._live and cables else {}
        found = {}
        for one in wanted:
            track = self._tracks.get(one.id)
            if track is None:
                continue
            network = networks.get(one.id)
            if network is None:
                network = _inside(one)
            if track.take(system, network) and track.point is not None:
                found[one.id] = track.point
        return found

    def close(self) -> None:
        """Close every file; what is on disk stays."""
        for track in self._tracks.values():
            track.close()
        self._tracks.clear()

    def latest(self, container_id: str) -> Sample | None:
        """The container's last sample; None when there was none yet."""
        track = self._tracks.get(container_id)
        return track.last if track else None

    def has_two(self, container: Container) -> bool:
        """Whether there is a sample and one before it, or will never be: it does not run."""
        track = self._tracks.get(container.id)
        return not container.state.running or (track is not None and track.before is not None)

    async def stream(self) -> AsyncIterator[Json]:
        """Each second's figures of all running containers. A slow reader misses some."""
        while True:
            await self._ticked.wait()
            yield self._tick_json()

    def _tick_json(self) -> Json:
        if self._told is None:
            self._told = {
                "time": max((point.time for point in self._tick.values()), default=0),
                "containers": {key: _json(point) for key, point in self._tick.items()},
            }
        return self._told

    async def history(self, seconds: int, interval: int = 0, container: str = "") -> Json:
        """The curves of the last `seconds`, one list per figure, of all containers or of one.

        `interval` 1 has ten minutes, 10 a day; 0 chooses the finer one that reaches back so far.
        Raises InvalidError for another.
        """
        rings = {ring.interval: ring for ring in (history.SECONDS, history.TENS)}
        finest = history.SECONDS.interval * history.SECONDS.slots
        ring = rings.get(interval or (1 if seconds <= finest else 10))
        if ring is None:
            raise InvalidError(f"no samples every {interval} seconds: interval is 1 or 10")
        oldest = time.time_ns() - seconds * 1_000_000_000
        entries = [one for one in self._containers() if container in ("", one.id)]
        curves = await offload(_curves, entries, ring, oldest)
        return {"interval": float(ring.interval), "containers": curves}

    async def docker_json(self, container: Container, alone: bool = False) -> Json:
        """Docker's stats object of a container, with the second before unless it is to be `alone`.

        Zeros when the container is down.
        """
        track = self._tracks.get(container.id)
        if container.state.running and (track is None or track.last is None):
            # Younger than a second: this reading takes some 100 us.
            wanted = self._wanted(container)
            track = self._track(container.id, wanted)
            track.take(samples.system_cpu(), _inside(wanted))
        if track is None or track.last is None or not container.state.running:
            return dockerstats.nothing(container)
        last, before = track.last, None if alone else track.before
        block = await offload(blockio.told_of_v1, track.wanted.cgroup)
        return dockerstats.figures(container, last, before, block)


def _network_of(container: Container) -> str:
    """Whose counters are the container's: nobody's with the host's network, as in Docker."""
    return "" if container.host_config.get("NetworkMode") in ("host", "none") else container.id


def _inside(wanted: _Wanted) -> dict[str, dict[str, int]]:
    """The counters of a container that has no cable to the host: of macvlan, of another's."""
    if not wanted.network:
        return {}
    try:
        return samples.read_network(wanted.pid)
    except (FileNotFoundError, ProcessLookupError):
        return {}


def _json(point: Point) -> Json:
    """A point for the stream."""
    return {
        "cpu": point.cpu,
        "memory": point.memory,
        "memory_limit": point.memory_limit,
        "rx": point.rx,
        "tx": point.tx,
        "read": point.read,
        "write": point.write,
        "pids": point.pids,
        "throttled": point.throttled,
        "pressure_cpu": point.pressure_cpu,
        "pressure_memory": point.pressure_memory,
        "pressure_io": point.pressure_io,
    }


def _curves(entries: list[Container], ring: history.Ring, oldest: int) -> Json:
    result: Json = {}
    for entry in entries:
        points = history.read(entry.bundle, ring, oldest)
        if points or entry.state.running:
            result[entry.id] = history.curves(points)
    return result
