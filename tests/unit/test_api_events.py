"""The stream of events: past, future, filters, and a listener that is slow."""

from __future__ import annotations

import asyncio
import time

import pytest
from bayplan.core.events import Events, matches
from bayplan.core.types import Json
from bayplan.host.errors import InvalidError


async def drain(source: Events, **options: object) -> list[Json]:
    events = source.subscribe(until=time.time_ns(), **options)  # type: ignore[arg-type]  # a mix
    return [event async for event in events]


async def test_an_event_has_dockers_shape() -> None:
    events = Events()
    events.emit("container", "start", "abc", {"name": "web", "image": "debian"})
    (event,) = await drain(events, since=0)
    assert event["Type"] == "container"
    assert event["Actor"] == {"ID": "abc", "Attributes": {"name": "web", "image": "debian"}}
    assert (event["status"], event["id"], event["from"]) == ("start", "abc", "debian")
    assert event["timeNano"] // 10**9 == event["time"]


async def test_a_listener_hears_what_comes_after_its_call() -> None:
    events = Events()
    events.emit("container", "create", "1")
    heard = events.subscribe()
    events.emit("container", "start", "1")
    assert (await anext(heard))["Action"] == "start"
    waiting = asyncio.ensure_future(anext(heard))
    await asyncio.sleep(0)
    events.emit("container", "die", "1")
    assert (await waiting)["Action"] == "die"


async def test_close_ends_every_listener() -> None:
    events = Events()
    heard = events.subscribe()
    waiting = asyncio.ensure_future(anext(heard, None))
    await asyncio.sleep(0)
    events.close()
    assert await waiting is None


async def test_the_past_is_bounded_and_a_slow_listener_skips() -> None:
    events = Events(kept=3)
    slow = events.subscribe()
    for number in range(5):
        events.emit("volume", "create", str(number))
    assert [e["Actor"]["ID"] for e in await drain(events, since=0)] == ["2", "3", "4"]
    assert (await anext(slow))["Actor"]["ID"] == "2"
    for number in range(5, 9):
        events.emit("volume", "create", str(number))
    assert (await anext(slow))["Actor"]["ID"] == "6"


async def test_until_ends_the_iteration_without_an_event() -> None:
    events = Events()
    heard = events.subscribe(until=time.time_ns() + 20_000_000)
    assert [event async for event in heard] == []


async def test_an_unknown_filter_is_refused() -> None:
    with pytest.raises(InvalidError, match="invalid filter 'colour'"):
        Events().subscribe(filters={"colour": ["red"]})


@pytest.mark.parametrize(
    ("filters", "expected"),
    [
        ({"type": ["container"]}, True),
        ({"type": ["image"]}, False),
        ({"event": ["exec_start"]}, True),
        ({"event": ["exec_create"]}, False),
        ({"container": ["web"]}, True),
        ({"container": ["abcd"]}, True),
        ({"container": ["db"]}, False),
        ({"image": ["debian"]}, True),
        ({"image": ["debian:12"]}, True),
        ({"image": ["alpine"]}, False),
        ({"label": ["tier=front"]}, True),
        ({"label": ["tier=front", "x"]}, False),
        ({"type": ["container", "image"], "event": ["die"]}, False),
        ({"network": ["web"]}, False),
    ],
)
async def test_filters(filters: dict[str, list[str]], expected: bool) -> None:
    events = Events()
    attributes = {"name": "web", "image": "debian:12", "tier": "front"}
    events.emit("container", "exec_start: sh -c x", "abcdef", attributes)
    (event,) = await drain(events, since=0)
    assert matches(event, filters) is expected
