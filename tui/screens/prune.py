"""The clean-up: what would go, how much that frees, and what is lost with it."""

from __future__ import annotations

from textual.app import ComposeResult
from textual.binding import Binding
from textual.containers import Horizontal, Vertical
from textual.screen import ModalScreen
from textual.widgets import Button, Checkbox, Label

from ..prune import Waste
from ..text import size
from ..widgets.field import Toggle

SHOWN = 6  # names listed per kind


class Prune(ModalScreen[list[Waste] | None]):
    """Offers the kinds of waste; the answer is those to remove, None for nothing."""

    BINDINGS = [
        Binding("y", "yes", "Yes"),
        Binding("n,escape,q", "dismiss(None)", "No"),
        Binding("up", "app.focus_previous", "Before", show=False),
        Binding("down", "app.focus_next", "Next", show=False),
    ]

    def __init__(self, wastes: list[Waste]) -> None:
        super().__init__()
        self._wastes = [one for one in wastes if one.items]

    def compose(self) -> ComposeResult:
        """A switch per kind with its names under it, the sum, two buttons."""
        with Vertical(classes="dialog -danger prune") as box:
            box.border_title = "Clean up"
            box.border_subtitle = "space switches · y removes · esc"
            if not self._wastes:
                yield Label("Nothing is unused: there is nothing to remove.", markup=False)
            for waste in self._wastes:
                count = len(waste.items)
                label = f"{count:3} {waste.called}"
                if waste.size:
                    label += f" · {size(waste.size, 1000)}"
                yield Toggle(label, waste.at_first, id=f"waste-{waste.key}")
                names = [name for _, name, _ in waste.items]
                more = f" and {count - SHOWN} more" if count > SHOWN else ""
                yield Label(" ".join(names[:SHOWN]) + more, markup=False, classes="names")
            yield Label("", id="sum", markup=False)
            with Horizontal(classes="buttons"):
                yield Button("[u]Y[/]es, remove these", id="yes", compact=True)
                yield Button("[u]N[/]o", id="no", compact=True)

    def on_mount(self) -> None:
        """Say what the switches come to."""
        self._sum()

    def _chosen(self) -> list[Waste]:
        return [one for one in self._wastes if self.query_one(f"#waste-{one.key}", Checkbox).value]

    def on_checkbox_changed(self) -> None:
        """A kind more or less."""
        self._sum()

    def _sum(self) -> None:
        chosen = self._chosen()
        count = sum(len(one.items) for one in chosen)
        lost = sorted({one.lost for one in chosen if one.lost})
        line = f"Removes {count}, frees {size(sum(one.size for one in chosen), 1000)}."
        if lost:
            line += f" Lost: {', '.join(lost)}."
        self.query_one("#sum", Label).update(line if count else "Nothing chosen.")

    def on_button_pressed(self, event: Button.Pressed) -> None:
        """A click or enter on a button."""
        if event.button.id == "yes":
            self.action_yes()
        else:
            self.dismiss(None)

    def action_yes(self) -> None:
        """Remove what is chosen."""
        chosen = self._chosen()
        self.dismiss(chosen if any(one.items for one in chosen) else None)
