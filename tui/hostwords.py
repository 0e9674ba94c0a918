"""What the header and the rail say of this host: spans, without a widget to draw them."""

from __future__ import annotations

from . import spark, text
from .cells import Span, Tone
from .graphs import Lines, graph
from .hostinfo import HostHistory
from .model import Model

METER = 8
FULL = 80  # percent of the disk from which on it is shown where there is little room


def heat(share: float) -> Tone:
    """The tone of a share of something limited, in percent."""
    return "bad" if share >= 90 else "warn" if share >= 70 else "bright"


def meter(share: float, width: int) -> list[Span]:
    """A bar of `width` columns filled to `share` percent."""
    full = min(width, max(0, round(share / 100 * width)))
    tone: Tone = "accent" if share < 70 else heat(share)
    return [("━" * full, tone), ("━" * (width - full), "line")]


def _wide(spans: list[Span]) -> int:
    return sum(len(part) for part, _ in spans)


class HostWords:
    """The one or two lines of the header, by the height it is given."""

    def __init__(self, model: Model, history: HostHistory, engine: str) -> None:
        self._model = model
        self._history = history
        self._engine_name = engine

    def spans(self, y: int, width: int, height: int) -> list[Span]:
        """Line `y` in `width` columns."""
        if height < 2:
            right = self._counts()
            fits = width - _wide(right) - 1
            every = self._shorts()
            left = next((one for one in every if _wide(one) <= fits), every[-1])
        elif y == 0:
            left, right = self._first(), self._counts()
        else:
            left, right = self._second(width), self._engine()
        room = width - _wide(left) - _wide(right) - 1
        if room < 1 and y:
            return left
        return [*left, (" " * max(1, room), ""), *right]

    def _who(self) -> list[Span]:
        now = self._history.now
        return [(" bay ", "accent"), (now.name if now else "", "bright")]

    def _load(self) -> list[Span]:
        now = self._history.now
        if now is None:
            return []
        return [("  load ", "dim"), (f"{now.load[0]:.2f}", heat(70 * now.load[0] / now.cpus))]

    def _shorts(self) -> list[list[Span]]:
        """One row, as much as may fit first: what matters less, and the meters, go."""
        now = self._history.now
        if now is None:
            return [self._who()]
        full = 100 * now.disk_used / max(1, now.disk_total)
        # Worth more than the load, for which the room is not enough too.
        disk: list[Span] = [("  disk ", "dim"), (f"{full:.0f}%", heat(full))]
        last = disk if full >= FULL else self._load()
        found: list[list[Span]] = []
        for width in (METER, METER // 2, 0):
            gap, digits = (" ", 3) if width else ("", 0)
            cpu: list[Span] = [(f"  cpu{gap}", "dim"), *meter(now.cpu, width)]
            cpu += [(f" {now.cpu:{digits}.0f}%", heat(now.cpu))]
            memory = [(f"  mem{gap}", "dim"), *meter(self._share(), width), *self._memory()]
            line = [*self._who(), *cpu, *memory]
            found += [[*line, *last], line]
        return [*found, [*self._who(), *cpu], cpu]

    def _share(self) -> float:
        now = self._history.now
        return 100 * now.memory_used / max(1, now.memory_total) if now else 0

    def _memory(self) -> list[Span]:
        now = self._history.now
        if now is None:
            return []
        used, total = text.size(now.memory_used), text.size(now.memory_total)
        return [(f" {used}", heat(self._share())), (f"/{total}", "dim")]

    def _first(self) -> list[Span]:
        now, history = self._history.now, self._history
        if now is None:
            return self._who()
        line = [*self._who(), *self._load(), (f" {now.load[1]:.2f} {now.load[2]:.2f}", "dim")]
        line += [
            ("  net ", "dim"),
            (f"↓{text.size(history.rx)} ↑{text.size(history.tx)}", "bright"),
        ]
        line += [("  disk ", "dim"), (text.size(now.disk_used), "bright")]
        return [*line, (f"/{text.size(now.disk_total)}", "dim")]

    def _second(self, width: int) -> list[Span]:
        now, history = self._history.now, self._history
        if now is None:
            return []
        bar = min(40, max(12, (width - 76) // 2))
        line: list[Span] = [(" cpu ", "dim"), (spark.line(history.cpu, bar, 100), "spark")]
        line += [(f" {now.cpu:3.0f}%", heat(now.cpu))]
        line += [("  mem ", "dim"), (spark.line(history.memory, bar, 100), "spark2")]
        return [*line, *self._memory()]

    def _engine(self) -> list[Span]:
        version = self._model.version.get("Version", "")
        return [(f"{self._engine_name} {version}".strip(), "dim")]

    def _counts(self) -> list[Span]:
        model = self._model
        if model.link != "up":
            return [("connecting…" if model.link == "connecting" else "no engine", "bad")]
        running = sum(1 for one in model.containers if one["State"] == "running")
        return [(f"● {running}", "good"), (f" of {len(model.containers)}", "dim")]


def panel(history: HostHistory, width: int, height: int) -> Lines:
    """CPU and memory of the host as graphs; nothing before the first measurement."""
    now = history.now
    if now is None:
        return []
    tall = (height - 1) // 2
    cpu: list[Span] = [("cpu ", "dim"), (f"{now.cpu:.0f}%", "bright")]
    cpu += [(f" of {now.cpus} CPUs", "dim")]
    used, total = text.size(now.memory_used), text.size(now.memory_total)
    memory: list[Span] = [("memory ", "dim"), (used, "bright"), (f" of {total}", "dim")]
    top = graph(cpu, history.cpu, width, tall, 20, lambda one: f"{one:.0f}%", "spark")
    bottom = graph(memory, history.memory, width, tall, 20, lambda one: f"{one:.0f}%", "spark2")
    return [*top, [], *bottom]
