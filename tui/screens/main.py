"""The main screen: lists, detail, header and hints, and the keys that go between them."""

from __future__ import annotations

import time
from collections.abc import Callable

from textual import work
from textual.app import ComposeResult
from textual.containers import Horizontal, Vertical
from textual.markup import escape
from textual.widget import Widget
from textual.widgets import Static

from ...host.errors import BayError
from .. import keys, rows
from ..cells import Row
from ..dialing import Dialer
from ..feed import Feed
from ..hostinfo import Figures, HostHistory
from ..model import KINDS, Model
from ..pulls import Pull
from ..source import Source
from ..widgets.detail import Detail
from ..widgets.edges import entitle
from ..widgets.hostline import HostLine
from ..widgets.logview import LogView
from ..widgets.pane import Searchable
from ..widgets.prompt import Prompt
from ..widgets.rail import Events, HostPanel
from ..widgets.shell import Shell
from ..widgets.table import Table
from .acting import Acting
from .help import Help

TITLES = {"containers": "Containers", "images": "Images", "networks": "Networks"}
TITLES["volumes"] = "Volumes"
_EMPTY = {
    "containers": "No containers. Press n on an image to run one.",
    "images": "No images. Press p to pull one.",
    "networks": "No networks.",
    "volumes": "No volumes.",
}


