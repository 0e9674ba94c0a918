"""The lists that are about one object: processes, changed files, layers; from the API to rows."""

from __future__ import annotations

from . import text
from .cells import Cell, Column, Row, Tone, cell
from .model import Json

PROCESSES = (
    Column("pid", "PID", 7, right=True),
    Column("user", "USER", 8, 12, rank=2),
    Column("time", "CPU TIME", 8, rank=1, right=True),
    Column("command", "COMMAND", 12, 500),
)
CHANGES = (Column("kind", "", 9), Column("path", "PATH", 12, 500))
LAYERS = (
    Column("size", "SIZE", 5, right=True),
    Column("age", "AGE", 3, rank=1, right=True),
    Column("made", "MADE BY", 12, 500),
)
COLUMNS = {"processes": PROCESSES, "changes": CHANGES, "layers": LAYERS}
PATHS = {
    "processes": "/containers/{}/top",
    "changes": "/containers/{}/changes",
    "layers": "/images/{}/history",
}
EMPTY = {
    "processes": "It is not running.",
    "changes": "Nothing was written: it is as its image.",
    "layers": "No layers.",
}
_KINDS: dict[int, tuple[str, Tone]] = {
    0: ("~ changed", "warn"),
    1: ("+ added", "good"),
    2: ("- deleted", "bad"),
}


def processes(reply: Json) -> list[Row]:
    """The rows of `top`, whose columns are named by `ps`."""
    titles = [str(title).upper() for title in reply.get("Titles") or []]
    rows: list[Row] = []
    for values in reply.get("Processes") or []:
        fields = dict(zip(titles, values, strict=False))
        cells = {
            "pid": cell(str(fields.get("PID", "")), "accent"),
            "user": cell(str(fields.get("UID", fields.get("USER", ""))), "dim"),
            "time": cell(str(fields.get("TIME", "")), ""),
            "command": cell(str(fields.get("CMD", fields.get("COMMAND", ""))), "bright"),
        }
        rows.append(Row(str(fields.get("PID", len(rows))), cells, {}))
    return rows


def changes(reply: list[Json]) -> list[Row]:
    """The rows of `changes`, as the writable layer differs from the image."""
    rows: list[Row] = []
    for one in sorted(reply or [], key=lambda one: str(one["Path"])):
        word, tone = _KINDS.get(one["Kind"], ("?", "warn"))
        folder, _, name = str(one["Path"]).rpartition("/")
        path: Cell = ((f"{folder}/", "dim"), (name, "bright"))
        rows.append(Row(str(one["Path"]), {"kind": cell(word, tone), "path": path}, {}))
    return rows


def layers(reply: list[Json], now: float) -> list[Row]:
    """The rows of an image's history, the newest first."""
    rows: list[Row] = []
    for index, one in enumerate(reply or []):
        made = str(one.get("CreatedBy") or one.get("Comment") or "")
        for prefix in ("/bin/sh -c #(nop) ", "/bin/sh -c ", "|0 "):
            made = made.removeprefix(prefix).strip()
        size = one.get("Size") or 0
        cells = {
            "size": cell(text.size(size, 1000) if size else "·", "bright" if size else "dim"),
            "age": cell(text.span(now - one["Created"]) if one.get("Created") else "", "dim"),
            "made": cell(" ".join(made.split()), ""),
        }
        rows.append(Row(str(index), cells, {}))
    return rows


def build(kind: str, reply: object, now: float) -> list[Row]:
    """The rows of a list by its kind."""
    if kind == "processes":
        return processes(reply if isinstance(reply, dict) else {})
    entries = reply if isinstance(reply, list) else []
    return changes(entries) if kind == "changes" else layers(entries, now)
