"""Several hosts in one screen: what each one is, and whose an action is.

A row of a list of several hosts carries the host's name before its own id; whatever is begun on
it is bound to that host until it has ended, wherever the cursor goes meanwhile.
"""

from __future__ import annotations

import asyncio
import re
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from . import text
from .cells import Cell, Column, Row, Tone, cell
from .deeds import carry_out
from .dialing import Dialer
from .feed import Feed
from .filters import HOST
from .model import Model
from .source import Source
from .verbs import Deed, Step

if TYPE_CHECKING:
    from textual.notifications import SeverityLevel

    from ..client.hosts import Host

SILENT = 6.0  # seconds without a sample until a host counts as slow
FAR = 30.0  # most seconds between two attempts to reach a host that is not this machine
WIDEST = 16  # columns of a host in a list
SINCE = 6  # of them for how long it is lost
_SEPARATOR = "\x1f"
_PROGRAM = re.compile(r"(^|; )(bay|docker)(?= (?!-H |-c ))")
_bound: ContextVar[Station | None] = ContextVar("station", default=None)


class Faded(dict[str, Cell]):
    """The cells of a row of a host that is lost: as they last were, in grey."""

    def __init__(self, cells: dict[str, Cell]) -> None:
        super().__init__()
        self._cells = cells

    def __missing__(self, key: str) -> Cell:
        faded = self[key] = tuple((part, "dim") for part, _ in self._cells[key])
        return faded


@dataclass(frozen=True)
class Place:
    """One host as the user named it: an address, or a context where `flag` is -c."""

    name: str
    address: str
    dialer: Dialer
    flag: str = "-H"


@dataclass(eq=False)
class Station:
    """One host of the screen: how it is reached, what is known of it, who reads it."""

    place: Place
    source: Source
    model: Model
    feed: Feed
    heard: float = field(default_factory=time.monotonic)  # when it last was known to be well
    # Whether what was known of it is not to be seen; until it is back.
    dismissed: bool = False

    @property
    def name(self) -> str:
        """What the Host column calls it."""
        return self.place.name

    @property
    def dialer(self) -> Dialer:
        """What opens connections to it."""
        return self.place.dialer

    @property
    def health(self) -> tuple[str, str, Tone]:
        """Glyph, word and tone of how it is: up, slow, connecting, lost."""
        if self.model.link == "up":
            if time.monotonic() - self.heard > SILENT:
                return "◐", "slow", "warn"
            return "●", "up", "good"
        if self.model.link == "connecting":
            return "↻", "connecting", "warn"
        return "✕", "lost", "bad"

    @property
    def reason(self) -> str:
        """Why it is not up, "" when it is."""
        _, word, _ = self.health
        if word == "slow":
            return f"no answer for {time.monotonic() - self.heard:.0f} s"
        if word == "connecting":
            return "no answer yet"
        return self.model.trouble if word == "lost" else ""

    @property
    def up(self) -> bool:
        """Whether it can be asked for anything."""
        return self.model.link == "up"

    @property
    def gone(self) -> bool:
        """Whether all that is known of it is what it once was."""
        return self.model.link in ("lost", "down")

    def addressed(self, command: str) -> str:
        """A command line as it must be typed to mean this host."""
        flag, address = self.place.flag, self.place.address
        if flag == "-c":  # docker has contexts of its own
            return re.sub(r"(^|; )bay(?= (?!-H |-c ))", rf"\1bay -c {address}", command)
        return _PROGRAM.sub(rf"\1\2 {flag} {address}", command)

    def own(self, row: Row) -> Row:
        """A row of this host's for a list of all hosts."""
        cells = Faded(row.cells) if self.gone else row.cells
        cells["host"] = self._since() if self.gone else cell(self.name, "accent")
        row.sort["host"] = (self.name, str(row.sort.get("name", "")))
        labels = {**row.labels, HOST: self.name}
        words = f"{row.text} {self.name.lower()}"
        return row._replace(id=self.mark(row.id), cells=cells, text=words, labels=labels)

    def _since(self) -> Cell:
        """The host's cell in a row that is only remembered: since when."""
        since = text.span(time.monotonic() - self.heard)
        return ((self.name[: WIDEST - SINCE], "bad"), (f" ✕ {since}", "bad"))

    def mark(self, identifier: str) -> str:
        """An object's id as the id of its row."""
        return f"{self.name}{_SEPARATOR}{identifier}"


def column(stations: Sequence[Station]) -> Column:
    """The column of the hosts' names: what the longest needs, and how long one of them is lost."""
    gone = any(one.gone for one in stations)
    longest = max((len(one.name) for one in stations), default=0)
    least = min(WIDEST, max(6, longest + SINCE if gone else longest))
    return Column("host", "HOST", least, max(least, 14))


