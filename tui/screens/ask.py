"""A dialog with one question that is answered by a line of text."""

from __future__ import annotations

from textual.app import ComposeResult
from textual.containers import Vertical
from textual.screen import ModalScreen
from textual.widgets import Input, Static

from ..widgets.field import Field


class Ask(ModalScreen[str | None]):
    """Gives the line that was typed, None when the question was left with escape."""

    BINDINGS = [("escape", "dismiss(None)", "Leave")]

    def __init__(self, title: str, question: str, value: str = "") -> None:
        super().__init__()
        self._title = title
        self._question = question
        self._value = value

    def compose(self) -> ComposeResult:
        """The question and the line."""
        with Vertical(classes="dialog") as box:
            box.border_title = self._title
            box.border_subtitle = "enter ok · esc leave"
            yield Static(self._question, classes="detail", markup=False)
            yield Field(self._value)

    def on_mount(self) -> None:
        """One can type at once."""
        self.query_one(Input).focus()

    def on_input_submitted(self, event: Input.Submitted) -> None:
        """Enter answers."""
        self.dismiss(event.value)
