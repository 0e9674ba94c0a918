"""The header: this host's CPU, memory and load, what runs, and how the link to the engine is."""

from __future__ import annotations

from rich.text import Text
from textual.widget import Widget

from .. import spark, text
from ..hostinfo import HostHistory
from ..model import Model

_METER = 8


class HostLine(Widget):
    """One to three rows about the host, by the height it is given."""

    COMPONENT_CLASSES = {f"host--{tone}" for tone in ("dim", "bright", "good", "warn", "bad")} | {
        "host--accent",
        "host--spark",
        "host--spark2",
    }

    def __init__(self, model: Model, history: HostHistory, name: str) -> None:
        super().__init__(id="host")
        self._model = model
        self._history = history
        self._label = name

    def render(self) -> Text:
        """Draw what is known now."""
        line = self._first()
        if self.size.height >= 2:
            line.append("\n")
            line.append_text(self._second())
        return line

    def _tone(self, name: str) -> str:
        style = self.get_component_rich_style(f"host--{name}", partial=True)
        return str(style) if style else ""

    def _heat(self, share: float) -> str:
        return self._tone("bad" if share >= 90 else "warn" if share >= 70 else "bright")

    def _meter(self, share: float, width: int) -> Text:
        full = min(width, round(share / 100 * width))
        meter = Text()
        meter.append("━" * full, self._tone("accent") if share < 70 else self._heat(share))
        meter.append("━" * (width - full), self._tone("dim"))
        return meter

    def _first(self) -> Text:
        now = self._history.now
        line = Text(no_wrap=True, overflow="crop")
        line.append(" bay ", f"{self._tone('accent')} bold")
        line.append(now.name if now else "", f"{self._tone('bright')} bold")
        if now is not None:
            share = 100 * now.memory_used / max(1, now.memory_total)
            line.append("  cpu ", self._tone("dim"))
            line.append_text(self._meter(now.cpu, _METER))
            line.append(f" {now.cpu:3.0f}%", self._heat(now.cpu))
            line.append("  mem ", self._tone("dim"))
            line.append_text(self._meter(share, _METER))
            line.append(f" {text.size(now.memory_used)}", self._heat(share))
            line.append(f"/{text.size(now.memory_total)}", self._tone("dim"))
            line.append("  load ", self._tone("dim"))
            line.append(f"{now.load[0]:.2f}", self._heat(70 * now.load[0] / max(1, now.cpus)))
        tail = self._counts()
        room = self.size.width - line.cell_len - tail.cell_len - 1
        line.append(" " * max(2, room))
        line.append_text(tail)
        return line

    def _counts(self) -> Text:
        model = self._model
        running = sum(1 for one in model.containers if one["State"] == "running")
        tail = Text()
        if model.link != "up":
            tail.append(
                {"connecting": "connecting…"}.get(model.link, "no engine"), self._tone("bad")
            )
            return tail
        tail.append(f"● {running}", self._tone("good"))
        tail.append(f" of {len(model.containers)}", self._tone("dim"))
        return tail

    def _second(self) -> Text:
        now, history = self._history.now, self._history
        line = Text(no_wrap=True, overflow="crop")
        if now is None:
            return line
        width = max(10, (self.size.width - 70) // 2)
        width = min(width, 40)
        line.append(" cpu ", self._tone("dim"))
        line.append(spark.line(history.cpu, width, 100), self._tone("spark"))
        line.append("  mem ", self._tone("dim"))
        line.append(spark.line(history.memory, width, 100), self._tone("spark2"))
        line.append("  net ", self._tone("dim"))
        line.append(f"↓{text.size(history.rx)}/s ↑{text.size(history.tx)}/s", self._tone("bright"))
        line.append("  disk ", self._tone("dim"))
        line.append(text.size(now.disk_used), self._tone("bright"))
        line.append(f"/{text.size(now.disk_total)}", self._tone("dim"))
        tail = Text(self._engine(), self._tone("dim"))
        room = self.size.width - line.cell_len - tail.cell_len - 1
        if room >= 2:
            line.append(" " * room)
            line.append_text(tail)
        return line

    def _engine(self) -> str:
        version = self._model.version.get("Version", "")
        return f"{self._label}  {version}".strip()
