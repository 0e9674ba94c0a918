"""A theme's colours as what a terminal is told: SGR parameters, as Rich writes them.

For the first frame, which is drawn before Rich is there; what is drawn later has them from it.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterator, Mapping

from .cells import Span
from .tones import Palette

Cell = tuple[str, str]  # SGR parameters and a character, as in `painting`
TRUECOLOR, EIGHT_BIT, STANDARD = "truecolor", "256", "16"
_TERMS = {"kitty": EIGHT_BIT, "256color": EIGHT_BIT}
_ANSI = {
    "ansi_default": 39,
    "ansi_red": 31,
    "ansi_green": 32,
    "ansi_yellow": 33,
    "ansi_blue": 34,
    "ansi_cyan": 36,
    "ansi_bright_black": 90,
}
_MARKUP = re.compile(r"\\\[|\[(/|@[^\]]*|(?:b )?\$[a-z0-9]+|b)\]|[^\[\\]+|.")


def system(environment: Mapping[str, str]) -> str:
    """How many colours a terminal has, as Rich judges it."""
    if environment.get("COLORTERM", "").strip().lower() in ("truecolor", "24bit"):
        return TRUECOLOR
    return _TERMS.get(environment.get("TERM", "").strip().lower().rpartition("-")[2], STANDARD)


class Inks:
    """The SGR parameters of a palette on a terminal of `system` colours."""

    def __init__(self, palette: Palette, system: str) -> None:
        self.ansi = palette.ground.startswith("ansi")
        self._system = system
        self._colours = {
            **palette.tones,
            "accent": palette.accent,
            "ground": palette.ground,
            "raised": palette.raised,
        }
        self._known: dict[tuple[str, str, str], str] = {}

    def codes(self, tone: str, ground: str = "ground", attributes: str = "") -> str:
        """Of a tone ("" is the plain one) on a ground; `attributes` are SGR's, in order."""
        key = (tone, ground, attributes)
        found = self._known.get(key)
        if found is None:
            front = self._colour(self._colours[{"": "ink", "idle": "dim"}.get(tone, tone)], 0)
            found = ";".join(filter(None, (attributes, front, self.back(ground))))
            self._known[key] = found
        return found

    def back(self, ground: str) -> str:
        """Of nothing but a ground."""
        return self._colour(self._colours[ground], 10)

    def _colour(self, name: str, shift: int) -> str:
        if name in _ANSI:
            return str(_ANSI[name] + shift)
        red, green, blue = (int(name[at : at + 2], 16) for at in (1, 3, 5))
        if self._system == TRUECOLOR:
            return f"{38 + shift};2;{red};{green};{blue}"
        return f"{38 + shift};5;{eight_bit(red, green, blue)}"

    def cells(self, spans: list[Span], ground: str = "ground") -> list[Cell]:
        """The cells of spans; what is bright is bold, as the stylesheet has it."""
        made: list[Cell] = []
        for text, tone in spans:
            codes = self.codes(tone, ground, "1" if tone == "bright" else "")
            made += [(codes, one) for one in text]
        return made

    def marked_up(self, markup: str, tone: str, ground: str = "ground") -> list[Cell]:
        """The cells of markup as borders and hints have it; `tone` is that of the rest."""
        made: list[Cell] = []
        pens = [(tone, "")]
        for text, tag in _pieces(markup):
            if tag == "/":
                pens.pop()
            elif tag:
                bold = "1" if tag.split()[0] == "b" else pens[-1][1]
                colour = tag.rpartition("$")[2] if "$" in tag and tag[0] != "@" else pens[-1][0]
                pens.append((colour, bold))
            else:
                codes = self.codes(pens[-1][0], ground, pens[-1][1])
                made += [(codes, one) for one in text]
        return made


def _pieces(markup: str) -> Iterator[tuple[str, str]]:
    """Markup as (text, "") and ("", tag)."""
    for match in _MARKUP.finditer(markup):
        tag = match[1]
        yield ("", tag) if tag else (match[0].removeprefix("\\"), "")


def eight_bit(red: int, green: int, blue: int) -> int:
    """The nearest of a terminal's 256 colours, as Rich chooses it."""
    low, high = min(red, green, blue) / 255, max(red, green, blue) / 255
    light = (low + high) / 2
    spread = high - low
    whole = high + low if light <= 0.5 else 2 - high - low
    if not spread or spread / whole < 0.15:
        gray = round(light * 25)
        return 16 if gray == 0 else 231 if gray == 25 else 231 + gray
    steps = (one / 95 if one < 95 else 1 + (one - 95) / 40 for one in (red, green, blue))
    six = [round(one) for one in steps]
    return 16 + 36 * six[0] + 6 * six[1] + six[2]


def is_narrow(text: str) -> bool:
    """Whether each character is one column of the terminal, and none is acted on."""
    if text.isascii():
        return text.isprintable()
    return all(
        one.isprintable()
        and unicodedata.east_asian_width(one) not in "WF"
        and unicodedata.category(one)[0] not in "MC"
        for one in set(text)
    )
