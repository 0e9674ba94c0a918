"""`bay` without a verb: the full-screen app."""

from __future__ import annotations

from ..app import App


def open_screen(app: App) -> int:
    """Open the screen on the engine the options name; its exit code."""
    # The engine is started, if need be, before the screen covers what there is to say about it.
    app.client.get("/_ping")
    from ...tui.app import main

    return main(str(app.host), read_only=bool(app.options["read-only"]))
