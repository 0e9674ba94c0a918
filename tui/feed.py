"""Keeps the model true: lists on events, samples once a second, the link watched and renewed.

Nothing is polled but what the engine can't push: a plain dockerd has no `/bay/samples`, so its
running containers are asked one by one.
"""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import Awaitable, Callable
from typing import Any

from ..client.errors import ProtocolError, UnreachableError
from ..host.errors import BayError
from .model import KEEP, KINDS, Happening, History, Json, Model, history_of, recall, sizes_of
from .source import Source
from .tabs import is_podman

SETTLE = 0.1  # seconds in which a burst of events becomes one refresh
# Docker writes "die" before its list says so: what changed is looked at once more a second later.
CONFIRM = 1.0
PAST = 3600  # seconds of events asked for at the start
MANY = 100  # containers, from which on only the last RECENT seconds are asked for
RECENT = 120
SLICE = 100  # samples taken in between two looks at the keyboard
WEIGH = 10.0  # least seconds between two looks at what volumes and writable layers take
REST = 20  # how many times as long as the last one took is waited, where that is more
AT_ONCE = 8  # concurrent stats requests to an engine without /bay/samples

# What an event of a type can change. A container's coming and going changes counts elsewhere too.
_TOUCHES = {
    "container": ("containers",),
    "image": ("images", "containers"),
    "network": ("networks", "containers"),
    "volume": ("volumes",),
}
_QUIET = ("exec_", "top", "resize", "attach", "archive-path", "extract-to-dir")


