"""A screen whose frames draw no more than what changed, and that of a key all of it at once."""

from __future__ import annotations

from textual import events
from textual.screen import Screen

from .compositing import NarrowCompositor
from .keyqueue import KeyQueue
from .later import Later


class Framed(Screen[None]):
    """The screen of a KeyQueue."""

    AUTO_FOCUS = ""  # it decides itself what has the focus first

    def __init__(self) -> None:
        super().__init__()
        self._compositor = NarrowCompositor()
        self._shown = False

    def _on_screen_resume(self, event: events.ScreenResume) -> None:
        """Textual styles all widgets anew; at the start each has just been styled, as mounted."""
        if not self._shown:
            self._shown = True
            event.refresh_styles = False

    async def _on_resize(self, event: events.Resize) -> None:
        """A size that the terminal no longer has is not laid out.

        Each layout tells the screen its size once more: two that were under way at once would
        follow each other for ever.
        """
        if event.size != self.app.size:
            event.stop()
            event.prevent_default()

    async def _on_idle(self, event: events.Idle) -> None:
        """What is drawn: nothing in the middle of a key, whose frame comes at its end."""
        if isinstance(self.app, KeyQueue) and self.app.holds_frames:
            event.prevent_default()

    def lift_veil(self) -> None:
        """Paint from when all stands, where the terminal shows the first frame already."""
        if isinstance(self.app, KeyQueue) and self.app.veiled:
            self.run_worker(Later(self.app.unveil), group="veil")

    async def after_keys(self) -> None:
        """Give way to the keyboard."""
        if isinstance(self.app, KeyQueue):
            await self.app.after_keys()
