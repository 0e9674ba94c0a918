"""The right rail of a wide screen: the host's graphs and what happened lately."""

from __future__ import annotations

from datetime import datetime

from textual.geometry import Region
from textual.strip import Strip

from ..cells import Span, Tone
from ..graphs import Lines
from ..hostinfo import HostHistory
from ..hostwords import panel
from ..model import Happening, Model
from .toned import Toned

_TONES: dict[str, Tone] = {
    "start": "good",
    "unpause": "good",
    "healthy": "good",
    "unhealthy": "bad",
    "die": "warn",
    "kill": "warn",
    "oom": "bad",
    "destroy": "bad",
    "delete": "bad",
    "create": "accent",
    "pull": "accent",
}


class HostPanel(Toned):
    """CPU and memory of the host as graphs."""

    BORDER_TITLE = "Host"

    def __init__(self, history: HostHistory) -> None:
        super().__init__(id="hostpanel")
        self._history = history
        self._drawn: Lines = []

    def measured(self) -> None:
        """There are new figures: repaint the lines that they change."""
        before = self._drawn
        self._drawn = self._lines(max(10, self.size.width - 2), self.size.height)
        if len(before) != len(self._drawn):
            self.refresh()
            return
        lines = enumerate(zip(before, self._drawn, strict=True))
        regions = [Region(0, y, self.size.width, 1) for y, (old, new) in lines if old != new]
        if regions:
            self.refresh(*regions)

    def on_resize(self) -> None:
        """The graphs fill the pane."""
        self.measured()

    def _lines(self, width: int, height: int) -> Lines:
        return panel(self._history, width, height)

    def render_line(self, y: int) -> Strip:
        """Draw line `y`."""
        spans = self._drawn[y] if y < len(self._drawn) else []
        return self.strip([(" ", ""), *spans], self.size.width)


class Events(Toned):
    """The engine's events, the newest at the top."""

    BORDER_TITLE = "Events"

    def __init__(self, model: Model) -> None:
        super().__init__(id="events")
        self._model = model

    def render_line(self, y: int) -> Strip:
        """Draw line `y`."""
        events = self._model.events
        if y >= len(events):
            note: list[Span] = [(" Nothing happened yet.", "dim")] if not events and not y else []
            return self.strip(note, self.size.width)
        return self.strip(line(events[-1 - y]), self.size.width)


def line(event: Happening) -> list[Span]:
    """One event as a line: the local time, what it was about, what happened."""
    clock = datetime.fromtimestamp(event.time).strftime("%H:%M:%S")
    action, _, more = event.action.partition(":")
    action = more.strip() if action == "health_status" else action
    return [
        (f" {clock} ", "dim"),
        (f"{action[:12]:12} ", _TONES.get(action, "")),
        (event.name, "bright"),
        (f" {event.kind}" if event.kind != "container" else "", "dim"),
    ]
