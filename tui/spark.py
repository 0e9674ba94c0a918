"""Small graphs made of text: sparklines in rows, and filled graphs in panes."""

from __future__ import annotations

from collections.abc import Sequence

BLOCKS = "▁▂▃▄▅▆▇█"
# Dots of a braille cell by column, from the bottom up (U+2800: dots 7,3,2,1 and 8,6,5,4).
_LEFT = (0x40, 0x04, 0x02, 0x01)
_RIGHT = (0x80, 0x20, 0x10, 0x08)


def line(values: Sequence[float], width: int, top: float) -> str:
    """The last `width` of `values` as one character each, the newest at the right.

    `top` is the value of a full bar; what has not been measured yet is blank.
    """
    shown = list(values)[-width:] if width > 0 else []
    scale = len(BLOCKS) / top if top > 0 else 0
    last = len(BLOCKS) - 1
    levels = [int(value * scale) for value in shown]
    bars = [BLOCKS[0 if level < 0 else level if level < last else last] for level in levels]
    return "".join(bars).rjust(width)


def area(values: Sequence[float], width: int, height: int, top: float) -> list[str]:
    """A filled graph in braille, `height` lines from the top down, two values per column.

    A value above zero shows at least one dot, so that a little is told from nothing.
    """
    wanted = width * 2
    shown = list(values)[-wanted:]
    shown = [0.0] * (wanted - len(shown)) + shown
    dots = height * 4
    scale = dots / top if top > 0 else 0
    levels = [min(dots, max(1 if value > 0 else 0, round(value * scale))) for value in shown]
    lines = []
    for row in range(height):
        floor = (height - 1 - row) * 4
        cells = []
        for column in range(width):
            mask = 0
            for bits, level in ((_LEFT, levels[column * 2]), (_RIGHT, levels[column * 2 + 1])):
                for step in range(max(0, min(4, level - floor))):
                    mask |= bits[step]
            cells.append(chr(0x2800 + mask) if mask else " ")
        lines.append("".join(cells))
    return lines


def scale(values: Sequence[float], floor: float) -> float:
    """The top of a graph's axis: the highest of `values` or `floor`, with a little air above."""
    return max([floor, *(value * 1.1 for value in values)])
