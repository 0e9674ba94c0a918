"""The ASCII symbol set: every line that is drawn goes through here, frames and graphs included.

Done at the last step, since a glyph comes from many places: ours, Textual's borders, its inputs.
What a container itself writes into its log or its terminal is left alone.
"""

from __future__ import annotations

from rich.segment import Segment
from textual.color import Color
from textual.filter import LineFilter

_SINGLE = {
    "─━═╌┄╴╶": "-",
    "│┃║┆": "|",
    "╭╮╰╯┌┐└┘├┤┬┴┼╋╞╡": "+",
    "●": "*",
    "○": "o",
    "◐": "=",
    "◌": ".",
    "◍": "+",
    "↻": "~",
    "✕✗": "x",
    "✓": "v",
    "▴▲": "^",
    "▾▼": "v",
    "▸▶→›↦↵": ">",
    "◂◀←‹": "<",
    "↑⇧": "^",
    "↓⇣": "v",
    "⇡": "^",
    "▌▍▎▏▊": ">",
    "█▉": "#",
    "·•": ".",
    "–—": "-",
    "…": ".",
    "␣": "_",
    "▁": "_",
    "▂": ".",
    "▃": "-",
    "▄": "=",
    "▅": "+",
    "▆": "*",
    "▇": "%",
}
_TABLE = {ord(glyph): plain for glyphs, plain in _SINGLE.items() for glyph in glyphs}
# Braille by the number of its dots.
_TABLE |= {0x2800 + dots: " .:-=+*%#"[dots.bit_count()] for dots in range(256)}


def plain(text: str) -> str:
    """`text` in ASCII, as wide as before."""
    return text.translate(_TABLE)


class Ascii(LineFilter):
    """Translates what the widgets draw."""

    def apply(self, segments: list[Segment], background: Color) -> list[Segment]:
        """Each segment in ASCII."""
        return [
            segment if segment.text.isascii() else Segment(plain(segment.text), *segment[1:])
            for segment in segments
        ]
