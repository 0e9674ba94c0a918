"""The colours of our themes by name, and which of them a terminal gets: Textual is not needed."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

# ink text · dim secondary · bright names · line borders · spark* graphs · bar* cursor
DARK = {
    "ink": "#b9c7d4",
    "dim": "#6f8598",
    "bright": "#f1f6fa",
    "line": "#26394a",
    "good": "#5fd38d",
    "warn": "#f0b955",
    "bad": "#ff6f6f",
    "spark": "#3fa7d6",
    "spark2": "#7c8ce0",
    "bar": "#17344a",
    "bar-off": "#14212d",
}
LIGHT = {
    "ink": "#33424f",
    "dim": "#6d7f8e",
    "bright": "#0b1720",
    "line": "#c3d0da",
    "good": "#14804a",
    "warn": "#9a6700",
    "bad": "#c62828",
    "spark": "#1277a8",
    "spark2": "#5560c0",
    "bar": "#cfe6f5",
    "bar-off": "#e6edf2",
}
CONTRAST = {
    "ink": "#ffffff",
    "dim": "#c8d0d8",
    "bright": "#ffffff",
    "line": "#8c98a4",
    "good": "#4dff88",
    "warn": "#ffd633",
    "bad": "#ff8080",
    "spark": "#66d9ff",
    "spark2": "#b3bfff",
    "bar": "#004a80",
    "bar-off": "#303030",
}
ANSI = {
    # Textual defines it for the themes that are not of the ANSI kind only.
    "ansi-background": "ansi_default",
    "ink": "ansi_default",
    "dim": "ansi_bright_black",
    "bright": "ansi_default",
    "line": "ansi_bright_black",
    "good": "ansi_green",
    "warn": "ansi_yellow",
    "bad": "ansi_red",
    "spark": "ansi_cyan",
    "spark2": "ansi_blue",
    "bar": "ansi_default",
    "bar-off": "ansi_default",
}


class Palette(NamedTuple):
    """A theme's colours: `ground` is behind all, `raised` behind header and hints."""

    accent: str
    ground: str
    raised: str
    tones: dict[str, str]


PALETTES = {
    "bay-dark": Palette("#4cc9f0", "#0c141c", "#121f2a", DARK),
    "bay-light": Palette("#0077a8", "#fafcfd", "#eef3f7", LIGHT),
    "bay-contrast": Palette("#00e5ff", "#000000", "#141414", CONTRAST),
    "bay-ansi": Palette("ansi_cyan", "ansi_default", "ansi_default", ANSI),
}
NAMES = {"dark": "bay-dark", "light": "bay-light", "contrast": "bay-contrast", "ansi": "bay-ansi"}


def unknown(name: str) -> str:
    """The sentence for a theme that is none of ours, "" for one that is."""
    if not name or NAMES.get(name, name) in PALETTES:
        return ""
    return f"There is no theme {name!r}: choose {', '.join(NAMES)}"


def choose(environment: Mapping[str, str], configured: str = "") -> str:
    """The theme to start with: `BAY_THEME`, else `configured`, else what the terminal can show.

    NO_COLOR takes the terminal's theme too: with it Textual drops every colour, while any other
    theme would only lose its hues.
    """
    for given in (environment.get("BAY_THEME", ""), configured):
        wanted = NAMES.get(given, given)
        if wanted in PALETTES:
            return wanted
    if "NO_COLOR" in environment:
        return "bay-ansi"
    rich = environment.get("COLORTERM", "") in ("truecolor", "24bit")
    term = environment.get("TERM", "")
    return "bay-dark" if rich or "256color" in term or "direct" in term else "bay-ansi"
