"""The header and the rail of a screen over several hosts: how each host is, what happened where."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from heapq import nlargest

from textual.strip import Strip

from .. import text
from ..cells import Span
from ..fleet import Station
from ..graphs import Lines
from ..hostinfo import HostHistory
from ..hostwords import heat
from .hostline import HostLine
from .rail import Events, HostPanel, line


def running(station: Station) -> tuple[int, int]:
    """How many containers of a host run, and how many there are."""
    containers = station.model.containers
    return sum(1 for one in containers if one["State"] == "running"), len(containers)


class FleetLine(HostLine):
    """The host line, its right side about the hosts; `worked` gives the one worked on, the scope.

    The left side is about the machine the screen runs on.
    """

    def __init__(
        self,
        stations: Sequence[Station],
        history: HostHistory,
        worked: Callable[[], tuple[Station, str]],
    ) -> None:
        super().__init__(stations[0].model, history, "")
        self._stations = stations
        self._worked = worked

    def _shorts(self) -> list[list[Span]]:
        """Without meters: the room is the hosts'."""
        now = self._history.now
        if now is None:
            return [self._who()]
        cpu: list[Span] = [("  cpu", "dim"), (f" {now.cpu:.0f}%", heat(now.cpu))]
        line = [*self._who(), *cpu]
        return [[*line, ("  mem", "dim"), *self._memory()], line, cpu]

    def _counts(self) -> list[Span]:
        """As many hosts as half the line holds by name; else how many are well."""
        here, scope = self._worked()
        spans: list[Span] = []
        for one in self._stations:
            if scope and one.name != scope:
                continue
            glyph, _, tone = one.health
            count = f" {running(one)[0]}" if one.up else ""
            spans += [(f"  {glyph} ", tone), (one.name, "bright" if one is here else "dim")]
            spans += [(count, "good")]
        room = self.size.width // 2
        if sum(len(part) for part, _ in spans) <= room:
            return spans
        tones: dict[str, list[Station]] = {}
        for one in self._stations:
            tones.setdefault(one.health[0], []).append(one)
        spans = [("hosts", "dim")]
        for glyph, members in tones.items():
            spans += [(f" {glyph} {len(members)}", members[0].health[2])]
        return spans

    def _engine(self) -> list[Span]:
        here, scope = self._worked()
        version = here.model.version.get("Version", "")
        only = "only " if scope else ""
        return [(f"{only}{here.place.address} {version}".strip(), "dim")]


class FleetPanel(HostPanel):
    """The rail's upper pane: each host with its health and its sums, then this machine."""

    BORDER_TITLE = "Hosts"

    def __init__(self, history: HostHistory, stations: Sequence[Station]) -> None:
        super().__init__(history)
        self._stations = stations

    def _lines(self, width: int, height: int) -> Lines:
        lines: Lines = []
        for one in self._stations[: max(1, height // 2 - 1)]:
            glyph, word, tone = one.health
            head: list[Span] = [(f"{glyph} ", tone), (f"{one.name[:12]:12} ", "bright")]
            if one.up and word != "slow":
                lines.append([*head, *_sums(one)])
            else:
                lines.append([*head, (f"{word}: {one.reason}"[: max(0, width - 15)], tone)])
        rest = len(self._stations) - len(lines)
        if rest > 0:
            lines.append([(f"and {rest} more: @ shows all", "dim")])
        return [*lines, [], *super()._lines(width, max(4, height - len(lines) - 1))]


def _sums(station: Station) -> list[Span]:
    alive, every = running(station)
    last = [one for one in station.model.samples.values() if one.cpu]
    cpu, memory = sum(one.cpu[-1] for one in last), sum(one.memory[-1] for one in last)
    return [
        (f"{alive}", "good"),
        (f" of {every}", "dim"),
        (f"  cpu {text.percent(cpu)}", "bright"),
        (f"  mem {text.size(memory)}", "bright"),
    ]


class FleetEvents(Events):
    """The events of all hosts, the newest at the top, each with its host."""

    def __init__(self, stations: Sequence[Station]) -> None:
        super().__init__(stations[0].model)
        self._stations = stations

    def render_line(self, y: int) -> Strip:
        """Draw line `y`."""
        every = (
            (event.time, one.name, event) for one in self._stations for event in one.model.events
        )
        newest = nlargest(y + 1, every, key=lambda entry: entry[0])
        if y >= len(newest):
            note: list[Span] = [(" Nothing happened yet.", "dim")] if not newest and not y else []
            return self.strip(note, self.size.width)
        _, name, event = newest[y]
        return self.strip([*line(event), (f" {name}", "accent")], self.size.width)
