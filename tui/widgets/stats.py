"""The Stats tab: one container's figures as graphs, of ten minutes or of a day."""

from __future__ import annotations

from textual.binding import Binding
from textual.strip import Strip

from ...host.errors import BayError
from .. import tabs
from ..graphs import Lines, panel
from ..later import Later
from ..model import DAY, History, Json, Model, recall
from ..source import Source
from .pane import Pane
from .toned import Toned

SHORT = 600  # seconds
AGAIN = 30  # samples between two looks at the day


class Stats(Toned, Pane, can_focus=True):
    """Draws the samples of the chosen container, anew with each sample while it is shown."""

    BINDINGS = [Binding("t", "turn_span", "Ten minutes or a day", show=False)]

    def __init__(self, source: Source, model: Model, *, widget_id: str | None = None) -> None:
        super().__init__(id=widget_id)
        self._source = source
        self._model = model
        self._container = ""
        self._lines: Lines = []
        self._span = SHORT
        self._day: History | None = None
        self._ticks = 0

    def show_target(self, kind: str, target: str) -> None:
        """Show the figures of the container `target`."""
        if target != self._container:
            self._container, self._day = target, None
            if self._span == DAY:
                self._ask()
        self._redraw()

    def tick(self) -> None:
        """There are new samples."""
        self._ticks += 1
        if self._span == DAY:
            if self._ticks % AGAIN == 0:
                self._ask()
            return
        self._redraw()

    def _redraw(self) -> None:
        width, height = self.size
        short = self._span == SHORT
        history = self._model.samples.get(self._container) if short else self._day
        cpus = int(self._model.info.get("NCPU") or 1)
        before = self._lines
        self._lines = panel(history, cpus, max(20, width - 2), height, self._span)
        if self._lines != before:
            self.refresh()

    def action_turn_span(self) -> None:
        """From ten minutes to a day, and back."""
        if not tabs.is_ours(self._model.version):
            name = tabs.engine_name(self._model.version)
            text = f"{name} keeps no figures: there are those since the screen was opened"
            self.notify(text, severity="warning", markup=False)
            return
        self._span = SHORT if self._span == DAY else DAY
        self._day = None
        if self._span == DAY:
            self._ask()
        self._redraw()
        self.post_message(Pane.Told())

    def _ask(self) -> None:
        self.run_worker(Later(self._read, self._container), group="stats", exclusive=True)

    async def _read(self, container: str) -> None:
        try:
            reply: Json = await self._source.get("/bay/samples", seconds=DAY, container=container)
        except BayError as error:
            self.notify(str(error), severity="error", markup=False)
            return
        series = (reply.get("containers") or {}).get(container)
        if container == self._container:
            self._day = recall(container, series, DAY) if series else None
            self._redraw()

    @property
    def about(self) -> str:
        """The span of time, and the key for the other one."""
        if self._span == DAY:
            return "24 hours · [b]t[/] 10 minutes"
        return "10 minutes · [b]t[/] 24 hours"

    def on_resize(self) -> None:
        """The graphs fill the pane."""
        self._redraw()

    def render_line(self, y: int) -> Strip:
        """Draw line `y`."""
        spans = self._lines[y] if y < len(self._lines) else []
        return self.strip([(" ", ""), *spans], self.size.width)
