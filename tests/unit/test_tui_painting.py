"""What is written to the terminal: the cells that differ, and of wide characters no halves."""

from __future__ import annotations

import random

import pytest
from bayplan.tui.compositing import PiecesUpdate
from bayplan.tui.painting import NarrowUpdate, Painter, cells_of
from rich.color import ColorSystem
from rich.console import Console
from rich.segment import Segment
from rich.style import Style
from textual.strip import Strip

WORDS = ("web", "  ", "数据库", "▁▂█", "é", "e\u0301", "e\u0301e\u0301", "a漢b", "●")
STYLES = (None, Style(color="red"), Style(bold=True, bgcolor="#102030"))
SYSTEM = ColorSystem.TRUECOLOR


def any_strip(chance: random.Random) -> Strip:
    segments = [Segment(chance.choice(WORDS), chance.choice(STYLES)) for _ in range(8)]
    return Strip(segments)


@pytest.mark.parametrize("seed", range(40))
def test_a_part_of_a_line_is_what_a_cut_strip_shows(seed: int) -> None:
    """Painted alone on a blank terminal, as Textual would have cut it."""
    chance = random.Random(seed)
    strip = any_strip(chance)
    width = strip.cell_length
    first = chance.randrange(width)
    last = chance.randrange(first, width) + 1
    painter, console = Painter(), Console(color_system="truecolor")
    painter.fit(width + 4, 1)
    NarrowUpdate(PiecesUpdate([(0, first + 3, last + 3, strip, 3)]), painter, console)
    shown = painter._lines[0][first + 3 : last + 3]
    assert shown == cells_of(strip.crop(first, last), SYSTEM)
    assert set(painter._lines[0][: first + 3]) <= {("?", "?")}


@pytest.mark.parametrize("text", ["a\x1b]0;title\x07b", "é\x9b2J", "\x1b[31mx\r\n", "x\u202ey"])
def test_what_a_terminal_would_act_on_is_not_written(text: str) -> None:
    """A file in a container may have any name."""
    strip = Strip([Segment(text)])
    cells = cells_of(strip, SYSTEM)
    assert "".join(character for _, character in cells).isprintable()
    assert len(cells) == strip.cell_length


def test_what_the_terminal_shows_already_is_not_written() -> None:
    strip = Strip([Segment("load ", STYLES[1]), Segment("0.10")])
    painter, console = Painter(), Console(color_system="truecolor")
    painter.fit(40, 2)
    pieces = [(1, 0, strip.cell_length, strip, 0)]
    assert NarrowUpdate(PiecesUpdate(pieces), painter, console).text
    again = Strip([Segment("lo", STYLES[1]), Segment("ad ", STYLES[1]), Segment("0.10")])
    assert NarrowUpdate(PiecesUpdate([(1, 0, 9, again, 0)]), painter, console).text == ""
    other = Strip([Segment("load ", STYLES[1]), Segment("0.17")])
    told = NarrowUpdate(PiecesUpdate([(1, 0, 9, other, 0)]), painter, console).text
    assert told == "\x1b[2;9H7"
