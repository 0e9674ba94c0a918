"""`bay` without a verb: the full-screen app."""

from __future__ import annotations

from ..app import App


def open_screen(app: App) -> int:
    """Open the screen on the engine the options name; its exit code."""
    from ...tui.app import run

    code: int = run(app.host)
    return code
