"""The line under the panes in which a filter or a search is typed."""

from __future__ import annotations

from collections.abc import Callable

from textual import events
from textual.app import ComposeResult
from textual.containers import Horizontal
from textual.widget import Widget
from textual.widgets import Input, Label

from .field import Field


class Prompt(Horizontal):
    """Asks for a word and gives it on with each key; hidden while nothing is asked."""

    def __init__(self) -> None:
        super().__init__(id="prompt")
        self._tell: Callable[[str], None] = lambda word: None
        self._back: Widget | None = None
        self._before = ""

    def compose(self) -> ComposeResult:
        """A label and the input."""
        yield Label(id="asked")
        yield Field()
        yield Label("", id="trouble", markup=False)

    def ask(self, label: str, value: str, back: Widget, tell: Callable[[str], None]) -> None:
        """Ask; `tell` gets the word as it grows, `back` has the focus again in the end."""
        self.query_one("#asked", Label).update(f" {label}")
        self._tell, self._back, self._before = tell, back, value
        field = self.query_one(Input)
        with field.prevent(Input.Changed):
            field.value = value
        self.add_class("-shown")
        field.focus()

    def complain(self, trouble: str) -> None:
        """Say beside it what can't be understood of it."""
        self.query_one("#trouble", Label).update(trouble)

    def on_input_changed(self, event: Input.Changed) -> None:
        """Each key narrows at once."""
        self._tell(event.value)

    def on_input_submitted(self) -> None:
        """Enter keeps the word."""
        self._close()

    def on_key(self, event: events.Key) -> None:
        """Escape takes it back; up and down keep it and go to the list."""
        if event.key == "escape":
            self._tell(self._before if self._before != self.query_one(Input).value else "")
            self._close()
            event.stop()
        elif event.key in ("up", "down"):
            self._close()
            event.stop()

    def _close(self) -> None:
        self.remove_class("-shown")
        if self._back is not None:
            self._back.focus()
