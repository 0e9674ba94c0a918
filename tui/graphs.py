"""The figures of one container as lines of text: graphs of the last minutes and their numbers."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import NamedTuple

from . import spark, text
from .cells import Span, Tone, clip
from .model import History

Lines = list[list[Span]]
LEAST = 60  # seconds that a graph shows at least
AXIS = 6  # columns at the right of a graph for its axis


def graph(
    title: list[Span],
    values: Sequence[float],
    width: int,
    height: int,
    floor: float,
    label: Callable[[float], str],
    tone: Tone,
) -> Lines:
    """A titled graph of `values` in `width` x `height`; `floor` is the least top of its axis.

    `label` writes a value of the axis, which stands at the right of the first and last line.
    """
    inner = max(4, width - AXIS)
    rows = max(1, height - 1)
    shown = list(values)[-inner * 2 :]
    top = spark.scale(shown, floor)
    lines: Lines = [title]
    for index, drawn in enumerate(spark.area(shown, inner, rows, top)):
        mark = label(top) if index == 0 else label(0) if index == rows - 1 else ""
        upper: Tone = "accent" if index < rows // 3 and tone == "spark" else tone
        lines.append([(drawn, upper), (mark.rjust(AXIS), "dim")])
    return lines


class _Metric(NamedTuple):
    """One graph of the panel: its title, its values, the least top of its axis, its labels."""

    title: list[Span]
    values: Sequence[float]
    floor: float
    label: Callable[[float], str]
    tone: Tone


def spread(
    times: Sequence[float], values: Sequence[float], since: float, span: float, count: int
) -> list[float]:
    """`values` measured at `times` as `count` steps of the `span` seconds from `since` on.

    A step is the highest of what was measured in it; one in which nothing was is as the one before,
    if values were measured less than a few steps apart, and else 0.
    """
    found: list[float | None] = [None] * count
    scale = count / span
    for when, value in zip(times, values, strict=False):
        index = int((when - since) * scale)
        if 0 <= index < count:
            before = found[index]
            found[index] = value if before is None else max(before, value)
    out: list[float] = []
    gap, hold = 0, max(2, round(11 * scale))
    for one in found:
        gap = 0 if one is not None else gap + 1
        out.append(one if one is not None else out[-1] if out and gap <= hold else 0.0)
    return out


def panel(history: History | None, cpus: int, width: int, height: int, span: float = 600) -> Lines:
    """The last `span` seconds of one container, in `width` x `height`; None is one that is down."""
    if history is None or not history.cpu:
        return [[], [("  No figures: it is not running.", "dim")]]
    metrics = _metrics(history, cpus)
    across = 2 if width >= 60 else 1
    down = -(-len(metrics) // across)
    tall = height // down
    while down > 1 and tall < 4:  # fewer graphs that can be read, the numbers of the others below
        down -= 1
        tall = (height - 1) // down
    columns = (width - 3 * (across - 1)) // across
    # What was measured only since a moment ago fills the width too.
    span = min(span, max(LEAST, history.time[-1] - history.time[0]))
    since = history.time[-1] - span
    lines: Lines = []
    drawn = 0
    for row in range(down):
        part = metrics[row * across : (row + 1) * across]
        drawn += len(part)
        graphs = [_graph(one, history, since, span, columns, tall) for one in part]
        lines += _beside(graphs[0], graphs[1], columns) if len(graphs) > 1 else graphs[0]
    if drawn < len(metrics):
        lines.append([span for one in metrics[drawn:] for span in [*one.title, ("   ", "")]])
    return lines


def _graph(
    one: _Metric, history: History, since: float, span: float, width: int, height: int
) -> Lines:
    inner = max(4, width - AXIS)
    values = spread(history.time, one.values, since, span, inner * 2)
    title = list(one.title)
    while len(title) > 2 and sum(len(part) for part, _ in title) > width:
        title.pop()  # what matters least stands last
    title = list(clip(tuple(title), width))
    return graph(title, values, width, height, one.floor, one.label, one.tone)


def _metrics(history: History, cpus: int) -> list[_Metric]:
    limit, memory = history.memory_limit, history.memory[-1]
    cpu: list[Span] = [("cpu ", "dim"), (text.percent(history.cpu[-1]), "bright")]
    cpu += [(f" of {cpus * 100}%  peak {text.percent(max(history.cpu))}", "dim")]
    used: list[Span] = [("memory ", "dim"), (text.size(memory), "bright")]
    if limit:
        used += [(f" of {text.size(limit)} ({100 * memory / limit:.1f}%)", "dim")]
    used += [(f"  peak {text.size(max(history.memory))}", "dim")]
    net = [one + two for one, two in zip(history.rx, history.tx, strict=False)]
    moved = _two("disk ", "r ", history.read, "w ", history.write)
    disk = [one + two for one, two in zip(history.read, history.write, strict=False)]
    return [
        _Metric(cpu, history.cpu, 5, lambda value: f"{value:.0f}%", "spark"),
        _Metric(used, history.memory, 1 << 20, text.size, "spark2"),
        _Metric(_two("net ", "↓", history.rx, "↑", history.tx), net, 1024, text.size, "spark"),
        _Metric(moved, disk, 1024, text.size, "spark2"),
        _Metric(
            [("processes ", "dim"), (str(history.pids), "bright")],
            history.processes,
            4,
            lambda value: f"{value:.0f}",
            "spark",
        ),
    ]


def _two(
    name: str, one: str, first: Sequence[float], two: str, second: Sequence[float]
) -> list[Span]:
    words = f"{one}{text.size(first[-1])}/s {two}{text.size(second[-1])}/s"
    return [(name, "dim"), (words, "bright")]


def _beside(left: Lines, right: Lines, width: int) -> Lines:
    lines: Lines = []
    for index in range(max(len(left), len(right))):
        one = left[index] if index < len(left) else []
        two = right[index] if index < len(right) else []
        used = sum(len(part) for part, _ in one)
        lines.append([*one, (" " * (width - used + 3), ""), *two])
    return lines
