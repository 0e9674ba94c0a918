"""The main screen: lists, detail, header and hints, and the keys that go between them."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable, Iterable

from textual import work
from textual.app import ComposeResult
from textual.containers import Horizontal, Vertical
from textual.css.query import NoMatches
from textual.markup import escape
from textual.widget import Widget
from textual.widgets import Static

from ...host.errors import BayError
from ..arranged import SINGLE, TITLES
from ..dialing import Dialer
from ..feed import Feed
from ..hostinfo import Figures, HostHistory
from ..keys import Keys
from ..later import Later
from ..memory import Memory
from ..model import KINDS, Model
from ..palette import Actions
from ..projects import find
from ..rows import LISTS
from ..settings import Settings
from ..source import Source
from ..widgets.detail import Detail
from ..widgets.hostline import HostLine
from ..widgets.pane import Searchable
from ..widgets.prompt import Prompt
from ..widgets.rail import Events, HostPanel
from ..widgets.table import Table
from .help import Help
from .jump import Jump, Target
from .lists import Lists
from .menu import Menu

HOST_PACE = 3  # measurements of the host in one drawing of them, as in a bar of the lists


class MainScreen(Lists):
    """Everything of one engine at a glance."""

    COMMANDS = {Actions}

    def __init__(
        self,
        dialer: Dialer,
        *,
        read_host: Callable[[], Figures],
        clock: Callable[[], float] = time.time,
        pace: float | None = 1.0,
        settings: Settings | None = None,
        memory: Memory | None = None,
    ) -> None:
        super().__init__()
        self.settings = settings or Settings()
        self.memory = memory or Memory(None)
        self.keys = Keys(self.settings.keys)
        for binding in self.keys.bindings():
            for each in binding.make_bindings([binding]):
                self._bindings.key_to_bindings.setdefault(each.key, []).append(each)
        self.dialer = dialer
        self.source = Source(dialer.dial, dialer.name)
        self.source.read_only = self.settings.read_only
        self.model = Model()
        self.host = HostHistory()
        self.feed = Feed(self.source, self.model, self._changed, clock)
        self.feed.give_way = self.after_keys
        self._read_host = read_host
        self._clock = clock
        self._pace = pace
        self._host_at = 0.0
        self._measured = 0
        self._returning = {}
        self._begin_lists()

    def compose(self) -> ComposeResult:
        """Lay out all panes; the stylesheet decides which are seen at what size."""
        self._fit_classes()
        yield self._head()
        yield Static(id="banner")
        with Horizontal(id="deck"):
            with Vertical(id="board"):
                yield self._table("containers")
                with Horizontal(id="lower"):
                    with Vertical(id="side"):
                        yield self._table("images")
                        yield self._table("networks")
                        yield self._table("volumes")
                        yield self._table("projects")
                    yield from self._details()
            with Vertical(id="rail"):
                yield from self._rail()
        yield Prompt()
        yield Static(id="hints")

    def _fit_classes(self) -> None:
        """Be what the terminal's size makes of it before the first paint, not from the second."""
        width, height = self.app.size
        for size, breaks in (
            (width, self.app.HORIZONTAL_BREAKPOINTS),
            (height, self.app.VERTICAL_BREAKPOINTS),
        ):
            # What they style is below this screen, and not there yet.
            self.add_class(*self._get_breakpoint_classes(size, breaks or []), update=False)

    def _head(self) -> HostLine:
        return HostLine(self.model, self.host, self.source.name)

    def _details(self) -> Iterable[Detail]:
        yield Detail(self.source, self.model, self._clock)

    def _rail(self) -> Iterable[Widget]:
        yield HostPanel(self.host)
        yield Events(self.model)

    def on_mount(self) -> None:
        """Start reading the engine and the host."""
        self._measure()
        if self._pace is not None:
            self.set_interval(self._pace, self._measure)
            self.set_interval(self._pace * 10, self._age)
        self._return()
        self._arrange()
        self.table(self.kind).focus()
        for problem in (*self.settings.problems, *self.keys.problems):
            self.notify(problem, severity="warning", markup=False, timeout=15)
        self.run_worker(Later(self._serve), group="feed", exit_on_error=True)
        self.lift_veil()

    async def _serve(self) -> None:
        """Start the engine if none runs, as every client does, then read it for good."""
        if self.dialer.can_start:
            try:
                await self.dialer.start()
            except BayError as error:
                self.notify(str(error), severity="error", markup=False, timeout=20)
        await self.feed.run()

    # --- what changes

    def _changed(self, kind: str) -> None:
        """The feed changed a part of the model: draw what depends on it."""
        if not self.is_mounted:  # the app is ending
            return
        # Its panes go one after the other, while the feed still reads.
        with contextlib.suppress(NoMatches):
            self._draw(kind)

    def _draw(self, kind: str) -> None:
        if kind == "link":
            self._show_link()
        elif kind == "samples":
            self._tick()
            self.detail.tick()
        elif kind == "events":
            self.query_one(Events).refresh()
            self.detail.happened()
        elif kind in KINDS:
            for one in LISTS if kind == "containers" else (kind,):
                self._fill(one)
            if self.kind == "projects":
                self._follow()
            if kind == self.detail.kind:
                self.detail.refresh_target()
            if kind == "containers":
                self.shell.forget_gone()
            self.query_one(HostLine).refresh()

    def tell(self, command: str) -> None:
        """Show the command that equals what was just done."""
        self.last_command = command
        self._hint()

    def go_to(self, kind: str, identifier: str = "") -> None:
        """Go to a list, and to the row that begins with `identifier` as soon as it is there."""
        self._awaited = (kind, identifier)
        self.action_list(kind)
        self._fill(kind)

    def _age(self) -> None:
        """Time has passed: the ages that are seen are others."""
        self.table("containers").renew(self._renewer())
        for kind in LISTS[1:]:
            if self.table(kind).is_on_screen:
                self._fill(kind)
        self.weigh()

    def _measure(self) -> None:
        now = time.monotonic()
        self.host.add(self._read_host(), now - self._host_at if self._host_at else 0)
        self._host_at = now
        self._measured += 1
        if self._measured % HOST_PACE != 1:
            return
        self.query_one(HostLine).refresh()
        if self.has_class("-wide"):
            self.query_one(HostPanel).measured()

    def _show_link(self) -> None:
        banner = self.query_one("#banner", Static)
        model = self.model
        banner.set_class(model.link in ("lost", "down"), "-shown")
        starts = "; [b]ctrl+s[/] starts it" if self.dialer.can_start else ""
        if model.link == "lost":
            banner.update(f"The engine is gone. Containers run on. Reconnecting…{starts}")
        elif model.link == "down":
            banner.update(f"{escape(model.trouble)}. Trying again…{starts}")
        for kind in LISTS:
            self._explain(kind)
        self.query_one(HostLine).refresh()

    @work(exclusive=True, group="start")
    async def action_start_engine(self) -> None:
        """Start the engine of this machine when it does not run."""
        if self.model.link != "up" and self.dialer.can_start:
            try:
                await self.dialer.start()
            except BayError as error:
                self.notify(str(error), severity="error", markup=False)

    # --- panes

    def action_list(self, kind: str) -> None:
        """Go to the list `kind`."""
        self.remove_class("-zoomed")
        self.kind = kind
        if kind not in ("containers", "images"):
            self._second = kind
        self._arrange()
        self.table(kind).focus()
        self._follow()

    def _arrange(self) -> None:
        size = self.app.size  # before the first layout the screen itself has none
        self.set_class(size.width < SINGLE[0] or size.height < SINGLE[1], "-single")
        self.set_class(self.kind != "containers", "-others")
        for kind in LISTS:
            table = self.table(kind)
            table.set_class(kind == self.kind, "-current")
            table.set_class(kind == self._second, "-second")
            self._retitle(kind)
        projects = self.table("projects")
        projects.set_class(not self._total("projects") and self.kind != "projects", "-none")
        self._hint()
        self._remember()
        self.call_after_refresh(self.weigh)

    def on_descendant_focus(self) -> None:
        """Another pane is worked in: it decides what the detail and the hints are about."""
        focused = self.focused
        if isinstance(focused, Table) and focused.id in LISTS and focused.id != self.kind:
            self.kind = focused.id
            self._arrange()
            self._follow()
        self._hint()

    def on_resize(self) -> None:
        """The titles depend on which lists are seen."""
        self.call_after_refresh(self._arrange)
        self.call_after_refresh(self._fit_list)

    def on_table_highlighted(self, event: Table.Highlighted) -> None:
        """The cursor moved: the detail follows it."""
        if event.table.id in LISTS:
            self._retitle(event.table.id)
        if event.table.id == self.kind:
            self._follow()
            self._remember_row(self.kind)

    def on_table_chosen(self, event: Table.Chosen) -> None:
        """Enter goes from a list into the detail, from a project to its containers."""
        if event.table.id == "projects":
            self.filter_list("containers", f"project:{self.under_cursor('projects')}")
            self.action_list("containers")
        elif event.table.id in LISTS:
            self.set_class(self.has_class("-single") or self.has_class("-zoomed"), "-zoomed")
            self.detail.content.focus()

    def _follow(self) -> None:
        here = self.under_cursor(self.kind)
        chosen = self.logged(self.kind)
        if self.kind == "projects":
            found = find(self.model, here) if here else None
            chosen = found.ids if found else []
        self.detail.show(self.kind, here, chosen)

    def action_tab(self, name: str) -> None:
        """Turn the detail to a tab and go there."""
        self.detail.open(name)
        self.set_class(self.has_class("-single") or self.has_class("-zoomed"), "-zoomed")
        self.detail.content.focus()
        self._remember()

    def action_turn(self, step: int) -> None:
        """Turn the detail to the next tab."""
        inside = self.detail in (self.focused.ancestors if self.focused else ())
        self.detail.turn(step)
        if inside:
            self.detail.content.focus()
        self._remember()

    def action_zoom(self) -> None:
        """Give the whole screen to the detail, or take it back."""
        self.toggle_class("-zoomed")
        if self.has_class("-zoomed"):
            self.detail.content.focus()
        self._remember()

    def action_back(self) -> None:
        """Out of the search, the zoom, the detail, the marks, the filter: one a press."""
        table, view = self.table(self.kind), self.focused
        if isinstance(view, Searchable) and view.query_text:
            view.search("")
        elif self.has_class("-zoomed"):
            self.remove_class("-zoomed")
            if self.has_class("-single"):
                table.focus()
            self._remember()
        elif self.focused is not table:
            table.focus()
        elif table.marked:
            table.clear_marks()
            self._retitle(self.kind)
            self._follow()
        elif self._filters[self.kind]:
            self.filter_list(self.kind, "")

    # --- search, help

    def action_search(self) -> None:
        """Search the tab that is worked in, else filter the list."""
        view = self.focused
        if isinstance(view, Searchable):
            assert isinstance(view, Widget)
            self.query_one(Prompt).ask("search ", view.query_text, view, view.search)
        else:
            self.ask_filter()

    def action_hosts(self) -> None:
        """The hosts of this screen: there is one."""
        self.notify("One host is shown. Several: bay -H unix:///… -H ssh://host", markup=False)

    def action_help(self) -> None:
        """All keys."""
        self.app.push_screen(Help(self.keys.table))

    @work
    async def action_menu(self) -> None:
        """All that can be done to what the cursor stands on; in the shell, end its session."""
        if self.detail.tab == "shell" and self.detail in (
            self.focused.ancestors if self.focused else ()
        ):
            self.action_end_session()
            return
        row = self.table(self.kind).current
        name = "".join(part for part, _ in row.cells["name"]) if row else TITLES[self.kind]
        action = await self.app.push_screen_wait(Menu(name, self.keys.menu(self.kind)))
        if action:
            await self.run_action(action)

    @work
    async def action_jump(self) -> None:
        """Letters on all panes and tabs."""
        action = await self.app.push_screen_wait(Jump(self._targets_seen()))
        if action:
            await self.run_action(action)

    def _targets_seen(self) -> list[Target]:
        found = []
        for kind in LISTS:
            region = self.table(kind).region
            if region.height and self.table(kind).is_on_screen:
                found.append(Target(region.x + 1, region.y, f"list('{kind}')"))
        return found + [
            Target(x, self.detail.region.y, f"tab('{name}')") for name, x in self.detail.places()
        ]
