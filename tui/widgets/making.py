"""Makes the widgets of the tabs that are not there from the start; imports each when it must."""

from __future__ import annotations

from collections.abc import Callable

from textual.widget import Widget

from .. import tabs
from ..model import Model
from ..source import Source
from .refusal import Refusal


def make(name: str, source: Source, model: Model, clock: Callable[[], float]) -> Widget:
    """The widget of the tab `name`; on an engine that can't have it, the reason."""
    reason = tabs.refusal(name, model.version)
    if reason:
        return Refusal(reason, widget_id=name)
    if name == "stats":
        from .stats import Stats

        return Stats(source, model, widget_id=name)
    if name == "inspect":
        from .inspect import Inspect

        return Inspect(source, widget_id=name)
    if name == "files":
        from .files import FilesTab

        return FilesTab(source, widget_id=name)
    if name == "changes":
        from .changes import Changes

        return Changes(source, model, widget_id=name)
    if name == "layers":
        from .layers import LayersTab

        return LayersTab(source, clock, widget_id=name)
    from .listing import Listing

    return Listing(source, name, clock)
