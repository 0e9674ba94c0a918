"""What a row of a list is made of, and how columns share a width: pure, no widgets."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Literal, NamedTuple

Tone = Literal[
    "", "dim", "bright", "good", "warn", "bad", "idle", "accent", "line", "spark", "spark2"
]
Span = tuple[str, Tone]
Cell = tuple[Span, ...]


def cell(text: str, tone: Tone = "") -> Cell:
    """A cell of one tone."""
    return ((text, tone),)


class Column(NamedTuple):
    """One column of a list.

    `least` and `most` bound its width in columns; `rank` says in what order columns are given up
    when the pane is narrow (0 never); `right` aligns to the right; `extra` is shown only to those
    who chose it.
    """

    key: str
    title: str
    least: int
    most: int = 0
    rank: int = 0
    right: bool = False
    extra: bool = False

    @property
    def limit(self) -> int:
        """The widest this column gets."""
        return max(self.least, self.most)


class LazyCells(dict[str, Cell]):
    """A row's cells, some of which are made only when one of them is looked at.

    Of a thousand rows fifty are seen; the rest is sorted and filtered, but never drawn.
    """

    def __init__(self, ready: dict[str, Cell], later: Callable[[], dict[str, Cell]]) -> None:
        super().__init__(ready)
        self._later: Callable[[], dict[str, Cell]] | None = later

    def __missing__(self, key: str) -> Cell:
        later, self._later = self._later, None
        if later is None:
            raise KeyError(key)
        self.update(later())
        return self[key]


class Row(NamedTuple):
    """One line of a list: what it stands for, its cells by column key, and what sorting reads."""

    id: str
    cells: dict[str, Cell]
    sort: dict[str, Any]
    text: str = ""
    quiet: bool = False
    labels: Mapping[str, str] = {}


def fit(columns: Sequence[Column], width: int, gap: int = 1) -> list[tuple[Column, int]]:
    """Choose the columns that `width` has room for, and the width of each.

    Columns are given up from the highest rank; spare room goes to those that can grow, evenly.
    """
    kept = list(columns)
    while len(kept) > 1 and sum(one.least for one in kept) + gap * (len(kept) - 1) > width:
        worst = max(kept, key=lambda one: one.rank)
        if worst.rank == 0:
            break
        kept.remove(worst)
    widths = {one.key: one.least for one in kept}
    spare = width - sum(widths.values()) - gap * (len(kept) - 1)
    while spare > 0:
        growing = [one for one in kept if widths[one.key] < one.limit]
        if not growing:
            break
        for one in growing[:spare]:
            widths[one.key] += 1
            spare -= 1
    return [(one, widths[one.key]) for one in kept]


def clip(spans: Cell, width: int, right: bool = False) -> Cell:
    """Spans padded or cut to exactly `width` columns, a cut shown by `…`."""
    length = sum([_columns(text) for text, _ in spans])
    if length == width:
        return spans
    if length < width:
        pad: Span = (" " * (width - length), "")
        return (pad, *spans) if right else (*spans, pad)
    out: list[Span] = []
    left = width - 1
    for text, tone in spans:
        if left <= 0:
            break
        wide = _columns(text)
        out.append((text if wide <= left else _cut(text, left), tone))
        left -= wide
    last = out[-1][1] if out else ""
    return (*out, ("…", last)) if width > 0 else ()


def heading(
    layout: Sequence[tuple[Column, int]], sorted_by: str, backwards: bool
) -> list[tuple[str, bool]]:
    """The header above rows: texts, and whether each is that of the column they are sorted by."""
    parts: list[tuple[str, bool]] = [("  ", False)]
    for column, wide in layout:
        title = column.title
        ours = column.key == sorted_by
        if ours:
            title += "▴" if backwards else "▾"
        title = title[:wide]
        padded = title.rjust(wide) if column.right else title.ljust(wide)
        parts += [(padded, ours), (" ", False)]
    return parts


def written(row: Row, layout: Sequence[tuple[Column, int]], here: bool, marked: bool) -> list[Span]:
    """A row in these columns; `here` says that the cursor of the worked-in list is on it."""
    spans: list[Span] = [*edge(here, marked)]
    for column, wide in layout:
        spans += [*shown(row.cells[column.key], column, wide), (" ", "")]
    return spans


def edge(here: bool, marked: bool) -> tuple[Span, Span]:
    """What a row begins with."""
    return ("▌" if here else " ", "accent"), ("+" if marked else " ", "warn")


def shown(content: Cell, column: Column, wide: int) -> Cell:
    """A cell as it is in this column; of a graph the end."""
    if column.key.endswith("_line"):
        content = tuple((text[-wide:], tone) for text, tone in content)
    return clip(content, wide, column.right)


def _columns(text: str) -> int:
    if text.isascii() and text.isprintable():
        return len(text)
    from rich.cells import cell_len  # not above: the first frame is painted before it is there

    return cell_len(text)


def _cut(text: str, columns: int) -> str:
    """The beginning of a text; of a wide character that is cut a blank remains."""
    if text.isascii() and text.isprintable():
        return text[:columns]
    from rich.cells import set_cell_size

    return set_cell_size(text, columns)
