"""The figures of one container as lines of text: graphs of the last minutes and their numbers."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from . import spark, text
from .cells import Span, Tone
from .model import History

Lines = list[list[Span]]


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
    axis = 6
    inner = max(4, width - axis)
    rows = max(1, height - 1)
    shown = list(values)[-inner * 2 :]
    top = spark.scale(shown, floor)
    lines: Lines = [title]
    for index, drawn in enumerate(spark.area(shown, inner, rows, top)):
        mark = label(top) if index == 0 else label(0) if index == rows - 1 else ""
        upper: Tone = "accent" if index < rows // 3 and tone == "spark" else tone
        lines.append([(drawn, upper), (mark.rjust(axis), "dim")])
    return lines


def panel(history: History | None, cpus: int, width: int, height: int) -> Lines:
    """Everything about one container, in `width` x `height`; None is one without samples."""
    if history is None or not history.cpu:
        return [[], [("  No figures: it is not running.", "dim")]]
    wide = width >= 96
    columns = (width - 3) // 2 if wide else width
    small = height >= 14
    tall = max(3, (height - (6 if small else 2)) // (1 if wide else 2))
    cpu = _cpu(history, cpus, columns, tall)
    memory = _memory(history, columns, tall)
    lines = _beside(cpu, memory, columns) if wide else [*cpu, *memory]
    lines.append([])
    if small:
        rx = _traffic("net in", history.rx, columns, 4)
        tx = _traffic("net out", history.tx, columns, 4)
        lines += _beside(rx, tx, columns) if wide else _numbers(history)
        if wide:
            return lines
    else:
        lines += _numbers(history)
    return lines


def _cpu(history: History, cpus: int, width: int, height: int) -> Lines:
    peak = max(history.cpu)
    title: list[Span] = [("cpu ", "dim"), (text.percent(history.cpu[-1]), "bright")]
    title += [(f" of {cpus * 100}%   peak {text.percent(peak)}", "dim")]
    return graph(title, history.cpu, width, height, 5, lambda one: f"{one:.0f}%", "spark")


def _memory(history: History, width: int, height: int) -> Lines:
    limit = history.memory_limit
    title: list[Span] = [("memory ", "dim"), (text.size(history.memory[-1]), "bright")]
    if limit:
        share = 100 * history.memory[-1] / limit
        title += [(f" of {text.size(limit)} ({share:.1f}%)", "dim")]
    title += [(f"   peak {text.size(max(history.memory))}", "dim")]
    return graph(title, history.memory, width, height, 1 << 20, text.size, "spark2")


def _traffic(name: str, values: Sequence[float], width: int, height: int) -> Lines:
    title: list[Span] = [(f"{name} ", "dim"), (f"{text.size(values[-1])}/s", "bright")]
    return graph(title, values, width, height, 1024, text.size, "spark")


def _numbers(history: History) -> Lines:
    pairs = (
        ("net ", f"↓{text.size(history.rx[-1])}/s ↑{text.size(history.tx[-1])}/s"),
        ("  disk ", f"r {text.size(history.read[-1])}/s w {text.size(history.write[-1])}/s"),
        ("  processes ", str(history.pids)),
    )
    line: list[Span] = []
    for name, value in pairs:
        line += [(name, "dim"), (value, "bright")]
    return [line]


def _beside(left: Lines, right: Lines, width: int) -> Lines:
    lines: Lines = []
    for index in range(max(len(left), len(right))):
        one = left[index] if index < len(left) else []
        two = right[index] if index < len(right) else []
        used = sum(len(part) for part, _ in one)
        lines.append([*one, (" " * (width - used + 3), ""), *two])
    return lines
