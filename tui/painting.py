"""Writes to the terminal only the cells that differ from what it shows.

Textual repaints whole pieces of a line, from the left edge of a widget to the last cell that may
have changed: a list of fifty rows whose figures change once a second was measured at 52 kB/s that
way, which an SSH link feels. Here each update is compared with the cells written before; what is
equal is skipped, the cursor moves to what is not, and colours are named only where they change.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from functools import lru_cache
from typing import TYPE_CHECKING, Any

from rich.cells import cell_len
from rich.color import ColorSystem
from textual._compositor import ChopsUpdate, CompositorUpdate, LayoutUpdate
from textual.app import App
from textual.strip import Strip

from .compositing import PiecesUpdate

if TYPE_CHECKING:
    from rich.console import Console, RenderableType
    from textual.screen import Screen

Cell = tuple[str, str]  # SGR parameters and a character; "" in a wide character's second column
NEAR = 5  # equal cells between two changed ones that cost less than moving the cursor
KEPT = 512  # lines whose cells are kept
SHORT = 48  # characters of the longest text whose cells are kept
Kept = dict[int, tuple[Strip, list[Cell]]]  # by id()
_UNKNOWN: Cell = ("?", "?")
# What a terminal acts on: names of files, labels and commands are whatever their makers wrote. rich
# lays them out as nothing.
_CONTROL = re.compile("[\x00-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069]")


class Painter:
    """What the terminal shows, as far as is known, and the way from there to what it should."""

    def __init__(self) -> None:
        # Lines last drawn, each with its cells: a list that is scrolled shows most of them again.
        self.kept: Kept = {}
        self._lines: list[list[Cell]] = []
        self._size = (0, 0)

    def forget(self) -> None:
        """The terminal may show anything: write all cells the next time."""
        self._lines = []

    def know(self, lines: list[list[Cell]]) -> None:
        """The terminal shows these lines already, which fill it."""
        self._size = (len(lines[0]), len(lines))
        self._lines = lines

    def fit(self, width: int, height: int) -> None:
        """The terminal has this size; after a change nothing on it is known."""
        if (width, height) != self._size or len(self._lines) != height:
            self._size = (width, height)
            self._lines = [[_UNKNOWN] * width for _ in range(height)]

    def write(self, spans: Iterable[tuple[int, int, list[Cell]]]) -> str:
        """The sequences that put cells at (line, column), for each span; notes them as shown."""
        out: list[str] = []
        pen = _Pen(out)
        for y, x, cells in spans:
            if not 0 <= y < len(self._lines):
                continue
            before = self._lines[y]
            room = len(before) - x
            new = cells if len(cells) <= room else cells[:room]
            if before[x : x + len(new)] == new:
                continue
            for start, end in _changed(before, x, new):
                pen.draw(y, x + start, new[start:end])
            before[x : x + len(new)] = new
        pen.lift()
        return "".join(out)


def _changed(before: list[Cell], x: int, new: list[Cell]) -> Iterator[tuple[int, int]]:
    """The runs of `new` that differ from what is at column `x`, near ones joined.

    A run never begins or ends within a wide character: half of one is nothing a terminal can show.
    """
    start, last = -1, -1
    for index, cell in enumerate(new):
        if cell == before[x + index]:
            continue
        if start >= 0 and index - last > NEAR:
            yield _whole(new, start, last + 1)
            start = index
        elif start < 0:
            start = index
        last = index
    if start >= 0:
        yield _whole(new, start, last + 1)


def _whole(new: list[Cell], start: int, end: int) -> tuple[int, int]:
    while start > 0 and not new[start][1]:
        start -= 1
    while end < len(new) and not new[end][1]:
        end += 1
    return start, end


class _Pen:
    """Writes cells, remembering where the cursor is and what colours it has."""

    def __init__(self, out: list[str]) -> None:
        self._out = out
        self._at = (-1, -1)
        self._codes = ""

    def draw(self, y: int, x: int, cells: list[Cell]) -> None:
        """Write `cells` from line `y`, column `x` on."""
        if self._at[0] == y:
            self._out.append(f"\x1b[{x + 1}G")
        else:
            self._out.append(f"\x1b[{y + 1};{x + 1}H")
        run: list[str] = []
        for codes, character in cells:
            if codes != self._codes:
                self._out.append("".join(run))
                run = []
                self._out.append(_turn(self._codes, codes))
                self._codes = codes
            run.append(character)
        self._out.append("".join(run))
        self._at = (y, x + len(cells))

    def lift(self) -> None:
        """Leave the terminal without colours, as Textual expects it."""
        if self._codes:
            self._out.append("\x1b[0m")


@lru_cache(maxsize=4096)
def _turn(before: str, after: str) -> str:
    """The sequence from one set of SGR parameters to another: only what differs."""
    if not after:
        return "\x1b[0m"
    old, new = _split(before), _split(after)
    if old[0] != new[0]:
        return f"\x1b[0;{after}m"
    parts = [
        one or empty
        for was, one, empty in zip(old[1:], new[1:], ("39", "49"), strict=True)
        if was != one
    ]
    return f"\x1b[{';'.join(parts)}m"


@lru_cache(maxsize=4096)
def _split(codes: str) -> tuple[str, str, str]:
    """SGR parameters as attributes, foreground, background."""
    attributes: list[str] = []
    colours = ["", ""]
    words = iter(codes.split(";") if codes else ())
    for word in words:
        if word in ("38", "48"):
            kind = next(words)
            count = 3 if kind == "2" else 1
            colours[word == "48"] = ";".join([word, kind, *(next(words) for _ in range(count))])
        elif (len(word) >= 2 and word[0] in "349") or (len(word) == 3 and word[:2] == "10"):
            background = word[0] == "4" or len(word) == 3
            colours[background] = word
        else:
            attributes.append(word)
    return ";".join(attributes), colours[0], colours[1]


def cells_of(strip: Iterable[Any], system: ColorSystem) -> list[Cell]:
    """The cells of a strip's segments, without what a terminal would act on."""
    cells: list[Cell] = []
    for text, style, control in strip:
        if control:
            continue
        codes = style._make_ansi_codes(system) if style else ""
        if not text.isprintable():
            text = _CONTROL.sub("", text)
        narrow = _kept(text, codes) if len(text) <= SHORT else _narrow(text, codes)
        if narrow is not None:
            cells += narrow
            continue
        for character in text:
            width = cell_len(character)
            if width == 0 and cells:  # a combining character belongs to the one before it
                was = cells[-1]
                cells[-1] = (was[0], was[1] + character)
            else:
                cells.append((codes, character))
                cells += [(codes, "")] * (width - 1)
    return cells


