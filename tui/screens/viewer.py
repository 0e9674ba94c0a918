"""A file, read in place: scrolls, wraps and is searched like a log."""

from __future__ import annotations

from textual.app import ComposeResult
from textual.binding import Binding
from textual.containers import Vertical
from textual.screen import ModalScreen

from ..logbuffer import LogBuffer
from ..widgets.edges import entitle
from ..widgets.logview import LogView
from .ask import Ask


class Viewer(ModalScreen[None]):
    """Shows lines over the whole screen until escape or q."""

    BINDINGS = [
        Binding("escape,q", "leave", "Leave", show=False),
        Binding("slash", "ask", "Search", show=False),
    ]

    def __init__(self, title: str, note: str, buffer: LogBuffer) -> None:
        super().__init__()
        self._title = title
        self._note = note
        self.view = LogView()
        self.view.buffer = buffer
        self.view.following = False
        self.view.note = "It is empty."

    def compose(self) -> ComposeResult:
        """The lines in a frame."""
        with Vertical(classes="viewer"):
            yield self.view

    def on_mount(self) -> None:
        """From its first line on."""
        self.view.focus()
        self.view.action_first()

    def on_log_view_changed(self) -> None:
        """What is searched for, and found."""
        words = [self._note, self.view.about.partition("held")[0].removesuffix(" · ")]
        shown = " · ".join(word for word in [*words, "esc leaves"] if word)
        entitle(self.query_one(Vertical), self._title, shown)

    def action_ask(self) -> None:
        """Ask what to search for."""
        self.app.push_screen(Ask("Search", "Search for:", self.view.query_text), self._search)

    def _search(self, words: str | None) -> None:
        if words is not None:
            self.view.search(words)
            self.view.action_next_match(1)

    def action_leave(self) -> None:
        """Out of the search, then out."""
        if self.view.query_text:
            self.view.search("")
        else:
            self.dismiss(None)
