"""The colours: a dark and a light theme of one accent, and one of the terminal's own sixteen."""

from __future__ import annotations

from textual.theme import Theme

from .tones import ANSI, DARK, LIGHT, PALETTES, Palette

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


def _theme(name: str, palette: Palette) -> Theme:
    accent, ground, raised, tones = palette
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
        dark=name != "bay-light",
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


THEMES = tuple(_theme(name, palette) for name, palette in PALETTES.items())


def defaults(theme: Theme) -> dict[str, str]:
    """Our tones for a theme that has none, which is any that Textual brings."""
    return dict(ANSI if theme.ansi else DARK if theme.dark else LIGHT)
