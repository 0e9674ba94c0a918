"""A question before something is lost."""

from __future__ import annotations

from textual.app import ComposeResult
from textual.binding import Binding
from textual.containers import Horizontal, Vertical
from textual.screen import ModalScreen
from textual.widgets import Button, Checkbox, Label

from ..verbs import Deed, with_options
from ..widgets.field import Toggle


class Confirm(ModalScreen[dict[str, bool] | None]):
    """Asks a deed's question; the answer is its switches, or None for no."""

    BINDINGS = [
        Binding("y", "yes", "Yes"),
        Binding("n,escape,q", "no", "No"),
        Binding("left,up", "app.focus_previous", "Before", show=False),
        Binding("right,down", "app.focus_next", "Next", show=False),
    ]

    def __init__(self, deed: Deed) -> None:
        super().__init__()
        self._deed = deed

    def compose(self) -> ComposeResult:
        """The question, what is lost, the switches, two buttons."""
        deed = self._deed
        with Vertical(classes="dialog -danger") as box:
            box.border_title = deed.question
            if deed.detail:
                yield Label(deed.detail, markup=False, classes="detail")
            for name, label, on in deed.options:
                yield Toggle(label, on, id=f"option-{name}")
            yield Label("", markup=False, classes="command")
            with Horizontal(classes="buttons"):
                yield Button(f"[u]Y[/]es, {deed.title.lower()}", id="yes", compact=True)
                yield Button("[u]N[/]o", id="no", compact=True)

    def on_mount(self) -> None:
        """No is what the enter key means at first."""
        self.query_one("#no").focus()
        self._show_command()

    def on_checkbox_changed(self) -> None:
        """Another switch is another command."""
        self._show_command()

    def _show_command(self) -> None:
        command = with_options(self._deed, self._chosen()).command
        self.query_one(".command", Label).update(f"$ {command}")

    def on_button_pressed(self, event: Button.Pressed) -> None:
        """A click or enter on a button."""
        if event.button.id == "yes":
            self.action_yes()
        else:
            self.action_no()

    def _chosen(self) -> dict[str, bool]:
        return {
            name: self.query_one(f"#option-{name}", Checkbox).value
            for name, _, _ in self._deed.options
        }

    def action_yes(self) -> None:
        """Go ahead with the switches as they are."""
        self.dismiss(self._chosen())

    def action_no(self) -> None:
        """Leave everything as it is."""
        self.dismiss(None)
