"""The host view: the machine, the engine's disk, and whose the busiest processes are."""

from __future__ import annotations

import asyncio
from itertools import zip_longest
from typing import Any

from textual.app import ComposeResult
from textual.binding import Binding
from textual.containers import Horizontal, Vertical
from textual.screen import ModalScreen
from textual.strip import Strip

from ...host.errors import BayError
from .. import tabs, text
from ..cells import Column, Row, Span, Tone, cell, clip
from ..graphs import Lines
from ..hostfacts import Facts, Reader
from ..hostinfo import HostHistory
from ..hostwords import heat, meter
from ..later import Later
from ..model import Json, Model, container_name
from ..source import Source
from ..widgets.edges import entitle
from ..widgets.table import Table
from ..widgets.toned import Toned

SIDE = 42  # columns of what is about the engine, where it stands beside the machine
EVERY = 2.0  # seconds between two readings
DISK_EVERY = 15  # readings between two looks at the engine's disk use
COLUMNS = (
    Column("pid", "PID", 7, right=True),
    Column("cpu", "CPU", 6, right=True),
    Column("memory", "MEM", 5, right=True),
    Column("owner", "CONTAINER", 10, 24),
    Column("command", "COMMAND", 12, 500, rank=1),
)


class HostView(ModalScreen[None]):
    """Over the whole screen until escape; `local` says whether this machine is the engine's."""

    BINDINGS = [
        Binding("escape,q,H", "dismiss(None)", "Back", show=False),
        Binding("enter", "go", "Go to the container", show=False),
    ]

    def __init__(
        self, source: Source, model: Model, history: HostHistory, *, local: bool = True
    ) -> None:
        super().__init__()
        self._source = source
        self._model = model
        self._history = history
        self._local = local
        self._reader = Reader()
        self._readings = 0
        self.facts = Facts()
        self.usage: Json = {}
        self.health = ""

    def compose(self) -> ComposeResult:
        """Figures at the left, processes at the right; one over the other where it is narrow."""
        with Horizontal(id="hostview"):
            with Vertical(id="hostfigures"):
                yield Figures(self)
            yield Table(COLUMNS, widget_id="hostprocesses", marks=False, empty="Measuring…")

    def on_mount(self) -> None:
        """Read now, and again and again."""
        self.query_one(Table).focus()
        entitle(self.query_one("#hostfigures"), f"[b $accent]{self._title()}[/]", "esc leaves")
        entitle(self.query_one(Table), "Processes and their containers", "↵ goes to the container")
        self.run_worker(Later(self._serve), group="host")

    def _title(self) -> str:
        now = self._history.now
        return now.name if now and self._local else self._source.name

    async def _serve(self) -> None:
        while True:
            if self._readings % DISK_EVERY == 0:
                await self._ask()
            if self._local:
                self.facts = await asyncio.to_thread(self._reader.read)
                self._list()
            else:
                self.query_one(Table).empty = "These are of the engine's machine, not of this one."
            self._readings += 1
            self.query_one(Figures).refresh()
            await asyncio.sleep(0.5 if self._readings == 1 else EVERY)

    async def _ask(self) -> None:
        try:
            self.usage = await self._source.get("/system/df")
            self.health = "answers"
        except BayError as error:
            self.health = str(error)

    def _list(self) -> None:
        names = {one["Id"]: container_name(one) for one in self._model.containers}
        rows: list[Row] = []
        for one in self.facts.processes:
            name = names.get(one.container, one.container[:12])
            cells = {
                "pid": cell(str(one.pid), "dim"),
                "cpu": cell(text.percent(one.cpu), heat(one.cpu) if one.cpu >= 0.05 else "dim"),
                "memory": cell(text.size(one.memory), "bright"),
                "owner": cell(name or "host", "accent" if name else "dim"),
                "command": cell(one.command, "bright" if name else ""),
            }
            rows.append(Row(str(one.pid), cells, {"owner": one.container}))
        table = self.query_one(Table)
        at_top = table.position == 0
        table.show(rows)
        if at_top:  # who has not chosen one wants the busiest
            table.go(0)

    def action_go(self) -> None:
        """Leave, to the container of the process under the cursor."""
        row = self.query_one(Table).current
        identifier = str(row.sort["owner"]) if row is not None else ""
        if identifier and self._model.container(identifier) is not None:
            self.dismiss(None)
            go_to: Any = getattr(self.app, "main", None)
            if go_to is not None:
                go_to.go_to("containers", identifier)
        elif row is not None:
            self.notify(f"Process {row.id} is of no container here.", markup=False)

    def on_table_chosen(self, event: Table.Chosen) -> None:
        """Enter on a process."""
        event.stop()
        self.action_go()

    # --- the figures as lines

    def lines(self, width: int) -> Lines:
        """Everything but the processes, in `width` columns."""
        beside = self._local and width >= SIDE + 30
        lines = self._machine(width - SIDE if beside else width) if self._local else []
        more = [*self._engine(), *self._disk_use(SIDE if beside else width)]
        if not beside:
            return [*lines, *more]
        # Where it is wide and flat, as over the processes at 80 columns, side by side.
        none: list[Span] = []
        pairs = zip_longest(lines, more, fillvalue=none)
        return [[*clip(tuple(one), width - SIDE - 1), (" ", ""), *two] for one, two in pairs]

    def _machine(self, width: int) -> Lines:
        facts, now = self.facts, self._history.now
        bar = max(6, min(24, width - 30))
        lines: Lines = []
        for number, share in enumerate(facts.cores[:32]):
            name = f"cpu {number}"
            lines.append(
                [(f"{name:8}", "dim"), *meter(share, bar), (f" {share:3.0f}%", heat(share))]
            )
        used, total = facts.memory.get("used", 0), max(1, facts.memory.get("total", 1))
        lines.append(_filled("memory", used, total, bar))
        parts = [f"{name} {text.size(facts.memory.get(name, 0))}" for name in ("cached", "buffers")]
        lines.append([("        " + "  ".join(parts), "dim")])
        if facts.swap_total:
            lines.append(_filled("swap", facts.swap_used, facts.swap_total, bar))
        lines.append([])
        if now is not None:
            load = "  ".join(f"{one:.2f}" for one in now.load)
            lines.append([("load    ", "dim"), (load, heat(70 * now.load[0] / now.cpus))])
        if facts.pressure:
            waits: list[Span] = [("waiting ", "dim")]
            for name, share in facts.pressure.items():
                tone: Tone = "bad" if share >= 50 else "warn" if share >= 10 else "bright"
                waits += [(f"{name[:3]} ", "dim"), (f"{share:.0f}%  ", tone)]
            lines.append(waits)
        lines.append([("up      ", "dim"), (text.span(facts.uptime), "bright"), ("", "")])
        lines.append([])
        lines += [_filled(_short(one.place), one.used, one.total, bar) for one in facts.disks[:4]]
        rates = f"r {text.size(facts.read)}/s  w {text.size(facts.written)}/s"
        lines.append([("disk    ", "dim"), (rates, "bright")])
        busy = sorted(facts.links, key=lambda one: -(one.rx + one.tx))[:4]
        for link in busy:
            rates = f"↓{text.size(link.rx)}/s ↑{text.size(link.tx)}/s"
            lines.append([(f"{_short(link.name):8}", "dim"), (rates, "bright")])
        lines.append([])
        return lines

    def _engine(self) -> Lines:
        model = self._model
        states = [str(one.get("State")) for one in model.containers]
        sick = sum("(unhealthy)" in str(one.get("Status")) for one in model.containers)
        up = model.link == "up" and self.health in ("", "answers")
        state = "answers" if up else self.health or model.trouble or model.link
        lines: Lines = [
            [("engine  ", "dim"), (tabs.engine_name(model.version), "bright")],
            [("        ", ""), (state, "good" if up else "bad")],
        ]
        counts: list[Span] = [("        ", ""), (f"● {states.count('running')} running", "good")]
        counts.append((f"  {len(states) - states.count('running')} not", "dim"))
        if sick:
            counts.append((f"  ! {sick} unhealthy", "bad"))
        return [*lines, counts, []]

    def _disk_use(self, width: int) -> Lines:
        if not self.usage:
            return []
        sums = disk_use(self.usage)
        most = max([1, *(one for _, one, _ in sums)])
        bar = max(6, min(20, width - 36))
        lines: Lines = [[("the engine's disk", "dim")]]
        for name, total, free in sums:
            full = round(bar * total / most)
            line: list[Span] = [(f"{name:12}", "dim"), ("━" * full, "accent")]
            line.append(("━" * (bar - full), "line"))
            line.append((f" {text.size(total, 1000):>5}", "bright"))
            if free:
                line.append((f"  {text.size(free, 1000)} unused", "warn"))
            lines.append(line)
        return [*lines, [("X on a list shows what can go", "dim")]]