class MainScreen(Acting):
    """Everything of one engine at a glance."""

    BINDINGS = [*keys.bindings()]

    def __init__(
        self,
        dialer: Dialer,
        *,
        read_host: Callable[[], Figures],
        clock: Callable[[], float] = time.time,
        pace: float | None = 1.0,
    ) -> None:
        super().__init__()
        self.dialer = dialer
        self.source = Source(dialer.dial, dialer.name)
        self.model = Model()
        self.host = HostHistory()
        self.feed = Feed(self.source, self.model, self._changed, clock)
        self._read_host = read_host
        self._clock = clock
        self._pace = pace
        self._host_at = 0.0
        self.last_command = ""
        self.pulls: dict[str, Pull] = {}
        self._awaited = ("", "")
        self.kind = "containers"
        self._second = "networks"
        self._filters = dict.fromkeys(KINDS, "")
        self._sorts = {kind: (rows.SORTS[kind][0], False) for kind in KINDS}

    def compose(self) -> ComposeResult:
        """Lay out all panes; the stylesheet decides which are seen at what size."""
        yield HostLine(self.model, self.host, self.source.name)
        yield Static(id="banner")
        with Horizontal(id="deck"):
            with Vertical(id="board"):
                yield self._table("containers")
                with Horizontal(id="lower"):
                    with Vertical(id="side"):
                        yield self._table("images")
                        yield self._table("networks")
                        yield self._table("volumes")
                    yield Detail(self.source, self.model, self._clock)
            with Vertical(id="rail"):
                yield HostPanel(self.host)
                yield Events(self.model)
        yield Prompt()
        yield Static(id="hints")

    def _table(self, kind: str) -> Table:
        return Table(rows.COLUMNS[kind], empty=_EMPTY[kind], widget_id=kind)

    def on_mount(self) -> None:
        """Start reading the engine and the host."""
        self._measure()
        if self._pace is not None:
            self.set_interval(self._pace, self._measure)
            self.set_interval(self._pace * 10, self._age)
        for kind in KINDS:
            self.table(kind).sort_by(*self._sorts[kind])
            self._retitle(kind)
        self._arrange()
        self.table("containers").focus()
        self.run_worker(self._serve(), group="feed", exit_on_error=True)

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
        if not self.is_mounted or not self.query("#containers"):  # the app is ending
            return
        if kind == "link":
            self._show_link()
        elif kind == "samples":
            self._tick()
            self.detail.tick()
        elif kind == "events":
            self.query_one(Events).refresh()
            self.detail.happened()
        elif kind in KINDS:
            for one in KINDS if kind == "containers" else (kind,):
                self._fill(one)
            if kind == self.detail.kind:
                self.detail.refresh_target()
            if kind == "containers":
                self.query_one(Shell).forget_gone()
            self.query_one(HostLine).refresh()

    def _tick(self) -> None:
        """Samples came: of a list that is not sorted by them only what is seen is made anew."""
        if self._sorts["containers"][0] in rows.MOVING or not self.table("containers").rows:
            self._fill("containers")
            return
        summaries = {one["Id"]: one for one in self.model.containers}
        now = self._clock()

        def renewed(row: Row) -> Row:
            summary = summaries.get(row.id)
            return rows.container(summary, self.model, now) if summary else row

        self.table("containers").renew(renewed)

    def _fill(self, kind: str) -> None:
        needle = self._filters[kind].lower()
        built = rows.build(kind, self.model, self._clock())
        if needle:
            built = [row for row in built if all(word in row.text for word in needle.split())]
        key, backwards = self._sorts[kind]
        built.sort(key=lambda row: (row.sort[key], row.id), reverse=backwards)
        table = self.table(kind)
        table.show(built)
        if self._awaited[0] == kind and self._awaited[1]:
            for index, row in enumerate(built):
                if row.id.startswith(self._awaited[1]):
                    self._awaited = ("", "")
                    table.go(index)
                    break
        self._retitle(kind)
        if kind == "containers":
            self._fit_list()

    def _fit_list(self) -> None:
        """Give the containers the lines they need, where the screen has other lists to show too."""
        table = self.table("containers")
        if self.has_class("-narrow"):
            table.styles.height = None
            return
        most = max(8, self.size.height * 45 // 100)
        wanted = min(most, max(9, len(self.model.containers) + 4))
        if table.styles.height is None or table.styles.height.value != wanted:
            table.styles.height = wanted

    def redraw(self, kind: str) -> None:
        """Draw the list `kind` anew from the model."""
        self._fill(kind)

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
        for kind in KINDS:
            self._fill(kind)

    def _measure(self) -> None:
        now = time.monotonic()
        self.host.add(self._read_host(), now - self._host_at if self._host_at else 0)
        self._host_at = now
        self.query_one(HostLine).refresh()
        if self.has_class("-wide"):
            self.query_one(HostPanel).measured()

    def _show_link(self) -> None:
        banner = self.query_one("#banner", Static)
        model = self.model
        banner.set_class(model.link in ("lost", "down"), "-shown")
        starts = "; [b]ctrl+s[/] starts it" if self.dialer.can_start else ""
        if model.link == "lost":
            words = "The engine is gone. Containers run on. Reconnecting…"
            banner.update(f"{words}{starts}")
        elif model.link == "down":
            banner.update(f"{escape(model.trouble)}. Trying again…{starts}")
        self.query_one(HostLine).refresh()

    @work(exclusive=True, group="start")
    async def action_start_engine(self) -> None:
        """Start the engine of this machine when it does not run."""
        if self.model.link != "up" and self.dialer.can_start:
            try:
                await self.dialer.start()
            except BayError as error:
                self.notify(str(error), severity="error", markup=False)

    def _retitle(self, kind: str) -> None:
        table = self.table(kind)
        shown, total = len(table.rows), len(getattr(self.model, kind))
        if self.has_class("-narrow"):
            title = " ".join(self._label(one) for one in KINDS)
        else:
            title = self._label(kind)
        place = f"{table.position + 1} of {shown}" if shown else ""
        needle = self._filters[kind]
        parts = [f"[$warn]/{needle}[/] {shown} of {total}" if needle else place]
        if kind == "images":
            parts = [
                f"[$warn]{one.reference} {one.share:.0%}[/]" for one in self.pulls.values()
            ] + parts
        if table.marked:
            parts.insert(0, f"[$warn]{len(table.marked)} marked[/]")
        entitle(table, title, " · ".join(part for part in parts if part))

    def _label(self, kind: str) -> str:
        number, title = KINDS.index(kind) + 1, TITLES[kind]
        if kind == self.kind:
            return f"[$accent]{number}[/] [b $bright]{title}[/]"
        return f"[@click=screen.list('{kind}')][$accent]{number}[/] [$dim]{title}[/][/]"

    # --- panes

    def action_list(self, kind: str) -> None:
        """Go to the list `kind`."""
        self.remove_class("-zoomed")
        self.kind = kind
        if kind in ("networks", "volumes"):
            self._second = kind
        self._arrange()
        self.table(kind).focus()
        self._follow()

    def _arrange(self) -> None:
        self.set_class(self.kind != "containers", "-others")
        for kind in KINDS:
            table = self.table(kind)
            table.set_class(kind == self.kind, "-current")
            table.set_class(kind == self._second, "-second")
            self._retitle(kind)
        self._hint()

    def on_descendant_focus(self) -> None:
        """Another pane is worked in: it decides what the detail and the hints are about."""
        focused = self.focused
        if isinstance(focused, Table) and focused.id in KINDS and focused.id != self.kind:
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
        if event.table.id in KINDS:
            self._retitle(event.table.id)
        if event.table.id == self.kind:
            self._follow()

    def on_table_chosen(self, event: Table.Chosen) -> None:
        """Enter goes from a list into the detail."""
        if event.table.id in KINDS:
            self.detail.content.focus()

    def _follow(self) -> None:
        table = self.table(self.kind)
        row = table.current
        self.detail.show(self.kind, row.id if row else "", table.chosen)

    def action_tab(self, name: str) -> None:
        """Turn the detail to a tab and go there."""
        self.detail.open(name)
        self.detail.content.focus()

    def action_turn(self, step: int) -> None:
        """Turn the detail to the next tab."""
        inside = self.detail in (self.focused.ancestors if self.focused else ())
        self.detail.turn(step)
        if inside:
            self.detail.content.focus()

    def action_zoom(self) -> None:
        """Give the whole screen to the detail, or take it back."""
        self.toggle_class("-zoomed")
        if self.has_class("-zoomed"):
            self.detail.content.focus()

    def action_back(self) -> None:
        """Out of the search, the zoom, the detail, the marks, the filter: one a press."""
        table, view = self.table(self.kind), self.focused
        if isinstance(view, Searchable) and view.query_text:
            view.search("")
        elif self.has_class("-zoomed"):
            self.remove_class("-zoomed")
        elif self.focused is not table:
            table.focus()
        elif table.marked:
            table.clear_marks()
            self._retitle(self.kind)
            self._follow()
        elif self._filters[self.kind]:
            self._filters[self.kind] = ""
            self._fill(self.kind)

    # --- filter, sort

    def action_search(self) -> None:
        """Search the tab that is worked in, else filter the list."""
        view = self.focused
        if isinstance(view, Searchable):
            assert isinstance(view, Widget)
            self.query_one(Prompt).ask("search ", view.query_text, view, view.search)
        else:
            table = self.table(self.kind)
            self.query_one(Prompt).ask("filter ", self._filters[self.kind], table, self._filter)

    def _filter(self, needle: str) -> None:
        self._filters[self.kind] = needle
        self._fill(self.kind)

    def action_sort(self, step: int) -> None:
        """Sort by the next column."""
        keys = rows.SORTS[self.kind]
        at = keys.index(self._sorts[self.kind][0])
        self._sort(keys[(at + step) % len(keys)], False)

    def action_reverse(self) -> None:
        """Sort the other way round."""
        key, backwards = self._sorts[self.kind]
        self._sort(key, not backwards)

    def _sort(self, key: str, backwards: bool) -> None:
        self._sorts[self.kind] = (key, backwards)
        self.table(self.kind).sort_by(key, backwards)
        self._fill(self.kind)

    def action_help(self) -> None:
        """All keys."""
        self.app.push_screen(Help())

    def _hint(self) -> None:
        focused = self.focused
        letter = self.kind[0]
        if isinstance(focused, Shell):
            letter = "s"
        elif isinstance(focused, LogView):
            letter = "l"
        elif focused is not self.table(self.kind):
            letter = "o"
        line = f" {keys.hints(letter)}"
        if self.last_command:
            line += f"  [$dim]$ {escape(self.last_command)}[/]"
        self.query_one("#hints", Static).update(line)
