"""The main screen: lists, detail, header and hints, and the keys that go between them."""

from __future__ import annotations

import time
from collections.abc import Callable

from textual import work
from textual.app import ComposeResult
from textual.containers import Container, Horizontal, Vertical
from textual.markup import escape
from textual.screen import Screen
from textual.widgets import Static

from .. import keys, rows, verbs
from ..deeds import carry_out
from ..feed import Feed
from ..hostinfo import Figures, HostHistory
from ..model import KINDS, Json, Model
from ..session import Kind
from ..source import Source
from ..verbs import Deed
from ..widgets.detail import Detail
from ..widgets.hostline import HostLine
from ..widgets.logview import LogView
from ..widgets.prompt import Prompt
from ..widgets.shell import Shell
from ..widgets.table import Table
from .confirm import Confirm
from .help import Help

TITLES = {"containers": "Containers", "images": "Images", "networks": "Networks"}
TITLES["volumes"] = "Volumes"
_EMPTY = {
    "containers": "No containers. Press n on an image to run one.",
    "images": "No images. Press p to pull one.",
    "networks": "No networks.",
    "volumes": "No volumes.",
}


class MainScreen(Screen[None]):
    """Everything of one engine at a glance."""

    BINDINGS = [*keys.bindings()]

    def __init__(
        self,
        source: Source,
        *,
        read_host: Callable[[], Figures],
        clock: Callable[[], float] = time.time,
    ) -> None:
        super().__init__()
        self.source = source
        self.model = Model()
        self.host = HostHistory()
        self.feed = Feed(source, self.model, self._changed)
        self._read_host = read_host
        self._clock = clock
        self._host_at = 0.0
        self.last_command = ""
        self.kind = "containers"
        self._second = "networks"
        self._filters = dict.fromkeys(KINDS, "")
        self._sorts = {kind: (rows.SORTS[kind][0], False) for kind in KINDS}

    def compose(self) -> ComposeResult:
        """Lay out all panes; the stylesheet decides which are seen at what size."""
        yield HostLine(self.model, self.host, self.source.name)
        yield Static(id="banner")
        with Container(id="deck"), Vertical(id="board"):
            yield self._table("containers")
            with Horizontal(id="lower"):
                with Vertical(id="side"):
                    yield self._table("images")
                    yield self._table("networks")
                    yield self._table("volumes")
                yield Detail(self.source, self.model)
        yield Prompt()
        yield Static(id="hints")

    def _table(self, kind: str) -> Table:
        return Table(rows.COLUMNS[kind], empty=_EMPTY[kind], widget_id=kind)

    def on_mount(self) -> None:
        """Start reading the engine and the host."""
        self._measure()
        self.set_interval(1, self._measure)
        self.set_interval(10, self._age)
        for kind in KINDS:
            self.table(kind).sort_by(*self._sorts[kind])
            self._retitle(kind)
        self._arrange()
        self.table("containers").focus()
        self.run_worker(self.feed.run(), group="feed", exit_on_error=True)

    def table(self, kind: str) -> Table:
        """The list of `kind`."""
        return self.query_one(f"#{kind}", Table)

    @property
    def detail(self) -> Detail:
        """The pane about the chosen object."""
        return self.query_one(Detail)

    # --- what changes

    def _changed(self, kind: str) -> None:
        """The feed changed a part of the model: draw what depends on it."""
        if not self.is_mounted:
            return
        if kind == "link":
            self._show_link()
        elif kind == "samples":
            self._fill("containers")
            self.detail.tick()
        elif kind in KINDS:
            for one in KINDS if kind == "containers" else (kind,):
                self._fill(one)
            if kind == self.detail.kind:
                self.detail.refresh_target()
            if kind == "containers":
                self.query_one(Shell).forget_gone()
            self.query_one(HostLine).refresh()

    def _fill(self, kind: str) -> None:
        needle = self._filters[kind].lower()
        built = rows.build(kind, self.model, self._clock())
        if needle:
            built = [row for row in built if all(word in row.text for word in needle.split())]
        key, backwards = self._sorts[kind]
        built.sort(key=lambda row: (row.sort[key], row.id), reverse=backwards)
        self.table(kind).show(built)
        self._retitle(kind)

    def _age(self) -> None:
        for kind in KINDS:
            self._fill(kind)

    def _measure(self) -> None:
        now = time.monotonic()
        self.host.add(self._read_host(), now - self._host_at if self._host_at else 0)
        self._host_at = now
        self.query_one(HostLine).refresh()

    def _show_link(self) -> None:
        banner = self.query_one("#banner", Static)
        model = self.model
        banner.set_class(model.link in ("lost", "down"), "-shown")
        if model.link == "lost":
            banner.update(f"Engine gone: {model.trouble}. Containers run on; reconnecting…")
        elif model.link == "down":
            banner.update(f"{model.trouble}. Trying again…")
        self.query_one(HostLine).refresh()

    def _retitle(self, kind: str) -> None:
        table = self.table(kind)
        shown, total = len(table.rows), len(getattr(self.model, kind))
        if self.has_class("-narrow"):
            table.border_title = " ".join(self._label(one) for one in KINDS)
        else:
            table.border_title = self._label(kind)
        place = f"{table.position + 1} of {shown}" if shown else ""
        needle = self._filters[kind]
        parts = [f"[$warn]/{needle}[/] {shown} of {total}" if needle else place]
        if table.marked:
            parts.insert(0, f"[$warn]{len(table.marked)} marked[/]")
        table.border_subtitle = " · ".join(part for part in parts if part)

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
        if isinstance(focused, Table) and focused.id and focused.id != self.kind:
            self.kind = focused.id
            self._arrange()
            self._follow()
        self._hint()

    def on_resize(self) -> None:
        """The titles depend on which lists are seen."""
        self.call_after_refresh(self._arrange)

    def on_table_highlighted(self, event: Table.Highlighted) -> None:
        """The cursor moved: the detail follows it."""
        self._retitle(event.table.id or "")
        if event.table.id == self.kind:
            self._follow()

    def on_table_chosen(self) -> None:
        """Enter goes into the detail."""
        self.detail.content.focus()

    def _follow(self) -> None:
        row = self.table(self.kind).current
        self.detail.show(self.kind, row.id if row else "")

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
        table, view = self.table(self.kind), self.detail.content
        if isinstance(view, LogView) and view.query_text and view.has_focus:
            view.search("")
        elif self.has_class("-zoomed"):
            self.remove_class("-zoomed")
        elif not isinstance(self.focused, Table):
            table.focus()
        elif table.marked:
            table.clear_marks()
            self._retitle(self.kind)
        elif self._filters[self.kind]:
            self._filters[self.kind] = ""
            self._fill(self.kind)

    # --- filter, sort

    def action_search(self) -> None:
        """Search the log that is worked in, else filter the list."""
        view = self.focused
        if isinstance(view, LogView):
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

    # --- doing

    def _chosen(self) -> list[str]:
        return self.table(self.kind).chosen

    def _targets(self) -> list[Json]:
        """The containers a verb is for: those of the list, or the one of the detail."""
        found = [self.model.container(one) for one in self.table("containers").chosen]
        return [one for one in found if one is not None]

    def action_do(self, verb: str) -> None:
        """Do `verb` to what is marked, or to what the cursor stands on."""
        if self.kind == "containers":
            deed = verbs.container(verb, self._targets())
        elif verb == "remove":
            deed = verbs.remove_other(self.kind, self._chosen(), self.model)
        else:
            return
        if deed is not None:
            self.do(deed)

    def action_pause_or_pull(self) -> None:
        """Pause or go on in Containers, pull in Images."""
        if self.kind == "containers":
            self.action_do("pause")

    @work
    async def do(self, deed: Deed) -> None:
        """Ask if something is lost by it, then carry it out and say what failed."""
        if deed.question:
            answer = await self.app.push_screen_wait(Confirm(deed))
            if answer is None:
                return
            deed = verbs.with_options(deed, answer)
        self.table(self.kind).clear_marks()
        self.last_command = deed.command
        self._hint()
        failed = await carry_out(deed, self.source, self.model, lambda: self._fill("containers"))
        for text in failed[:3]:
            self.notify(text, severity="error", title=f"{deed.title} failed", markup=False)
        if len(failed) > 3:
            self.notify(f"and {len(failed) - 3} more", severity="error", markup=False)

    def action_shell(self, kind: Kind) -> None:
        """Open a terminal into the container under the cursor."""
        if self.kind == "containers" and self.table("containers").current is not None:
            self.detail.open("shell")
            self.call_after_refresh(self._open_shell, kind)

    async def _open_shell(self, kind: Kind) -> None:
        shell = self.query_one(Shell)
        if await shell.open(kind):
            shell.focus()

    def on_terminal_released(self) -> None:
        """ctrl+]: back to the list."""
        self.query_one(Shell).release()
        self.remove_class("-zoomed")
        self.table(self.kind).focus()

    def action_copy(self) -> None:
        """Copy the full id, by the terminal's own clipboard (OSC 52), so over SSH too."""
        row = self.table(self.kind).current
        if row is not None:
            identifier, _, name = row.id.partition(" ")
            self.app.copy_to_clipboard(name or identifier)
            self.notify(f"Copied {name or identifier[:12]}", markup=False)

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
        elif not isinstance(focused, Table):
            letter = "o"
        line = f" {keys.hints(letter)}"
        if self.last_command:
            line += f"  [$dim]$ {escape(self.last_command)}[/]"
        self.query_one("#hints", Static).update(line)
