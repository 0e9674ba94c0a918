"""The main screen over several hosts: one list of what all of them have, each row with its host.

Imported only when there is more than one host.
"""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from textual import work
from textual.css.query import NoMatches
from textual.markup import escape
from textual.screen import ModalScreen
from textual.widget import Widget
from textual.widgets import Static
from textual.worker import Worker

from ...host.errors import BayError
from .. import fleet, rows
from ..cells import Column, Row
from ..dialing import Dialer
from ..feed import Feed
from ..fleet import Place, Station
from ..model import KINDS, Model
from ..rows import LISTS
from ..source import Source
from ..verbs import Deed
from ..widgets.detail import Detail
from ..widgets.fleet import FleetEvents, FleetLine, FleetPanel
from ..widgets.hostline import HostLine
from ..widgets.logs import Logs, Origin
from .acting import Answer
from .main import MainScreen


class FleetScreen(MainScreen):
    """Everything of several engines at a glance; one that is slow or gone holds up no other.

    What is begun is for the host of the row under the cursor, and stays with it (see `fleet`).
    """

    def __init__(self, places: Sequence[Place], **more: Any) -> None:
        settings = more.get("settings")
        read_only = bool(settings and settings.read_only)
        clock = more.get("clock", time.time)
        self.stations = fleet.stations(places, self._heard, clock, read_only)
        self._here = self.stations[0]
        self.scope = ""
        self._ticked = 0.0
        super().__init__(places[0].dialer, **more)

    # --- whose it is

    @property
    def station(self) -> Station:
        """The host that what runs now is for: what it was begun on, else the cursor's."""
        return fleet.current() or self._here

    @property
    def source(self) -> Source:
        """The client of that host's engine."""
        return self.station.source

    @source.setter
    def source(self, source: Source) -> None:
        """Each station has its own."""

    @property
    def model(self) -> Model:
        """What is known of that host."""
        return self.station.model

    @model.setter
    def model(self, model: Model) -> None:
        """Each station has its own."""

    @property
    def feed(self) -> Feed:
        """What reads that host."""
        return self.station.feed

    @feed.setter
    def feed(self, feed: Feed) -> None:
        """Each station has its own."""

    @property
    def dialer(self) -> Dialer:
        """What reaches that host."""
        return self.station.dialer

    @dialer.setter
    def dialer(self, dialer: Dialer) -> None:
        """Each station has its own."""

    @property
    def detail(self) -> Detail:
        """That host's pane about the chosen object."""
        return self.query_one(f"#{self._pane(self.station)}", Detail)

    def _pane(self, station: Station) -> str:
        return f"detail-{self.stations.index(station)}"

    def run_worker(self, work: Any, *words: Any, **more: Any) -> Worker[Any]:
        """A worker is bound to the host it was begun on, wherever the cursor goes meanwhile."""
        with fleet.bound(self.station):
            return super().run_worker(work, *words, **more)

    def find_station(self, name: str) -> Station | None:
        """The host of that name."""
        return next((one for one in self.stations if one.name == name), None)

    # --- what is there

    def _head(self) -> HostLine:
        return FleetLine(self.stations, self.host, lambda: (self.station, self.scope))

    def _details(self) -> Iterable[Detail]:
        for station in self.stations:
            detail = Detail(station.source, station.model, self._clock, host=station.name)
            detail.id = self._pane(station)
            detail.display = station is self._here
            yield detail

    def _rail(self) -> Iterable[Widget]:
        yield FleetPanel(self.host, self.stations)
        yield FleetEvents(self.stations)

    async def _serve(self) -> None:
        """Read every host, each on its own."""
        # Names are looked up, and ssh is started, in threads: a host that hangs there must leave
        # some to the others.
        asyncio.get_running_loop().set_default_executor(ThreadPoolExecutor(32))
        await asyncio.gather(*(self._serve_one(one) for one in self.stations))

    async def _serve_one(self, station: Station) -> None:
        with fleet.bound(station):
            if station.dialer.can_start:
                with contextlib.suppress(BayError):  # the feed says the same, and goes on trying
                    await station.dialer.start()
            station.feed.give_way = self.after_keys
            await station.feed.run()

    # --- what changes

    def _heard(self, station: Station, kind: str) -> None:
        """A host's feed changed a part of its model."""
        if station.up and kind in ("samples", "link"):
            station.heard, station.dismissed = time.monotonic(), False
        if not self.is_mounted:  # the app is ending
            return
        with contextlib.suppress(NoMatches), fleet.bound(station):
            self._draw(kind)

    def _draw(self, kind: str) -> None:
        station, here = self.station, self._here
        if kind == "link":
            self._show_link()
            self._fit_hosts()
            for one in LISTS:
                self._fill(one)
        elif kind == "samples":
            self._tick()
            self.query_one(HostLine).refresh()
            if station is here:
                self.detail.tick()
        elif kind == "events":
            self.query_one(FleetEvents).refresh()
            if station is here:
                self.detail.happened()
        elif kind in KINDS:
            for one in LISTS if kind == "containers" else (kind,):
                self._fill(one)
            if kind == "containers":
                self.shell.forget_gone()
            self.query_one(HostLine).refresh()
            if station is not here:
                return
            if self.kind == "projects":
                self._follow()
            if kind == self.detail.kind:
                self.detail.refresh_target()

    def _weigh(self, kinds: set[str]) -> None:
        for station in self._seen():
            station.feed.weigh(kinds)

    def _tick(self) -> None:
        now = time.monotonic()
        moving = self._sorts["containers"][0] in rows.MOVING
        # Each host ticks once a second: what draws all of them is done by the first.
        if (moving or self.table("projects").is_on_screen) and now - self._ticked < 0.8:
            return
        self._ticked = now
        super()._tick()

    def _measure(self) -> None:
        super()._measure()
        self._show_link()

    def _age(self) -> None:
        super()._age()
        if not all(one.up for one in self._seen()):  # the time since it was seen is another
            self._fill("containers")

    def _show_link(self) -> None:
        banner = self.query_one("#banner", Static)
        troubled = [one for one in self.stations if one.health[1] in ("lost", "slow")]
        lost = [one for one in troubled if not one.dismissed]
        banner.set_class(bool(lost), "-shown")
        if len(lost) == 1:
            said = lost[0].reason.removesuffix(".")
            banner.update(escape(f"{lost[0].name} {lost[0].health[1]}: {said}. Trying again…"))
        elif lost:
            names = ", ".join(one.name for one in lost)
            banner.update(escape(f"{len(lost)} of {len(self.stations)} hosts: {names}; @ says why"))
        self.query_one(HostLine).refresh()
        if self.has_class("-wide"):
            self.query_one(FleetPanel).measured()

    # --- rows

    def _every_column(self, kind: str) -> Sequence[Column]:
        first, *rest = super()._every_column(kind)
        return (first, fleet.column(self.stations), *rest)

    def _sort_keys(self, kind: str) -> Sequence[str]:
        return (*super()._sort_keys(kind), "host")

    def _fitting(self, kind: str, wanted: list[str] | None) -> list[Column]:
        return super()._fitting(kind, [*wanted, "host"] if wanted else None)

    def _fit_hosts(self) -> None:
        """Give the hosts' column the width it needs: how long one is lost is seen, too."""
        column = fleet.column(self.stations)
        for kind in LISTS:
            if column not in self._columns[kind]:
                shown = [column if one.key == "host" else one for one in self._columns[kind]]
                self._columns[kind] = shown
                self.table(kind).set_columns(shown)

    def _seen(self) -> list[Station]:
        return [one for one in self.stations if self.scope in ("", one.name) and not one.dismissed]

    def _rows(self, kind: str) -> list[Row]:
        now = self._clock()
        return [
            station.own(row)
            for station in self._seen()
            for row in rows.build(kind, station.model, now)
        ]

    def _renewer(self) -> Callable[[Row], Row]:
        station, model, now = self.station, self.model, self._clock()

        def renewed(row: Row) -> Row:
            summary = model.container(fleet.plain(row.id))
            if summary is None or fleet.owner(row.id) != station.name:
                return row
            return station.own(rows.renewed(summary, model, now))

        return renewed

    def _total(self, kind: str) -> int:
        total = 0
        for station in self._seen():
            with fleet.bound(station):
                total += super()._total(kind)
        return total

    def under_cursor(self, kind: str) -> str:
        """The id of what the cursor stands on, where it is the host's that is meant."""
        row = self.table(kind).current
        if row is None or fleet.owner(row.id) != self.station.name:
            return ""
        return fleet.plain(row.id)

    def chosen(self, kind: str) -> list[str]:
        """The ids of what is marked, or under the cursor, of the host that is meant."""
        name = self.station.name
        found = self.table(kind).chosen
        return [fleet.plain(one) for one in found if fleet.owner(one) == name]

    def logged(self, kind: str) -> list[str]:
        """The ids of what is marked, on whatever hosts, for one log of all of them."""
        marked = self.table(kind).chosen if kind == "containers" else []
        owners = {fleet.owner(one) for one in marked}
        elsewhere = {}
        for one in marked if len(owners) > 1 else ():
            station = self.find_station(fleet.owner(one)) or self.station
            elsewhere[fleet.plain(one)] = Origin(station.source, station.model, station.name)
        self.detail.query_one(Logs).elsewhere = elsewhere
        return list(elsewhere) or self.chosen(kind)

    def go_to(self, kind: str, identifier: str = "") -> None:
        """Go to a list, and to the row of this host that begins with `identifier`."""
        station = self.station
        super().go_to(kind, station.mark(identifier) if identifier else "")
        self._turn_to(station)

    def _follow(self) -> None:
        row = self.table(self.kind).current
        found = self.find_station(fleet.owner(row.id)) if row is not None else None
        if found is not None and found is not self._here:
            self._turn_to(found)
        with fleet.bound(self._here):
            super()._follow()

    def _turn_to(self, station: Station) -> None:
        """Make `station` the one that is worked on: its detail is seen in place of the other's."""
        before = self._here
        if station is before:
            return
        old = self.query_one(f"#{self._pane(before)}", Detail)
        new = self.query_one(f"#{self._pane(station)}", Detail)
        self._here = station
        self.query_one(HostLine).refresh()
        tab = old.tab
        old.show(self.kind, "")  # its log is followed no longer
        old.display, new.display = False, True
        with fleet.bound(station):
            new.kind = self.kind
            new.open(tab)

    # --- which hosts

    def action_hosts(self) -> None:
        """All hosts with how they are; the chosen one's things are shown alone."""
        self._choose_host()

    @work
    async def _choose_host(self) -> None:
        from .hosts import Hosts

        name = await self.app.push_screen_wait(Hosts(self.stations, self.scope))
        if name is not None:
            self.scope = name
        found = self.find_station(name or "")
        if found is not None:
            found.dismissed = False
            self._turn_to(found)
        for kind in LISTS:
            self._fill(kind)
        self._follow()
        self._show_link()

    # --- what is done

    def tell(self, command: str) -> None:
        """Show the command that equals what was just done, with its host."""
        super().tell(self.station.addressed(command))

    async def ask(self, dialog: ModalScreen[Answer]) -> Answer | None:
        """Show a dialog that says whose it is."""
        name = self.station.name

        def entitled() -> None:
            for box in dialog.query(".dialog"):
                title = str(box.border_title or "")
                if name not in title and " hosts?" not in title:
                    box.border_title = f"{title} · {name}"

        self.call_later(lambda: dialog.call_after_refresh(entitled))
        return await super().ask(dialog)

    def _deed(self, verb: str) -> Deed | None:
        names = {fleet.owner(one) for one in self.table(self.kind).chosen}
        concerned = [one for one in self.stations if one.name in names]
        if verb == "toggle" and self.kind == "containers":
            # One answer for all that is marked, as where there is one host.
            verb = "stop" if any(self._alive(one) for one in concerned) else "start"
        deeds = []
        for station in concerned:
            with fleet.bound(station):
                deed = super()._deed(verb)
            if deed is not None:
                deeds.append(fleet.of(station, deed))
        return fleet.joined(deeds)

    def _alive(self, station: Station) -> bool:
        with fleet.bound(station):
            return any(one["State"] in ("running", "paused") for one in self._targets())

    async def _carry_out(self, deed: Deed) -> list[str]:
        return await super()._carry_out(fleet.of(self.station, deed))

    async def _perform(self, deed: Deed) -> list[str]:
        stations = {name: self.find_station(name) or self.station for name in fleet.parted(deed)}
        failed = await fleet.perform(deed, stations, lambda: self.redraw("containers"))
        if len(failed) > 1:
            said, severity = fleet.result(deed, failed)
            self.notify(said, title=deed.title, severity=severity, markup=False)
        return [f"{name}: {text}" for name, texts in failed.items() for text in texts]