def plain(row_id: str) -> str:
    """An object's own id."""
    return row_id.partition(_SEPARATOR)[2]


def owner(row_id: str) -> str:
    """The name of the host a row is of."""
    return row_id.partition(_SEPARATOR)[0]


def stations(
    places: Iterable[Place],
    changed: Callable[[Station, str], None],
    clock: Callable[[], float],
    read_only: bool,
) -> list[Station]:
    """A station for each place; `changed` is told which one's model changed, and what of it."""
    made: list[Station] = []
    for place in places:
        source = Source(place.dialer.dial, place.dialer.name, place.dialer.reason)
        source.read_only = read_only
        model = Model()
        station = Station(place, source, model, Feed(source, model, str, clock))
        station.feed.told = partial(changed, station)
        if place.dialer.host.kind != "unix":
            station.feed.longest = FAR
        made.append(station)
    return made


Named = tuple[str, str, "Host"]  # a context's name or "", the address as it was given, the host


def named(hosts: Sequence[Named]) -> list[Place]:
    """The places of a screen, each with a name that no other has."""
    places: list[Place] = []
    taken: dict[str, int] = {}
    for context, address, host in hosts:
        name = context or _called(host)
        taken[name] = taken.get(name, 0) + 1
        if taken[name] > 1:
            name = f"{name}-{taken[name]}"
        places.append(Place(name, address, Dialer(host), "-c" if context else "-H"))
    return places


def _called(host: Host) -> str:
    """A short name: `build1` of ssh://root@build1, `docker` of unix:///var/run/docker.sock."""
    if host.local:
        return "local"
    if host.kind != "unix":
        return host.name
    socket = Path(host.path)
    stem = socket.name.removesuffix(".sock")
    # Of our own sockets the folder is what differs.
    return socket.parent.name if stem in ("bay", "sock") else stem


# --- what is begun on a host stays with it


@contextmanager
def bound(station: Station) -> Iterator[None]:
    """Everything begun in here is for `station`, the tasks made in here included."""
    token = _bound.set(station)
    try:
        yield
    finally:
        _bound.reset(token)


def current() -> Station | None:
    """The station that what runs now is bound to."""
    return _bound.get()


def of(station: Station, deed: Deed) -> Deed:
    """A deed that says whose it is, in its steps, its question and its command."""
    steps = [one if one.host else replace(one, host=station.name) for one in deed.steps]
    question = deed.question
    if question and steps != deed.steps:
        question = f"{question.removesuffix('?')} on {station.name}?"
    undo = of(station, deed.undo) if deed.undo is not None else None
    command = station.addressed(deed.command)
    return replace(deed, steps=steps, question=question, command=command, undo=undo)


def joined(deeds: Sequence[Deed]) -> Deed | None:
    """The deeds of several hosts as one."""
    if len(deeds) < 2:
        return deeds[0] if deeds else None
    first = next((one for one in deeds if one.question), deeds[0])
    steps = [step for one in deeds for step in one.steps]
    undone = [one.undo for one in deeds if one.undo is not None]
    on = {name for one in deeds for name, _, at_first in one.options if at_first}
    question = f"{first.title} {len(steps)} on {len(deeds)} hosts?" if first.question else ""
    return replace(
        first,
        steps=steps,
        command="; ".join(one.command for one in deeds),
        question=question,
        options=tuple((name, label, name in on) for name, label, _ in first.options),
        undo=joined(undone),
    )


def parted(deed: Deed) -> dict[str, Deed]:
    """A deed's parts by the host's name."""
    parts: dict[str, list[Step]] = {}
    for step in deed.steps:
        parts.setdefault(step.host, []).append(step)
    return {name: replace(deed, steps=steps) for name, steps in parts.items()}


async def perform(
    deed: Deed, stations: Mapping[str, Station], changed: Callable[[], None]
) -> dict[str, list[str]]:
    """Carry a deed out on all its hosts at once, `stations` by name; what failed on each."""

    async def one(name: str, part: Deed) -> list[str]:
        station = stations[name]
        with bound(station):
            return await carry_out(part, station.source, station.model, changed)

    parts = parted(deed)
    failed = await asyncio.gather(*(one(*each) for each in parts.items()))
    return {stations[name].name: texts for name, texts in zip(parts, failed, strict=True)}


def result(deed: Deed, failed: Mapping[str, list[str]]) -> tuple[str, SeverityLevel]:
    """What a deed came to on each host, `failed` holding what was refused there; how bad it is."""
    words = []
    for name, part in parted(deed).items():
        count, lost = len(part.steps), len(failed.get(name, ()))
        words.append(f"{name}: {count - lost} of {count}" if lost else f"{name}: {count}")
    return " · ".join(words), "warning" if any(failed.values()) else "information"
