"""Jump mode: a letter on every pane and tab, and one more key to be there."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from textual import events
from textual.app import ComposeResult
from textual.screen import ModalScreen
from textual.widgets import Label

LETTERS = "asdfghklqwertyuiopzxcvbnm"


@dataclass(frozen=True)
class Target:
    """Where a letter stands (column, line) and the action that goes there."""

    x: int
    y: int
    action: str


class Jump(ModalScreen[str]):
    """Shows the letters; the answer is the action of the one pressed, "" for any other key."""

    def __init__(self, targets: Sequence[Target]) -> None:
        super().__init__(classes="jump")
        self._targets = dict(zip(LETTERS, targets, strict=False))

    def compose(self) -> ComposeResult:
        """A letter per target."""
        for letter, target in self._targets.items():
            label = Label(letter, classes="letter")
            label.styles.offset = (target.x, target.y)
            yield label

    def on_key(self, event: events.Key) -> None:
        """There, or nowhere."""
        event.stop()
        target = self._targets.get(event.key)
        self.dismiss(target.action if target else "")

    def on_click(self) -> None:
        """The mouse needs no letters."""
        self.dismiss("")
