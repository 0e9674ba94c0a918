"""The lists of the main screen: filter, sorting, columns, marks, what is hidden, what is kept."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import replace

from textual.markup import escape
from textual.widgets import Static

from .. import filters, projects, rows
from ..ahead import Ahead
from ..cells import Column, Row
from ..filters import Filter
from ..keys import Keys
from ..memory import Memory
from ..rows import LISTS
from ..widgets.edges import entitle
from ..widgets.logview import LogView
from ..widgets.prompt import Prompt
from ..widgets.shell import Shell
from ..widgets.table import Table
from .working import Working

TITLES = {
    "containers": "Containers",
    "images": "Images",
    "networks": "Networks",
    "volumes": "Volumes",
    "projects": "Projects",
}
SHORT = {"networks": "Nets", "volumes": "Vols"}
EMPTY = {
    "containers": "No containers. Press n to run one, 2 for the images.",
    "images": "No images. Press p to pull one, b to build one, L to load one from a file.",
    "networks": "No networks. Press n to create one.",
    "volumes": "No volumes. Press n to create one.",
    "projects": "No compose projects. What docker compose starts shows up here, as a group.",
}
SLOW = 3.0  # seconds between two looks at the figures on a slow link
KEEP = 1.0  # seconds after a change until it is written down


class Lists(Working):
    """The part of the main screen that decides what the lists show."""

    _clock: Callable[[], float]
    memory: Memory
    keys: Keys
    last_command = ""
    ahead: Ahead | None = None

    def _begin_lists(self) -> None:
        """Take up what was remembered."""
        self.kind = "containers"
        self._second = "networks"
        self._awaited = ("", "")
        self._drawn_at = 0.0
        known = self.memory.recall()
        self.hide_stopped = known.hide_stopped
        self._filters = {kind: known.filters.get(kind, "") for kind in LISTS}
        self._understood: dict[str, Filter] = {}
        for kind in LISTS:
            self._understood[kind] = filters.understand(self._filters[kind])
        self._sorts = {kind: self._sorting(kind, known.sorts.get(kind)) for kind in LISTS}
        self._columns = {kind: self._fitting(kind, known.columns.get(kind)) for kind in LISTS}

    def _every_column(self, kind: str) -> Sequence[Column]:
        """The columns a list can have."""
        return rows.COLUMNS[kind]

    def _sort_keys(self, kind: str) -> Sequence[str]:
        """What a list can be sorted by; the first is how it starts."""
        return rows.SORTS[kind]

    def _sorting(self, kind: str, wanted: list[object] | None) -> tuple[str, bool]:
        if wanted and len(wanted) == 2 and wanted[0] in self._sort_keys(kind):
            return str(wanted[0]), bool(wanted[1])
        return self._sort_keys(kind)[0], False

    def _fitting(self, kind: str, wanted: list[str] | None) -> list[Column]:
        every = self._every_column(kind)
        chosen = [one for one in every if wanted and one.key in wanted]
        if not chosen:
            return [one for one in every if not one.extra]
        return chosen if every[0] in chosen else [every[0], *chosen]

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
        now.rows = {
            kind: current.id for kind in LISTS if (current := self.table(kind).current) is not None
        }
        if self._keeper is None:
            self._keeper = self.set_timer(KEEP, self._keep)

    _keeper: object = None

    def _keep(self) -> None:
        self._keeper = None
        trouble = self.memory.keep()
        if trouble:
            self.notify(trouble, severity="warning", markup=False)

    def _return(self) -> None:
        """Go to where one was the last time."""
        known = self.memory.now
        for kind in LISTS:
            if kind in known.rows:
                self._returning[kind] = known.rows[kind]
        if known.kind in LISTS:
            self.kind = known.kind
            if known.kind not in ("containers", "images"):
                self._second = known.kind
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
        summaries = {one["Id"]: one for one in self.model.containers}
        now = self._clock()

        def renewed(row: Row) -> Row:
            summary = summaries.get(row.id)
            return rows.container(summary, self.model, now) if summary else row

        return renewed

    def _rows(self, kind: str) -> list[Row]:
        """All rows of a list."""
        fresh = self._sorts[kind][0] in rows.MOVING
        return rows.build(kind, self.model, self._clock(), fresh)

    def _built(self, kind: str) -> list[Row]:
        """The rows of a list as they are to be shown."""
        built = self._rows(kind)
        if self.hide_stopped and kind in ("containers", "projects"):
            built = [row for row in built if not row.quiet]
        if self._filters[kind]:
            match = self._understood[kind].match
            built = [row for row in built if match(row.text, row.labels)]
        key, backwards = self._sorts[kind]
        built.sort(key=lambda row: (row.sort[key], row.id), reverse=backwards)
        return built

    def _fill(self, kind: str) -> None:
        built = self._built(kind)
        table = self.table(kind)
        self._explain(kind)
        table.show(built)
        wanted = self._awaited[1] if self._awaited[0] == kind else self._returning.get(kind, "")
        if wanted and built:
            for index, row in enumerate(built):
                if row.id.startswith(wanted):
                    self._awaited = ("", "") if self._awaited[0] == kind else self._awaited
                    table.go(index)
                    break
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

    def _why_empty(self, kind: str) -> str:
        total = self._total(kind)
        if total and self._filters[kind]:
            return f"None of {total} matches {self._filters[kind]}. Press esc to show all."
        if total and self.hide_stopped and kind in ("containers", "projects"):
            return f"All {total} are stopped, and hidden. Press h to show them."
        return EMPTY[kind] if self.model.link == "up" else ""

    def _total(self, kind: str) -> int:
        if kind == "projects":
            return len({projects.name_of(one) for one in self.model.containers} - {""})
        return len(getattr(self.model, kind))

    def _fit_list(self) -> None:
        """Give the containers the lines they need, where the screen has other lists to show too."""
        table = self.table("containers")
        if self.has_class("-narrow"):
            table.styles.height = None
            return
        most = max(8, self.app.size.height * 45 // 100)
        wanted = min(most, max(9, len(table.rows) + 4))
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
        shown, total = len(table.rows), self._total(kind)
        if self.has_class("-narrow"):
            short = self.app.size.width < 72
            title = " ".join(self._label(one, short) for one in LISTS)
        elif kind == self._second or kind in ("containers", "images") or self.has_class("-wide"):
            title = self._label(kind)
            if kind == self._second and not self.has_class("-wide"):
                others = [one for one in LISTS[2:] if one != kind]
                title = " ".join([title, *(self._label(one, True) for one in others)])
        else:
            title = self._label(kind)
        parts = [f"{table.position + 1} of {shown}"] if shown else []
        needle = self._filters[kind]
        if needle:
            tone = "$bad" if self._understood[kind].trouble else "$warn"
            parts = [f"[{tone}]{filtered(needle)}[/] {shown} of {total}"]
        elif self.hide_stopped and kind in ("containers", "projects"):
            parts.append(f"[$warn]{total - shown} hidden[/]")
        if kind == "images":
            parts = [f"[$warn]{one.what[:30]} {one.share:.0%}[/]" for one in self.jobs] + parts
        if table.marked:
            parts.insert(0, f"[$warn]{len(table.marked)} marked[/]")
        entitle(table, title, " · ".join(parts))

    def _label(self, kind: str, short: bool = False) -> str:
        number = LISTS.index(kind) + 1
        title = SHORT.get(kind, TITLES[kind]) if short else TITLES[kind]
        if kind == self.kind:
            return f"[$accent]{number}[/] [b $bright]{TITLES[kind]}[/]"
        if self.has_class("-single"):
            return f"[@click=screen.list('{kind}')][$accent]{number}[/][/]"
        return f"[@click=screen.list('{kind}')][$accent]{number}[/] [$dim]{title}[/][/]"

    def weigh(self) -> None:
        """Ask for what takes how much of the disk, where a list that is seen shows it."""
        for kind, key in rows.WEIGHED.items():
            shown = any(one.key == key for one in self._columns[kind])
            if shown and self.table(kind).is_on_screen:
                self._weigh()

    def _weigh(self) -> None:
        self.feed.weigh()

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
        table = self.table(self.kind)
        self.query_one(Prompt).ask("filter ", self._filters[self.kind], table, self._filter)

    def _filter(self, needle: str) -> None:
        self.filter_list(self.kind, needle)

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
        self.settings = replace(self.settings, slow_link=not self.settings.slow_link)
        self.notify(
            "Slow link: figures every three seconds" if self.settings.slow_link else "Fast link"
        )

    def action_mark_all(self) -> None:
        """Mark all that is shown, or, where all is, none."""
        table = self.table(self.kind)
        shown = {row.id for row in table.rows}
        table.mark(set() if table.marked >= shown else shown)
        self._retitle(self.kind)


def filtered(needle: str) -> str:
    """A filter as a border shows it, markup escaped."""
    return "/" + needle.replace("[", "\\[")