class Feed:
    """Reads one engine into `model` and calls `changed(kind)` after each change.

    Kinds are those of the model, and "samples", "events", "link".
    """

    def __init__(
        self,
        source: Source,
        model: Model,
        changed: Callable[[str], object],
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._clock = clock
        self.source = source
        self.model = model
        self.told = changed
        # Awaited where many samples are taken: a key that is pressed meanwhile comes first.
        self.give_way: Callable[[], Awaitable[object]] = _step
        # The most seconds between two attempts to reach the engine.
        self.longest = 4.0
        self._again = asyncio.Event()
        self._dirty: set[str] = set()
        self._wake = asyncio.Event()
        self._weigh = asyncio.Event()
        self._weighed: set[str] = set()
        self._cpu: dict[str, tuple[float, float]] = {}

    def touch(self, *kinds: str) -> None:
        """Ask for these lists to be read again soon."""
        self._dirty.update(kinds or KINDS)
        self._wake.set()

    def weigh(self, kinds: set[str]) -> None:
        """Ask for the sizes on the disk; lists that show them (`kinds`) ask again and again."""
        self._weighed |= kinds
        self._weigh.set()

    def retry(self) -> None:
        """Try at once to reach an engine that is waited for."""
        self._again.set()

    async def run(self) -> None:
        """Serve until cancelled: connect, read, and when the engine goes, say so and try again."""
        pause = 0.25
        while True:
            try:
                await self._connected()
            except* (BayError, OSError, ValueError, KeyError, TypeError, AttributeError) as group:
                first = _first(group)
                if isinstance(first, (KeyError, TypeError, AttributeError)):
                    # One strange engine must not take the screen from the others.
                    first = ProtocolError(
                        f"What answers at {self.source.name} speaks another language: {first!r}"
                    )
                lost = self.model.link == "up"
                self.model.link = "lost" if lost or self.model.link == "lost" else "down"
                self.model.trouble = str(first) or type(first).__name__
                pause = 0.25 if lost else min(self.longest, pause * 1.6)
            self.told("link")
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._again.wait(), pause)
            self._again.clear()

    async def _connected(self) -> None:
        version, info = await asyncio.gather(self.source.get("/version"), self.source.get("/info"))
        self.model.version, self.model.info = version, info
        self.source.podman = is_podman(version)
        since = str(int(self._clock()) - PAST)
        lines = self.source.lines("/events", since=since)
        async with lines as events, asyncio.TaskGroup() as group:
            self.model.events.clear()
            # The lists are read after the subscription began, so that no change falls between.
            await self._refresh(set(KINDS))
            self.model.link, self.model.trouble = "up", ""
            self.told("link")
            group.create_task(self._follow(events))
            group.create_task(self._refresher())
            group.create_task(self._sample())
            group.create_task(self._weigher())

    async def _follow(self, events: Any) -> None:
        async for event in events:
            kind, action = str(event.get("Type", "")), str(event.get("Action", ""))
            if action.startswith(_QUIET):
                continue
            self.touch(*_TOUCHES.get(kind, ()))
            actor = event.get("Actor") or {}
            name = (actor.get("Attributes") or {}).get("name") or str(actor.get("ID", ""))[:12]
            when = event.get("timeNano", 0) / 1e9 or float(event.get("time", 0))
            self.model.events.append(Happening(when, kind, action, str(name)))
            self.told("events")
        raise UnreachableError(f"The engine at {self.source.name} went away")

    async def _refresher(self) -> None:
        unsure: set[str] = set()
        while True:
            try:
                await asyncio.wait_for(self._wake.wait(), CONFIRM if unsure else None)
            except TimeoutError:
                kinds, unsure = unsure, set()
            else:
                await asyncio.sleep(SETTLE)
                self._wake.clear()
                kinds, self._dirty = self._dirty, set()
                unsure |= kinds
            await self._refresh(kinds)

    async def _refresh(self, kinds: set[str]) -> None:
        wanted = [kind for kind in KINDS if kind in kinds]
        replies = await asyncio.gather(*(self._list(kind) for kind in wanted))
        for kind, reply in zip(wanted, replies, strict=True):
            setattr(self.model, kind, reply)
            if kind == "containers":
                self.model.forget_gone()
            self.told(kind)

    async def _weigher(self) -> None:
        """What takes how much of the disk: an engine has to walk through it, hence the pauses."""
        while True:
            await self._weigh.wait()
            self._weigh.clear()
            kinds, self._weighed = self._weighed, set()
            started = time.monotonic()
            try:
                self._take_sizes(sizes_of(await self.source.get("/system/df")), kinds)
            except UnreachableError:
                raise
            except BayError:
                pass  # it can't tell, or not now: dockerd has one such look at a time
            await asyncio.sleep(max(WEIGH, REST * (time.monotonic() - started)))

    def _take_sizes(self, sizes: dict[str, int], kinds: set[str]) -> None:
        before, self.model.sizes = self.model.sizes, sizes
        changed = {key for key, _ in before.items() ^ sizes.items()}
        if changed:
            self.model.drawn.clear()
        for kind, key in (("volumes", "Name"), ("containers", "Id")):
            if kind in kinds and any(one[key] in changed for one in getattr(self.model, kind)):
                self.told(kind)

    async def _list(self, kind: str) -> list[Json]:
        if kind == "containers":
            found: list[Json] = await self.source.get("/containers/json", all=True)
        elif kind == "volumes":
            found = (await self.source.get("/volumes")).get("Volumes") or []
        else:
            found = await self.source.get(f"/{kind}/json" if kind == "images" else f"/{kind}")
        return found

    async def _sample(self) -> None:
        try:
            # Ten minutes of a thousand containers would be a reply of 40 MB.
            seconds = KEEP if len(self.model.containers) <= MANY else RECENT
            async for identifier, series in self.source.members(
                "/bay/samples", "containers", seconds=seconds
            ):
                self.model.samples[identifier] = recall(identifier, series)
                await self.give_way()
        except BayError as error:
            if isinstance(error, UnreachableError):
                raise
            await self._poll()
            return
        self.told("samples")
        async with self.source.lines("/bay/samples/stream") as ticks:
            async for tick in ticks:
                when = tick["time"] / 1e9
                for count, (identifier, sample) in enumerate(tick["containers"].items(), 1):
                    self._track(identifier).add(when, sample)
                    if count % SLICE == 0:
                        await self.give_way()
                await self.give_way()
                self.told("samples")
        raise UnreachableError(f"The engine at {self.source.name} stopped sending samples")

    def _track(self, identifier: str) -> History:
        history = self.model.samples.get(identifier)
        if history is None:
            history = self.model.samples[identifier] = history_of(identifier)
        return history

    async def _poll(self) -> None:
        gate = asyncio.Semaphore(AT_ONCE)
        while True:
            started = time.monotonic()
            running = [one["Id"] for one in self.model.running()]
            await asyncio.gather(*(self._ask(identifier, gate) for identifier in running))
            self.told("samples")
            await asyncio.sleep(max(0.2, 1 - (time.monotonic() - started)))

    async def _ask(self, identifier: str, gate: asyncio.Semaphore) -> None:
        async with gate:
            with contextlib.suppress(BayError):  # it may be gone by now: the next event says so
                path = f"/containers/{identifier}/stats"
                query = {"stream": False, "one-shot": True}
                stats = await self.source.call("GET", path, query)
                sample = self._sampled(identifier, stats)
                self._track(identifier).add(time.time(), sample)

    def _sampled(self, identifier: str, stats: Json) -> Json:
        """One of Docker's stats objects as a sample; CPU from the difference to the last one."""
        used = float(((stats.get("cpu_stats") or {}).get("cpu_usage") or {}).get("total_usage", 0))
        now = time.monotonic()
        then, before = self._cpu.get(identifier, (now, used))
        self._cpu[identifier] = (now, used)
        passed = (now - then) * 1e9
        memory = stats.get("memory_stats") or {}
        detail = memory.get("stats") or {}
        cache = detail.get("inactive_file", detail.get("total_inactive_file", 0))
        networks = (stats.get("networks") or {}).values()
        blocks = (stats.get("blkio_stats") or {}).get("io_service_bytes_recursive") or []
        return {
            "cpu": 100 * max(0.0, used - before) / passed if passed else 0,
            "memory": max(0, memory.get("usage", 0) - cache),
            "memory_limit": memory.get("limit", 0),
            "rx": sum(one.get("rx_bytes", 0) for one in networks),
            "tx": sum(one.get("tx_bytes", 0) for one in networks),
            "read": sum(one["value"] for one in blocks if one["op"].lower() == "read"),
            "write": sum(one["value"] for one in blocks if one["op"].lower() == "write"),
            "pids": (stats.get("pids_stats") or {}).get("current", 0),
        }


async def _step() -> None:
    await asyncio.sleep(0)


def _first(group: BaseExceptionGroup[BaseException]) -> BaseException:
    error: BaseException = group
    while isinstance(error, BaseExceptionGroup):
        error = error.exceptions[0]
    return error
