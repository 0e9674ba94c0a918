"""Tables: aligned columns of text, the way Docker prints them."""

from __future__ import annotations

import sys

from ..host.light import TYPE_CHECKING, Sequence, TextIO

if TYPE_CHECKING:
    import os
else:
    from ..host import lightos as os

# Docker's: a column is at least this wide, and columns are this far apart.
_MIN_WIDTH = 10
_GAP = 3

BOLD, DIM, RED, GREEN, YELLOW, CYAN = "1", "2", "31", "32", "33", "36"


# What moves a terminal's cursor, ends a row, or turns the direction of reading: labels and
# commands of images are whatever their makers wrote.
_CONTROL = "[\x00-\x08\x0a-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069]"


def plain(text: str, kept: str = "") -> str:
    """`text` without control characters but those `kept`; a `?` for each."""
    if text.isprintable():
        return text
    from re import sub

    return sub(_CONTROL, lambda found: found[0] if found[0] in kept else "?", text)


def width(text: str) -> int:
    """The number of terminal columns `text` takes."""
    if text.isascii():
        return len(text)
    from unicodedata import combining, east_asian_width

    return sum(0 if combining(c) else 2 if east_asian_width(c) in "WF" else 1 for c in text)


def is_styled(stream: TextIO | None = None) -> bool:
    """Whether to colour: stdout is a terminal that can, and `NO_COLOR` isn't set."""
    if os.environ.get("NO_COLOR") or os.environ.get("TERM") == "dumb":
        return False
    return (stream or sys.stdout).isatty()


def paint(text: str, style: str) -> str:
    """`text` in a style: an SGR parameter (ECMA-48), empty for none."""
    return f"\x1b[{style}m{text}\x1b[0m" if style else text


def state_style(cell: str) -> str:
    """The colour of a status cell such as "Up 3 minutes" or "Exited (1) 2 hours ago"."""
    lower = cell.lower()
    if "unhealthy" in lower or lower.startswith(("dead", "restarting")):
        return RED
    if lower.startswith(("up", "running")):
        return YELLOW if "paused" in lower else GREEN
    if lower.startswith("paused"):
        return YELLOW
    if lower.startswith("exited ("):
        return DIM if lower.startswith("exited (0)") else RED
    return DIM if lower.startswith(("exited", "created")) else ""


def align(
    rows: Sequence[Sequence[str]], styles: Sequence[str] | None = None, least: int = _MIN_WIDTH
) -> list[str]:
    """The rows as lines of aligned columns; the first row is the header.

    `styles`, for a terminal, names each column's style: an SGR parameter, "state" for a colour by
    content, or "". The last column isn't padded; the others are at least `least` wide.
    """
    if not rows:
        return []
    if not all(cell.isprintable() for row in rows for cell in row):
        rows = [[plain(cell) for cell in row] for row in rows]
    count = max(map(len, rows))
    widths = [
        max(least, max(width(row[i]) for row in rows if i < len(row)) + _GAP) for i in range(count)
    ]
    if styles is None and all(cell.isascii() for row in rows for cell in row):
        return ["".join(map(str.ljust, row[:-1], widths)) + row[-1] if row else "" for row in rows]
    lines = []
    for index, row in enumerate(rows):
        cells = []
        for i, cell in enumerate(row):
            pad = "" if i == len(row) - 1 else " " * (widths[i] - width(cell))
            cells.append((_styled(cell, index, i, styles) if styles else cell) + pad)
        lines.append("".join(cells))
    return lines


def _styled(cell: str, row: int, column: int, styles: Sequence[str]) -> str:
    if row == 0:
        return paint(cell, BOLD)
    style = styles[column] if column < len(styles) else ""
    return paint(cell, state_style(cell) if style == "state" else style)
