"""Opening a link in a browser, where the machine that the screen runs on has one."""

from __future__ import annotations

import os
import webbrowser
from collections.abc import Mapping


def has_browser(environment: Mapping[str, str]) -> bool:
    """Whether a window can open here: there is a display, and the user sits in front of it."""
    remote = "SSH_CONNECTION" in environment or "SSH_TTY" in environment
    return not remote and ("DISPLAY" in environment or "WAYLAND_DISPLAY" in environment)


def open_link(link: str) -> bool:
    """Open `link`; False where no browser can show, which then must not draw over the screen."""
    if not has_browser(os.environ):
        return False
    try:
        return webbrowser.open(link)
    except webbrowser.Error:
        return False
