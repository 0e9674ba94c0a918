"""Widgets that draw spans of a tone: the one place where a tone becomes a style."""

from __future__ import annotations

from collections.abc import Iterable
from typing import get_args

from rich.segment import Segment
from rich.style import Style
from textual.strip import Strip
from textual.widget import Widget

from ..cells import Span, Tone

TONES: tuple[Tone, ...] = tuple(tone for tone in get_args(Tone) if tone)


class Toned(Widget):
    """Gives its subclasses the theme's tones as Rich styles, kept until the theme changes."""

    COMPONENT_CLASSES = {f"tone--{tone}" for tone in TONES}
    STEADY = True

    _styles_of: dict[tuple[str, str], Style]

    def style_of(self, tone: Tone, base: str = "") -> Style:
        """The style of `tone` on this widget, over the component class `base`."""
        try:
            cache = self._styles_of
        except AttributeError:
            cache = self._styles_of = {}
        key = (tone, base)
        style = cache.get(key)
        if style is None:
            style = self.rich_style
            if tone:
                style += self.get_component_rich_style(f"tone--{tone}", partial=True)
            if base:
                style += self.get_component_rich_style(base, partial=True)
            cache[key] = style
        return style

    def strip(self, spans: Iterable[Span], width: int) -> Strip:
        """A line of spans, padded or cut to `width`."""
        plain = self.style_of("")
        segments = [Segment(text, self.style_of(tone)) for text, tone in spans]
        return Strip(segments).adjust_cell_length(width, plain)

    def notify_style_update(self) -> None:
        """The theme or the stylesheet changed."""
        self._styles_of = {}
        super().notify_style_update()
