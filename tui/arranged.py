"""What the lists of the main screen hold and how they are called: no widget is needed to say it.

The first frame is drawn before Textual is there, the others with it: both are made from this.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import NamedTuple

from . import filters, projects, rows
from .cells import Column, Row
from .filters import Filter
from .memory import Memory, Remembered
from .model import Model
from .rows import LISTS

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
SINGLE = (60, 15)  # columns and lines below which there is one list and nothing else
WIDTHS = [(0, "-narrow"), (100, "-medium"), (170, "-wide")]
HEIGHTS = [(0, "-short"), (22, "-normal"), (50, "-tall")]


class Shown(NamedTuple):
    """A list as it is drawn: its rows, how many there would be unfiltered, the cursor's place."""

    rows: int
    total: int
    position: int = 0
    marked: int = 0
    jobs: tuple[str, ...] = ()  # markup about what is under way


class Arranged:
    """Sorting, filters, columns and titles; `has_class` tells of the sizes as the screen's does."""

    kind: str
    hide_stopped: bool
    memory: Memory
    model: Model
    _second: str
    _clock: Callable[[], float]
    _filters: dict[str, str]
    _understood: dict[str, Filter]
    _sorts: dict[str, tuple[str, bool]]
    _columns: dict[str, list[Column]]

    def has_class(self, *class_names: str) -> bool:
        """Whether the screen is `-narrow`, `-single`, ..."""
        raise NotImplementedError

    def _take_up(self, known: Remembered) -> None:
        """Begin with what was remembered."""
        self.kind = "containers"
        self._second = "networks"
        self.hide_stopped = known.hide_stopped
        self._filters = {kind: known.filters.get(kind, "") for kind in LISTS}
        self._understood = {}
        for kind in LISTS:
            self._understood[kind] = filters.understand(self._filters[kind])
        self._sorts = {kind: self._sorting(kind, known.sorts.get(kind)) for kind in LISTS}
        self._columns = {kind: self._fitting(kind, known.columns.get(kind)) for kind in LISTS}

    def _go_back(self, known: Remembered) -> None:
        """Go to the list where one was the last time."""
        if known.kind in LISTS:
            self.kind = known.kind
            if known.kind not in ("containers", "images"):
                self._second = known.kind

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

    # --- rows

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

    # --- titles, in markup

    def _title(self, kind: str, width: int) -> str:
        """What the upper border of a list says on a screen of `width` columns."""
        if self.has_class("-narrow"):
            return " ".join(self._label(one, width < 72) for one in LISTS)
        title = self._label(kind)
        if kind == self._second and not self.has_class("-wide"):
            others = [one for one in LISTS[2:] if one != kind]
            title = " ".join([title, *(self._label(one, True) for one in others)])
        return title

    def _subtitle(self, kind: str, shown: Shown) -> str:
        """What the lower border of a list says."""
        count, total = shown.rows, shown.total
        parts = [f"{shown.position + 1} of {count}"] if count else []
        needle = self._filters[kind]
        if needle:
            tone = "$bad" if self._understood[kind].trouble else "$warn"
            parts = [f"[{tone}]{filtered(needle)}[/] {count} of {total}"]
        elif self.hide_stopped and kind in ("containers", "projects"):
            parts.append(f"[$warn]{total - count} hidden[/]")
        parts = [*shown.jobs, *parts]
        if shown.marked:
            parts.insert(0, f"[$warn]{shown.marked} marked[/]")
        return " · ".join(parts)

    def _label(self, kind: str, short: bool = False) -> str:
        number = LISTS.index(kind) + 1
        title = SHORT.get(kind, TITLES[kind]) if short else TITLES[kind]
        if kind == self.kind:
            return f"[$accent]{number}[/] [b $bright]{TITLES[kind]}[/]"
        if self.has_class("-single"):
            return f"[@click=screen.list('{kind}')][$accent]{number}[/][/]"
        return f"[@click=screen.list('{kind}')][$accent]{number}[/] [$dim]{title}[/][/]"


def place_of(wanted: str, built: Sequence[Row]) -> int | None:
    """The place of the row whose id begins with `wanted`, None without one."""
    if not wanted:
        return None
    return next((n for n, row in enumerate(built) if row.id.startswith(wanted)), None)


def lines_of(count: int, height: int) -> int:
    """The lines `count` containers get of a screen that has other lists to show too."""
    return min(max(8, height * 45 // 100), max(9, count + 4))


def filtered(needle: str) -> str:
    """A filter as a border shows it, markup escaped."""
    return "/" + needle.replace("[", "\\[")
