"""The layers of an image, from the engine's JSON: what each step made, and what it cost."""

from __future__ import annotations

from dataclasses import dataclass, field

from ..host.errors import NotFoundError
from . import text
from .cells import Cell, Column, Row, Tone, cell
from .model import Json
from .source import Source

COLUMNS = (
    Column("size", "SIZE", 5, right=True),
    Column("age", "AGE", 3, rank=1, right=True),
    Column("made", "MADE BY", 12, 500),
)
# With our engine: the files that a layer added, changed and removed.
COUNTED = (COLUMNS[0], Column("files", "FILES", 8, 17, rank=2), *COLUMNS[1:])


@dataclass(frozen=True)
class Layer:
    """One step of an image: the newest has the highest `number`, -1 those without files.

    `added`, `changed`, `removed` count files, None where the engine does not say.
    """

    made: str
    size: int
    created: float
    number: int = -1
    added: int | None = None
    changed: int | None = None
    removed: int | None = None
    wasted: int = 0


@dataclass(frozen=True)
class Layers:
    """An image's layers, the newest first; `wasted` bytes lie under later ones, None if unknown."""

    layers: list[Layer] = field(default_factory=list)
    wasted: int | None = None
    worst: list[str] = field(default_factory=list)  # the paths that waste most


async def read(source: Source, image: str) -> Layers:
    """The layers of `image`, with what only our engine knows where it is ours."""
    try:
        reply = await source.get(f"/bay/images/{image}/layers")
    except NotFoundError:
        return Layers(from_history(await source.get(f"/images/{image}/history")))
    return from_bay(reply)


def from_history(reply: list[Json]) -> list[Layer]:
    """Docker's history, the newest first."""
    return [
        Layer(command(one), int(one.get("Size") or 0), float(one.get("Created") or 0))
        for one in reply or []
    ]


def from_bay(reply: Json) -> Layers:
    """The engine's `/bay/images/{name}/layers`, whose lowest layer comes first."""
    found = []
    for one in reversed(reply.get("Layers") or []):
        empty = bool(one.get("Empty"))
        found.append(
            Layer(
                command(one),
                int(one.get("Size") or 0),
                float(one.get("Created") or 0),
                -1 if empty else int(one["Index"]),
                None if empty else int(one.get("Added") or 0),
                None if empty else int(one.get("Changed") or 0),
                None if empty else int(one.get("Removed") or 0),
                int(one.get("WastedBytes") or 0),
            )
        )
    wasted = reply.get("Wasted") or []
    return Layers(found, int(reply.get("WastedBytes") or 0), [str(one["Path"]) for one in wasted])


def command(entry: Json) -> str:
    """What made a layer, without the shell around it."""
    made = str(entry.get("CreatedBy") or entry.get("Comment") or "")
    for prefix in ("/bin/sh -c #(nop) ", "/bin/sh -c ", "|0 "):
        made = made.removeprefix(prefix).strip()
    return " ".join(made.split())


def _counts(layer: Layer) -> Cell:
    parts: tuple[tuple[str, int | None, Tone], ...] = (
        ("+", layer.added, "good"),
        ("~", layer.changed, "warn"),
        ("-", layer.removed, "bad"),
    )
    shown = [(f"{sign}{count} ", tone) for sign, count, tone in parts if count]
    return tuple(shown) or cell("", "dim")


def rows(layers: Layers, now: float) -> list[Row]:
    """The layers as rows of a list."""
    found: list[Row] = []
    for index, one in enumerate(layers.layers):
        age = text.span(now - one.created) if one.created else ""
        cells = {
            "size": cell(text.size(one.size, 1000) if one.size else "·", "bright"),
            "age": cell(age, "dim"),
            "files": _counts(one),
            "made": cell(one.made, ""),
        }
        found.append(Row(str(index), cells, {"copy": one.made}, one.made.lower(), not one.size))
    return found