def _narrow(text: str, codes: str) -> tuple[Cell, ...] | None:
    """The cells of a text each of whose characters is one column wide, None where one is not."""
    if text.isascii() or all(cell_len(character) == 1 for character in text):
        return tuple([(codes, character) for character in text])
    return None


# Long texts are lines of logs, each of which is drawn once.
_kept = lru_cache(maxsize=1024)(_narrow)


class NarrowUpdate(CompositorUpdate):
    """One of Textual's updates as `text`, what a Painter writes for it."""

    def __init__(
        self, update: LayoutUpdate | ChopsUpdate | PiecesUpdate, painter: Painter, console: Console
    ) -> None:
        system = console._color_system or ColorSystem.TRUECOLOR
        if isinstance(update, PiecesUpdate):
            spans = _parts(update, system, painter.kept)
        elif isinstance(update, LayoutUpdate):
            spans = _layout(update, system)
        else:
            spans = _chops(update, system)
        self.text = painter.write(spans)

    def render_segments(self, console: Console) -> str:
        """The sequences."""
        return self.text


def _parts(
    update: PiecesUpdate, system: ColorSystem, kept: Kept
) -> Iterator[tuple[int, int, list[Cell]]]:
    for y, first, last, drawn, left in update.pieces:
        known = kept.get(id(drawn))
        if known is not None and known[0] is drawn:
            cells = known[1]
        else:
            cells = cells_of(drawn, system)
            if isinstance(drawn, Strip):  # a part of a line is drawn once
                if len(kept) >= KEPT:
                    kept.clear()
                kept[id(drawn)] = (drawn, cells)
        yield y, first, _cut(cells, first - left, last - left)


def _cut(cells: list[Cell], first: int, last: int) -> list[Cell]:
    """The cells from `first` to `last`; half a wide character is a blank."""
    part = cells[first:last]
    if part and not part[0][1]:
        part[0] = (part[0][0], " ")
    if part and last < len(cells) and not cells[last][1]:
        part[-1] = (part[-1][0], " ")
    return part


def _layout(update: LayoutUpdate, system: ColorSystem) -> Iterator[tuple[int, int, list[Cell]]]:
    for y, strips in enumerate(update.strips, update.region.y):
        line: list[Cell] = []
        for strip in strips:
            line += cells_of(strip, system)
        yield y, update.region.x, line


def _chops(update: ChopsUpdate, system: ColorSystem) -> Iterator[tuple[int, int, list[Cell]]]:
    for y, x1, x2 in update.spans:
        ends: Sequence[int] = update.chop_ends[y]
        for end, (x, strip) in zip(ends, update.chops[y].items(), strict=False):
            if strip is None or x >= x2 or end <= x1:
                continue
            first, last = max(x, x1), min(end, x2)
            part: Strip = strip if (first, last) == (x, end) else strip.crop(first - x, last - x)
            yield y, first, cells_of(part, system)


class Narrow(App[None]):
    """An App that writes only the cells that changed."""

    def __init__(self, *arguments: Any, **options: Any) -> None:
        super().__init__(*arguments, **options)
        self.painter = Painter()
        self.veiled = False  # whether the terminal keeps showing what was there before

    def _display(self, screen: Screen[Any], renderable: RenderableType | None) -> None:
        if self.veiled:
            return
        # What the painter has written is on the terminal: nothing may come between.
        written = self._running and not self._closed and not self._batch_count
        if (
            self.is_headless
            or self._driver is None
            or not written
            or not isinstance(renderable, LayoutUpdate | ChopsUpdate | PiecesUpdate)
        ):
            super()._display(screen, renderable)
            return
        self.painter.fit(*self.size)
        update: Any = NarrowUpdate(renderable, self.painter, self.console)
        cursor = self.screen.outer_size.clamp_offset(self.cursor_position)
        if update.text or cursor != self._previous_cursor_position:
            super()._display(screen, update)
        else:  # not even where the cursor is
            self.post_display_hook()

    def _resume_signal(self) -> None:
        """The terminal was another program's meanwhile."""
        self.painter.forget()
        super()._resume_signal()

    def action_repaint(self) -> None:
        """Write every cell again, over whatever got onto the terminal."""
        self.painter.forget()
        self.refresh()
