"""What dialogs of fields have in common: the command follows them, and enter does it."""

from __future__ import annotations

from typing import TypeVar

from textual.screen import ModalScreen

Result = TypeVar("Result")


class Filling(ModalScreen[Result]):
    """A dialog whose fields make up a command."""

    def show_command(self) -> None:
        """Show the command that equals the fields as they are."""
        raise NotImplementedError

    def action_go(self) -> None:
        """Do it, unless a field can't be understood."""
        raise NotImplementedError

    def on_input_changed(self) -> None:
        """The command follows the fields."""
        self.show_command()

    def on_checkbox_changed(self) -> None:
        """Likewise."""
        self.show_command()

    def on_select_changed(self) -> None:
        """Likewise."""
        self.show_command()

    def on_input_submitted(self) -> None:
        """Enter does it."""
        self.action_go()

    def on_button_pressed(self) -> None:
        """So does the button."""
        self.action_go()
