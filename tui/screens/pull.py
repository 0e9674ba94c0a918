"""Which image to pull."""

from __future__ import annotations

from textual.app import ComposeResult
from textual.binding import Binding
from textual.containers import Vertical
from textual.screen import ModalScreen
from textual.widgets import Input, Label

from ..widgets.field import Field


class AskImage(ModalScreen[str]):
    """Asks for an image's name; "" when the user thought better of it."""

    BINDINGS = [Binding("escape", "dismiss('')", "Cancel")]

    def compose(self) -> ComposeResult:
        """One input."""
        with Vertical(classes="dialog") as box:
            box.border_title = "Pull an image"
            box.border_subtitle = "↵ pulls · esc"
            yield Field(placeholder="name, name:tag or registry/name:tag")
            yield Label("$ bay pull", classes="command", markup=False)

    def on_input_changed(self, event: Input.Changed) -> None:
        """Show the command that does the same."""
        self.query_one(Label).update(f"$ bay pull {event.value}")

    def on_input_submitted(self, event: Input.Submitted) -> None:
        """Go."""
        self.dismiss(event.value.strip())
