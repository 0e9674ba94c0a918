"""Titles in a widget's border that repaint the border, not the widget.

Setting Textual's `border_title` repaints everything inside too: a list whose subtitle counts the
cursor's place was drawn whole with every key.
"""

from __future__ import annotations

from textual.content import Content
from textual.geometry import Region
from textual.widget import Widget


def entitle(widget: Widget, title: str, subtitle: str) -> None:
    """Put the markup `title` into the upper border of `widget` and `subtitle` into the lower."""
    width, height = widget.size
    for name, markup, y in (("title", title, -1), ("subtitle", subtitle, height)):
        if getattr(widget, f"_edge_{name}", None) != markup:
            setattr(widget, f"_edge_{name}", markup)
            # What Textual's descriptor does but for the repaint of all.
            setattr(widget, f"_border_{name}", _content(widget, markup))
            widget.refresh(Region(-1, y, width + 2, 1))


def _content(widget: Widget, markup: str) -> Content | None:
    words = widget.render_str(markup).expand_tabs(4).split() if markup else []
    return words[0] if words else None
