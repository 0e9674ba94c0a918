"""The Stats tab: one container's figures as graphs."""

from __future__ import annotations

from textual.strip import Strip

from ..graphs import Lines, panel
from ..model import Model
from .pane import Pane
from .toned import Toned


class Stats(Toned, Pane, can_focus=True):
    """Draws the samples of the chosen container, anew with each sample while it is shown."""

    def __init__(self, model: Model, *, widget_id: str | None = None) -> None:
        super().__init__(id=widget_id)
        self._model = model
        self._container = ""
        self._lines: Lines = []

    def show_target(self, kind: str, target: str) -> None:
        """Show the figures of the container `target`."""
        self._container = target
        self.tick()

    def tick(self) -> None:
        """There are new samples, or the size changed."""
        width, height = self.size
        history = self._model.samples.get(self._container)
        cpus = int(self._model.info.get("NCPU") or 1)
        before, self._lines = self._lines, panel(history, cpus, max(20, width - 2), height)
        if self._lines != before:
            self.refresh()

    def on_resize(self) -> None:
        """The graphs fill the pane."""
        self.tick()

    def render_line(self, y: int) -> Strip:
        """Draw line `y`."""
        spans = self._lines[y] if y < len(self._lines) else []
        return self.strip([(" ", ""), *spans], self.size.width)
