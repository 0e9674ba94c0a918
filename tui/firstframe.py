"""The first frame: what the screen shows at once, before Textual has been imported.

It is the app's own first frame, from the same lists, words and figures; only where panes stand and
how a tone becomes a colour is said here a second time, and `tests/tui/test_tui_firstframe.py`
compares the two cell by cell. What it can't draw in the very same way it does not draw.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import NamedTuple

from . import hostwords, inks, projects, tabs
from .arranged import HEIGHTS, SINGLE, WIDTHS, Arranged, Shown, lines_of, place_of
from .cells import Row, Span, fit, heading, written
from .hostinfo import HostHistory
from .inks import Cell, Inks, is_narrow
from .keys import Keys
from .memory import Memory
from .model import Model
from .rows import LISTS
from .settings import Settings
from .tones import PALETTES, choose, unknown

LEAST = 12  # lines below the containers, of which the second list takes eight


class Pane(NamedTuple):
    """Where a pane stands, its border included."""

    x: int
    y: int
    width: int
    height: int


class FirstFrame(Arranged):
    """The main screen over `model`, drawn once; `engine` is how the header calls its address."""

    def __init__(
        self,
        model: Model,
        history: HostHistory,
        memory: Memory,
        settings: Settings,
        engine: str,
        clock: Callable[[], float],
    ) -> None:
        self.model = model
        self.memory = memory
        self._clock = clock
        self._settings = settings
        self._header = hostwords.HostWords(model, history, engine)
        self._history = history
        known = memory.recall()
        self._take_up(known)
        self._go_back(known)
        self._classes: set[str] = set()
        self._lists: dict[str, list[Row]] = {}
        self._lines: list[list[Cell]] = []
        self._inks: Inks

    def has_class(self, *class_names: str) -> bool:
        """As the screen's."""
        return self._classes.issuperset(class_names)

    def cells(
        self, width: int, height: int, environment: Mapping[str, str]
    ) -> list[list[Cell]] | None:
        """Lines of cells that fill a terminal; None where it has to be left to the app."""
        known, settings = self.memory.now, self._settings
        wanted = settings.theme or known.theme
        system = inks.system(environment)
        name = choose(environment, "" if unknown(wanted) else wanted)
        palette = PALETTES[name]
        if (
            "NO_COLOR" in environment
            or "TEXTUAL_COLOR_SYSTEM" in environment
            or environment.get("TERM", "dumb") in ("dumb", "unknown")
            or (system == inks.STANDARD and name != "bay-ansi")
            or (settings.ascii_only or settings.problems or settings.keys or unknown(wanted))
            or (width < SINGLE[0] or height < SINGLE[1] or known.zoomed)
        ):
            return None
        for size, breaks in ((width, WIDTHS), (height, HEIGHTS)):
            self._classes.add([word for least, word in breaks if size >= least][-1])
        self._lists = {kind: self._built(kind) for kind in LISTS}
        panes = self._panes(width, height)
        if panes is None:
            return None
        self._inks = Inks(palette, system)
        lines = self._draw(panes, width, height)
        texts = {character for line in lines for _, character in line}
        return lines if is_narrow("".join(texts)) else None

    # --- where things are

    def _panes(self, width: int, height: int) -> dict[str, Pane] | None:
        if self.has_class("-narrow"):
            whole = height - 2
            top = whole * 55 // 100 if self.has_class("-short") else 12
            return {
                self.kind: Pane(0, 1, width, top),
                "detail": Pane(0, 1 + top, width, whole - top),
            }
        wide = self.has_class("-wide")
        whole = height - 3
        board = width - 46 if wide else width
        top = lines_of(len(self._lists["containers"]), height)
        below, side = whole - top, 64 if wide else 46
        if below < LEAST:
            return None
        panes = {
            "containers": Pane(0, 2, board, top),
            "detail": Pane(side, 2 + top, board - side, below),
        }
        if wide:
            others = {"images": 3, "networks": 2, "volumes": 2}
            if self._total("projects") or self.kind == "projects":
                others["projects"] = 2
            panes |= _stacked(others, 0, 2 + top, side, below)
            panes |= _stacked({"host": 2, "events": 3}, board, 2, 46, whole)
        else:
            panes["images"] = Pane(0, 2 + top, side, below - 8)
            panes[self._second] = Pane(0, 2 + height - 3 - 8, side, 8)
        return panes

    # --- drawing

    def _draw(self, panes: dict[str, Pane], width: int, height: int) -> list[list[Cell]]:
        blank = (self._inks.codes(""), " ")
        self._lines = [[blank] * width for _ in range(height)]
        tall = 1 if self.has_class("-narrow") else 2
        for y in range(tall):
            self._put(y, 0, width, [*self._header.spans(y, width, tall)], "raised")
        for kind, pane in panes.items():
            if kind in LISTS:
                self._list(kind, pane, width)
        self._detail(panes["detail"])
        if "host" in panes:
            self._rail(panes["host"], panes["events"])
        hints = f" {Keys().hints(self.kind[0], width)}"
        if self._settings.read_only:
            hints = f" [$warn]read-only[/] {hints}"
        line = self._inks.marked_up(hints, "dim", "raised")
        self._lines[-1] = [*line, *[(self._inks.back("raised"), " ")] * width][:width]
        return self._lines

    def _put(self, y: int, x: int, width: int, spans: list[Span], ground: str = "ground") -> None:
        cells = self._inks.cells(spans, ground)[:width]
        rest = (self._inks.codes("", ground), " ")
        self._lines[y][x : x + width] = [*cells, *[rest] * (width - len(cells))]

    def _frame(self, pane: Pane, title: str, subtitle: str, tone: str = "line") -> None:
        """A border with its titles, as Textual draws it."""
        x, y, width, height = pane
        codes, room = self._inks.codes(tone), width - 4
        for corners, at in (("╭╮", y), ("╰╯", y + height - 1)):
            edge = [(codes, "─")] * width
            edge[0], edge[-1] = (codes, corners[0]), (codes, corners[1])
            markup, base = (title, "") if at == y else (subtitle, "dim")
            words = self._inks.marked_up(markup, base)
            if len(words) > room:
                words[room - 1 :] = [(words[room - 1][0], "…")]
            if words:
                space = (self._inks.codes(base), " ")
                start = 2 if at == y else width - 4 - len(words)
                edge[start : start + len(words) + 2] = [space, *words, space]
            self._lines[at][x : x + width] = edge
        for at in range(y + 1, y + height - 1):
            self._lines[at][x] = self._lines[at][x + width - 1] = (codes, "│")

    def _list(self, kind: str, pane: Pane, width: int) -> None:
        x, y, wide, height = pane
        inner, most = wide - 2, max(0, height - 3)
        rows, here = self._lists[kind], kind == self.kind
        at = self._place(kind)
        shown = Shown(len(rows), self._total(kind), at)
        title, subtitle = self._title(kind, width), self._subtitle(kind, shown)
        self._frame(pane, title, subtitle, "accent" if here else "line")
        layout = fit(self._columns[kind], max(1, inner - 3))
        plain, strong = self._inks.codes("dim"), self._inks.codes("dim", attributes="1")
        if height < 3:
            return
        head = heading(layout, *self._sorts[kind])
        cells = [(strong if ours else plain, one) for text, ours in head for one in text][:inner]
        self._lines[y + 1][x + 1 : x + 1 + inner] = [
            *cells,
            *[(plain, " ")] * (inner - len(cells)),
        ]
        top = min(at, max(0, len(rows) - most))
        for index, row in enumerate(rows[top : top + most], top):
            spans = written(row, layout, here and index == at, False)
            line = y + 2 + index - top
            if index == at:
                self._lines[line][x + 1 : x + 1 + inner] = self._bar(spans, inner, here)
            else:
                self._put(line, x + 1, inner, spans)
        if not rows and most > 1 and (why := self._why_empty(kind)):
            codes = self._inks.codes("dim", attributes="3")
            note = [(codes, one) for one in f"  {why}".ljust(inner)[:inner]]
            self._lines[y + 3][x + 1 : x + 1 + inner] = note

    def _bar(self, spans: list[Span], width: int, here: bool) -> list[Cell]:
        """The row under the cursor."""
        ink, cells = self._inks, list[Cell]()
        for text, tone in [*spans, (" " * width, "")]:
            bold = tone == "bright"
            if ink.ansi and here:
                codes = ink.codes("", "bar", "7")
            elif ink.ansi:
                codes = ink.codes(tone, "bar-off", "1;4" if bold else "4")
            elif here:
                codes = ink.codes(tone, "bar", "1")
            else:
                codes = ink.codes(tone, "bar-off", "1" if bold else "")
            cells += [(codes, one) for one in text]
        return cells[:width]

    def _detail(self, pane: Pane) -> None:
        """The border of the pane about what the cursor is on; its inside takes a moment more."""
        kind, names = self.kind, tabs.TABS[self.kind]
        wanted = self.memory.now.tab
        tab = wanted if wanted in names else names[0]
        title = tabs.title(kind, tab, pane.width - 6, self.model.version)
        rows = self._lists[kind]
        target = rows[self._place(kind)].id if rows else ""
        parts = [tabs.called(kind, target, self.model)]
        if tab == "logs":
            found = projects.find(self.model, target) if kind == "projects" else None
            count = len(found.ids) if found else 1
            parts += [f"[$accent]{count} merged[/]"] if count > 1 else []
            parts.append("following")
        self._frame(pane, title, " · ".join(part for part in parts if part))

    def _rail(self, host: Pane, events: Pane) -> None:
        self._frame(host, "Host", "")
        lines = hostwords.panel(self._history, max(10, host.width - 4), host.height - 2)
        for y, spans in enumerate(lines[: host.height - 2], host.y + 1):
            self._put(y, host.x + 1, host.width - 2, [(" ", ""), *spans])
        self._frame(events, "Events", "")  # which are not asked for yet

    def _place(self, kind: str) -> int:
        """The cursor's place in a list."""
        return place_of(self.memory.now.rows.get(kind, ""), self._lists[kind]) or 0


def _stacked(shares: Mapping[str, int], x: int, y: int, width: int, height: int) -> dict[str, Pane]:
    """Panes below each other that share a height, as Textual divides it."""
    whole, done, panes = sum(shares.values()), 0, dict[str, Pane]()
    for name, share in shares.items():
        first, last = done * height // whole, (done + share) * height // whole
        panes[name] = Pane(x, y + first, width, last - first)
        done += share
    return panes
