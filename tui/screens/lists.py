"""The lists of the main screen: filter, sorting, columns, marks, what is hidden, what is kept."""

from __future__ import annotations

import time
from collections.abc import Callable
from functools import partial

from textual.markup import escape
from textual.widgets import Static

from .. import filters, rows
from ..ahead import Ahead
from ..arranged import TITLES, Arranged, Shown, lines_of, place_of
from ..cells import Row
from ..keys import Keys
from ..memory import Memory
from ..rows import LISTS
from ..widgets.edges import entitle
from ..widgets.logview import LogView
from ..widgets.prompt import Prompt
from ..widgets.shell import Shell
from ..widgets.table import Table
from .working import Working

SLOW = 3.0  # seconds between two looks at the figures on a slow link
KEEP = 1.0  # seconds after a change until it is written down


class Lists(Working, Arranged):
    """The part of the main screen that decides what the lists show."""

    _clock: Callable[[], float]
    memory: Memory
    keys: Keys
    last_command = ""
    ahead: Ahead | None = None

    def _begin_lists(self) -> None:
        """Take up what was remembered."""
        self._awaited = ("", "")
        self._drawn_at = 0.0
        self._take_up(self.memory.recall())

    def _table(self, kind: str) -> Table:
        table = Table(self._columns[kind], empty="", widget_id=kind)
        table.sort_by(*self._sorts[kind])
        table.sortable = frozenset(self._sort_keys(kind))
        # As it is most often at the start: it is styled once, when it is mounted.
        likely = {self.kind: "-current", self._second: "-second", "projects": "-none"}
        if kind in likely:
            table.add_class(likely[kind], update=False)
        return table

    # --- what is remembered

    def _remember(self) -> None:
        """Keep how it is now, a moment later: a burst of changes is one writing."""
        now = self.memory.now
        now.kind, now.tab = self.kind, self.detail.tab
        now.zoomed, now.hide_stopped = self.has_class("-zoomed"), self.hide_stopped
        now.filters = {kind: text for kind, text in self._filters.items() if text}
        now.sorts = {
            kind: [*sort] for kind, sort in self._sorts.items() if sort != self._sorting(kind, None)
        }
        now.columns = {
            kind: [one.key for one in shown]
            for kind, shown in self._columns.items()
            if shown != self._fitting(kind, None)
        }
        for kind in LISTS:
            self._remember_row(kind)

    def _remember_row(self, kind: str) -> None:
        """Keep on what the cursor of a list stands: with every key, so nothing else."""
        self.memory.now.rows.pop(kind, None)
        if (current := self.table(kind).current) is not None:
            self.memory.now.rows[kind] = current.id
        if self._keeper is None:
            self._keeper = self.set_timer(KEEP, self._keep)

    _keeper: object = None

    def _keep(self) -> None:
        self._keeper = None
        if trouble := self.memory.keep():
            self.notify(trouble, severity="warning", markup=False)

    def _return(self) -> None:
        """Go to where one was the last time."""
        known = self.memory.now
        for kind in LISTS:
            if kind in known.rows:
                self._returning[kind] = known.rows[kind]
        self._go_back(known)
        self.detail.open(known.tab)
        self.set_class(known.zoomed, "-zoomed")
        if self.ahead is not None and self.ahead.fill(self.model):
            for kind in LISTS:
                self._fill(kind)

    # --- drawing

    def _tick(self) -> None:
        """Samples came: of a list that is not sorted by them only what is seen is made anew."""
        if self.settings.slow_link:
            now = time.monotonic()
            if now - self._drawn_at < SLOW:
                return
            self._drawn_at = now
        if self.table("projects").is_on_screen:
            self._fill("projects")
        if self._sorts["containers"][0] in rows.MOVING or not self.table("containers").rows:
            self._fill("containers")
            return
        self.table("containers").renew(self._renewer())

    def _renewer(self) -> Callable[[Row], Row]:
        """What makes a container's row anew."""
        now = self._clock()

        def renewed(row: Row) -> Row:
            summary = self.model.container(row.id)
            return rows.renewed(summary, self.model, now) if summary else row

        return renewed

    def _fill(self, kind: str) -> None:
        built = self._built(kind)
        table = self.table(kind)
        self._explain(kind)
        table.show(built)
        wanted = self._awaited[1] if self._awaited[0] == kind else self._returning.get(kind, "")
        if wanted and built:
            place = place_of(wanted, built)
            if place is not None:
                self._awaited = ("", "") if self._awaited[0] == kind else self._awaited
                table.go(place)
            self._returning.pop(kind, None)
        self._retitle(kind)
        if kind == "containers":
            self._fit_list()

    _returning: dict[str, str]

    def _explain(self, kind: str) -> None:
        """Say in a list without rows why it has none."""
        table, why = self.table(kind), self._why_empty(kind)
        if table.empty != why:
            table.empty = why
            if not table.rows:
                table.refresh()

    def _fit_list(self) -> None:
        """Give the containers the lines they need, where the screen has other lists to show too."""
        table = self.table("containers")
        if self.has_class("-narrow"):
            table.styles.height = None
            return
        wanted = lines_of(len(table.rows), self.app.size.height)
        if table.styles.height is None or table.styles.height.value != wanted:
            table.styles.height = wanted

    def redraw(self, kind: str) -> None:
        """Draw the list `kind` anew from the model."""
        self._fill(kind)
        if kind == "containers":
            self._fill("projects")

    # --- titles

    def _retitle(self, kind: str) -> None:
        table = self.table(kind)
        jobs = [f"[$warn]{one.what[:30]} {one.share:.0%}[/]" for one in self.jobs]
        shown = Shown(
            len(table.rows),
            self._total(kind),
            table.position,
            len(table.marked),
            tuple(jobs) if kind == "images" else (),
        )
        entitle(table, self._title(kind, self.app.size.width), self._subtitle(kind, shown))

    def weigh(self) -> None:
        """Ask for what takes how much of the disk, where a list that is seen shows it."""
        shown = {
            kind
            for kind, key in rows.WEIGHED.items()
            if any(one.key == key for one in self._columns[kind]) and self.table(kind).is_on_screen
        }
        if shown:
            self._weigh(shown)

    def _weigh(self, kinds: set[str]) -> None:
        self.feed.weigh(kinds)

    # --- hints

    def on_terminal_changed(self) -> None:
        """A session began or ended: other keys are of use."""
        self._hint()

    def _hint(self) -> None:
        focused = self.focused
        letter = self.kind[0]
        if isinstance(focused, Shell) and focused.live:
            letter = "s"
        elif isinstance(focused, LogView):
            letter = "l"
        elif focused is not self.table(self.kind):
            letter = "o"
        line = f" {self.keys.hints(letter, self.app.size.width)}"
        if self.source.read_only:
            line = f" [$warn]read-only[/] {line}"
        if self.last_command:
            line += f"  [$dim]$ {escape(self.last_command)}[/]"
        self.query_one("#hints", Static).update(line)

    # --- filter, sort, columns, marks

    def ask_filter(self) -> None:
        """Narrow the list by words, as they are typed."""
        kind, ask = self.kind, self.query_one(Prompt).ask
        ask("filter ", self._filters[kind], self.table(kind), partial(self.filter_list, kind))

    def filter_list(self, kind: str, needle: str) -> None:
        """Filter the list `kind`."""
        self._filters[kind] = needle
        self._understood[kind] = filters.understand(needle)
        self.query_one(Prompt).complain(self._understood[kind].trouble)
        self._fill(kind)
        self._remember()

    def action_sort(self, step: int) -> None:
        """Sort by the next of the shown columns."""
        shown = {one.key for one in self._columns[self.kind]}
        keys = [key for key in self._sort_keys(self.kind) if key in shown]
        now = self._sorts[self.kind][0]
        at = keys.index(now) if now in keys else -1
        self._sort(self.kind, keys[(at + step) % len(keys)], False)

    def action_reverse(self) -> None:
        """Sort the other way round."""
        key, backwards = self._sorts[self.kind]
        self._sort(self.kind, key, not backwards)

    def on_table_sorted(self, event: Table.Sorted) -> None:
        """A click on a header sorts by it; a second one the other way."""
        kind = event.table.id or ""
        if kind in LISTS:
            key, backwards = self._sorts[kind]
            self._sort(kind, event.key, event.key == key and not backwards)

    def _sort(self, kind: str, key: str, backwards: bool) -> None:
        self._sorts[kind] = (key, backwards)
        self.table(kind).sort_by(key, backwards)
        self._fill(kind)
        self._remember()

    def action_columns(self) -> None:
        """Choose what columns the list has."""
        from .menu import Columns

        kind = self.kind
        shown = [one.key for one in self._columns[kind]]
        dialog = Columns(TITLES[kind], self._every_column(kind), shown)
        self.app.push_screen(dialog, lambda chosen: self._choose_columns(kind, chosen))

    def _choose_columns(self, kind: str, chosen: list[str] | None) -> None:
        if chosen is not None:
            self._columns[kind] = self._fitting(kind, chosen)
            self.table(kind).set_columns(self._columns[kind])
            self._remember()
            self.weigh()

    def action_hide_stopped(self) -> None:
        """Hide the containers that do not run, or show them again."""
        self.hide_stopped = not self.hide_stopped
        self._fill("containers")
        self._fill("projects")
        self._remember()

    def action_slow_link(self) -> None:
        """Draw the figures more rarely, or as ever again."""
        self.settings = self.settings._replace(slow_link=not self.settings.slow_link)
        self.notify(
            "Slow link: figures every three seconds" if self.settings.slow_link else "Fast link"
        )

    def action_mark_all(self) -> None:
        """Mark all that is shown, or, where all is, none."""
        table = self.table(self.kind)
        shown = {row.id for row in table.rows}
        table.mark(set() if table.marked >= shown else shown)
        self._retitle(self.kind)
