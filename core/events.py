"""What happens in the engine, told to whoever listens: `docker events`."""

from __future__ import annotations

import asyncio
import time
from collections import deque
from collections.abc import AsyncIterator, Mapping

from . import filters as filtering
from .types import Json

# What is kept for a listener that asks for the past, or that reads more slowly than things happen.
KEPT = 1024

ACCEPTED = frozenset(
    {"config", "container", "daemon", "event", "image", "label", "network", "node", "plugin"}
    | {"scope", "secret", "service", "type", "volume"}
)


class Events:
    """The engine's one stream of events, in Docker's shape (Engine API, `GET /events`).

    A listener holds a place in a common ring and no queue of its own: one that stalls costs
    nothing and misses what fell off the ring. Belongs to the event loop's thread.
    """

    def __init__(self, kept: int = KEPT) -> None:
        self._ring: deque[Json] = deque(maxlen=kept)
        self._count = 0
        self._waiting: set[asyncio.Future[None]] = set()
        # How many iterate now.
        self.listeners = 0
        self._closed = False

    def emit(
        self, kind: str, action: str, actor: str, attributes: Mapping[str, str] | None = None
    ) -> None:
        """Tell that `action` happened to `actor`, the id of an object of type `kind`."""
        self._ring.append(_event(kind, action, actor, attributes or {}, time.time_ns()))
        self._count += 1
        self._wake()

    def subscribe(
        self,
        since: int | None = None,
        until: int | None = None,
        filters: Mapping[str, list[str]] | None = None,
    ) -> AsyncIterator[Json]:
        """Events from this call on, until `close`; each is shared and must not be changed.

        `since` and `until` are nanoseconds since 1970: the past from `since` is told first, as far
        as it is kept, and the iterator ends at `until`. Raises InvalidError for an unknown filter.
        """
        chosen = filters or {}
        filtering.check(chosen, ACCEPTED)
        first = self._count if since is None else self._count - len(self._ring)
        return self._follow(first, since or 0, until, chosen)

    def close(self) -> None:
        """End every listener's iteration."""
        self._closed = True
        self._wake()

    async def _follow(
        self, position: int, since: int, until: int | None, filters: Mapping[str, list[str]]
    ) -> AsyncIterator[Json]:
        self.listeners += 1
        try:
            while True:
                while position < self._count:
                    # The ring may have moved on while the listener was away.
                    position = max(position, self._count - len(self._ring))
                    event = self._ring[position - self._count]
                    position += 1
                    if until is not None and event["timeNano"] > until:
                        return
                    if event["timeNano"] >= since and matches(event, filters):
                        yield event
                if self._closed or not await self._change(until):
                    return
        finally:
            self.listeners -= 1

    async def _change(self, until: int | None) -> bool:
        """Wait for the next event; False when `until` came first."""
        rest = None if until is None else (until - time.time_ns()) / 1e9
        if rest is not None and rest <= 0:
            return False
        waiter: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._waiting.add(waiter)
        try:
            done, _ = await asyncio.wait((waiter,), timeout=rest)
            return bool(done)
        finally:
            self._waiting.discard(waiter)

    def _wake(self) -> None:
        for waiter in self._waiting:
            if not waiter.done():
                waiter.set_result(None)
        self._waiting.clear()


def _event(kind: str, action: str, actor: str, attributes: Mapping[str, str], now: int) -> Json:
    event: Json = {
        "Type": kind,
        "Action": action,
        "Actor": {"ID": actor, "Attributes": dict(attributes)},
        "scope": "local",
        "time": now // 1_000_000_000,
        "timeNano": now,
    }
    # The fields of API 1.21 and before, which clients still read.
    if kind in ("container", "image"):
        event["status"] = action
        event["id"] = actor
    if kind == "container" and "image" in attributes:
        event["from"] = attributes["image"]
    return event


def matches(event: Json, filters: Mapping[str, list[str]]) -> bool:
    """Whether an event passes: one value of each filter given must fit (moby, daemon/events)."""
    return all(_fits(event, key, values) for key, values in filters.items() if values)


def _fits(event: Json, key: str, values: list[str]) -> bool:
    kind, action, actor = event["Type"], event["Action"], event["Actor"]
    attributes = actor["Attributes"]
    if key == "type":
        return kind in values
    if key == "event":
        # `exec_start: sh -c x` is asked for as `exec_start`.
        return action in values or action.split(":", 1)[0] in values
    if key == "scope":
        return event["scope"] in values
    if key == "label":
        return filtering.match_labels(attributes, values)
    if key == "image":
        names = {actor["ID"] if kind == "image" else "", *_image_names(event)} - {""}
        return any(value in names for value in values)
    # The rest name an object of that type, by the start of its id or name.
    named = [actor["ID"], attributes.get("name", "")] if kind == key else []
    if key == "container" and kind != key:
        named = [attributes.get("container", "")]  # a network's or volume's, of a container
    return any(name.startswith(value) for name in named if name for value in values)


def _image_names(event: Json) -> set[str]:
    attributes = event["Actor"]["Attributes"]
    name = attributes.get("name" if event["Type"] == "image" else "image", "")
    stem, _, tag = name.rpartition(":")
    return {name, stem} if stem and "/" not in tag else {name}