class Figures(Toned):
    """Draws the lines of the host view."""

    def __init__(self, owner: HostView) -> None:
        super().__init__()
        self._owner = owner
        self._lines: Lines = []

    def render_line(self, y: int) -> Strip:
        """Draw line `y`."""
        if y == 0:
            self._lines = self._owner.lines(self.size.width - 2)
        spans = self._lines[y] if y < len(self._lines) else []
        return self.strip([(" ", ""), *spans], self.size.width)


def _filled(name: str, used: int, total: int, bar: int) -> list[Span]:
    share = 100 * used / total
    line: list[Span] = [(f"{name:8}", "dim"), *meter(share, bar)]
    return [*line, (f" {text.size(used)}", heat(share)), (f"/{text.size(total)}", "dim")]


def _short(name: str) -> str:
    return name if len(name) <= 7 else f"{name[:6]}…"


def disk_use(usage: Json) -> list[tuple[str, int, int]]:
    """What `/system/df` says: name, bytes in all, bytes that nothing uses."""
    images = usage.get("Images") or []
    total = int(usage.get("LayersSize") or sum(int(one.get("Size") or 0) for one in images))
    idle = sum(
        max(0, int(one.get("Size") or 0) - max(0, int(one.get("SharedSize") or 0)))
        for one in images
        if one.get("Containers") == 0
    )
    containers = usage.get("Containers") or []
    stopped = [one for one in containers if one.get("State") != "running"]
    volumes = [one.get("UsageData") or {} for one in usage.get("Volumes") or []]
    unused = [one for one in volumes if one.get("RefCount") == 0]
    cache = usage.get("BuildCache") or []
    idle_cache = [one for one in cache if not one.get("InUse")]
    return [
        ("images", total, min(idle, total)),
        ("containers", _sum(containers, "SizeRw"), _sum(stopped, "SizeRw")),
        ("volumes", _sum(volumes, "Size"), _sum(unused, "Size")),
        ("build cache", _sum(cache, "Size"), _sum(idle_cache, "Size")),
    ]


def _sum(entries: list[Json], name: str) -> int:
    return sum(max(0, int(one.get(name) or 0)) for one in entries)
