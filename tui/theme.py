"""The colours: a dark and a light theme of one accent, and one of the terminal's own sixteen."""

from __future__ import annotations

from collections.abc import Mapping

from textual.theme import Theme

# ink text · dim secondary · bright names · line borders · spark* graphs · bar* cursor
_DARK = {
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
_LIGHT = {
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
_CONTRAST = {
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
_ANSI = {
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

# What Textual's own stylesheets want of a theme of the terminal's colours.
_ANSI_MORE = {
    "ansi-background": "ansi_black",
    "ansi-foreground": "ansi_white",
    "border-blurred": "ansi_bright_black",
    "block-cursor-foreground": "ansi_black",
    "block-cursor-background": "ansi_white",
    "input-cursor-background": "ansi_white",
    "input-cursor-foreground": "ansi_black",
    "input-selection-background": "ansi_bright_blue",
    "input-selection-foreground": "ansi_black",
    "screen-selection-background": "ansi_bright_blue",
    "screen-selection-foreground": "ansi_black",
}


def _theme(
    name: str, accent: str, ground: str, raised: str, tones: dict[str, str], dark: bool
) -> Theme:
    return Theme(
        name=name,
        primary=accent,
        accent=accent,
        foreground=tones["ink"],
        background=ground,
        surface=ground,
        panel=raised,
        boost=raised,
        success=tones["good"],
        warning=tones["warn"],
        error=tones["bad"],
        dark=dark,
        ansi=ground.startswith("ansi"),
        variables={
            **tones,
            **(_ANSI_MORE if ground.startswith("ansi") else {}),
            "input-cursor-text-style": "reverse",
            "block-cursor-text-style": "bold",
            "scrollbar": tones["line"],
            "scrollbar-background": ground,
            "scrollbar-corner-color": ground,
        },
    )


BAY_DARK: Theme = _theme("bay-dark", "#4cc9f0", "#0c141c", "#121f2a", _DARK, True)
BAY_LIGHT: Theme = _theme("bay-light", "#0077a8", "#fafcfd", "#eef3f7", _LIGHT, False)
BAY_ANSI: Theme = _theme("bay-ansi", "ansi_cyan", "ansi_default", "ansi_default", _ANSI, True)
BAY_CONTRAST: Theme = _theme("bay-contrast", "#00e5ff", "#000000", "#141414", _CONTRAST, True)
THEMES = (BAY_DARK, BAY_LIGHT, BAY_CONTRAST, BAY_ANSI)
NAMES = {"dark": "bay-dark", "light": "bay-light", "contrast": "bay-contrast", "ansi": "bay-ansi"}


def unknown(name: str) -> str:
    """The sentence for a theme that is none of ours, "" for one that is."""
    if not name or NAMES.get(name, name) in {theme.name for theme in THEMES}:
        return ""
    return f"There is no theme {name!r}: choose {', '.join(NAMES)}"


def choose(environment: Mapping[str, str], configured: str = "") -> str:
    """The theme to start with: `BAY_THEME`, else `configured`, else what the terminal can show.

    NO_COLOR takes the terminal's theme too: with it Textual drops every colour, while any other
    theme would only lose its hues.
    """
    for given in (environment.get("BAY_THEME", ""), configured):
        wanted = NAMES.get(given, given)
        if wanted in {theme.name for theme in THEMES}:
            return wanted
    if "NO_COLOR" in environment:
        return BAY_ANSI.name
    rich = environment.get("COLORTERM", "") in ("truecolor", "24bit")
    term = environment.get("TERM", "")
    return BAY_DARK.name if rich or "256color" in term or "direct" in term else BAY_ANSI.name


def defaults(theme: Theme) -> dict[str, str]:
    """Our tones for a theme that has none, which is any that Textual brings."""
    return dict(_ANSI if theme.ansi else _DARK if theme.dark else _LIGHT)
