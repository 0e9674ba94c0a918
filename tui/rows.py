"""From the engine's JSON to the rows of the lists: pure, the clock is passed in."""

from __future__ import annotations

import re

from ..host import clock
from . import projects, spark, text
from .cells import Cell, Column, LazyCells, Row, Tone, cell
from .model import KINDS, History, Json, Model, container_name

CONTAINERS = (
    Column("name", "NAME", 16, 30),
    Column("state", "STATE", 11),
    Column("cpu", "CPU", 6, rank=1, right=True),
    Column("cpu_line", "", 8, 20, rank=2),
    Column("memory", "MEM", 5, rank=1, right=True),
    Column("memory_line", "", 8, 20, rank=3),
    Column("limit", "LIMIT", 5, rank=11, right=True),
    Column("rates", "NET ↓↑", 11, rank=10, right=True),
    Column("disk", "DISK ↓↑", 11, rank=12, right=True, extra=True),
    Column("image", "IMAGE", 14, 28, rank=5),
    Column("ports", "PORTS", 8, 24, rank=4),
    Column("network", "NET", 7, 14, rank=7),
    Column("pids", "PIDS", 4, rank=8, right=True),
    Column("age", "AGE", 3, rank=6, right=True),
    Column("project", "PROJECT", 8, 16, rank=13, extra=True),
    Column("command", "COMMAND", 10, 30, rank=14, extra=True),
    Column("written", "WRITTEN", 7, rank=15, right=True, extra=True),
    Column("id", "ID", 12, rank=16, extra=True),
)
IMAGES = (
    Column("name", "REPOSITORY:TAG", 14, 60),
    Column("used", "USED", 4, rank=3, right=True),
    Column("size", "SIZE", 5, rank=1, right=True),
    Column("age", "AGE", 3, rank=2, right=True),
    Column("id", "ID", 12, rank=4),
)
NETWORKS = (
    Column("name", "NAME", 10, 30),
    Column("driver", "DRIVER", 7, 10, rank=2),
    Column("subnet", "SUBNET", 13, 24, rank=1),
    Column("used", "USED", 4, rank=3, right=True),
    Column("id", "ID", 12, rank=4),
)
VOLUMES = (
    Column("name", "NAME", 14, 70),
    Column("driver", "DRIVER", 6, rank=4),
    Column("used", "USED", 4, rank=2, right=True),
    Column("size", "SIZE", 5, rank=1, right=True),
    Column("age", "AGE", 3, rank=3, right=True),
)
# Columns that the engine has to look through the disk for.
WEIGHED = {"containers": "written", "volumes": "size"}
COLUMNS = {
    "containers": CONTAINERS,
    "images": IMAGES,
    "networks": NETWORKS,
    "volumes": VOLUMES,
    "projects": projects.COLUMNS,
}
LISTS = (*KINDS, "projects")
# What `o` steps through, per list; the first is how the list starts.
SORTS = {
    "containers": ("state", "name", "cpu", "memory", "rates", "disk", "image", "age", "written"),
    "images": ("name", "size", "age", "used"),
    "networks": ("name", "driver", "used"),
    "volumes": ("name", "size", "used", "age"),
    "projects": ("name", "state", "cpu", "memory", "services", "folder"),
}

# What a sample changes: a list sorted by one of these moves with every tick.
MOVING = ("cpu", "memory", "rates", "disk")

_STATES: dict[str, tuple[str, str, Tone, int]] = {
    "running": ("●", "running", "good", 0),
    "restarting": ("↻", "restarts", "warn", 1),
    "paused": ("◐", "paused", "warn", 2),
    "removing": ("✕", "removing", "bad", 3),
    "created": ("◌", "created", "idle", 4),
    "exited": ("○", "exited", "idle", 5),
    "dead": ("✕", "dead", "bad", 6),
}
_EXITED = re.compile(r"Exited \((-?\d+)\)")


def state(summary: Json, busy: str = "") -> tuple[Cell, int]:
    """A container's state as glyph, word and colour, and its place when sorted by state.

    `busy` is what the user just asked of it and the engine has not answered yet.
    """
    glyph, word, tone, order = _STATES.get(summary["State"], ("?", summary["State"], "warn", 9))
    status = str(summary.get("Status", ""))
    if busy:
        glyph, word, tone = "↻", busy, "warn"
    elif "(unhealthy)" in status:
        glyph, word, tone = "!", "unhealthy", "bad"
    elif "(health: starting)" in status:
        glyph, word, tone = "◍", "starting", "warn"
    elif "(healthy)" in status and word == "running":
        word = "healthy"
    elif (match := _EXITED.match(status)) and match[1] != "0":
        word, tone = f"exit {match[1]}", "bad"
    return ((f"{glyph} ", tone), (word[:9], tone)), order


def _heat(share: float) -> Tone:
    return "bad" if share >= 90 else "warn" if share >= 70 else "bright"


def container(summary: Json, model: Model, now: float) -> Row:
    """The row of one container at `now` (seconds since 1970)."""
    name, identifier = container_name(summary), summary["Id"]
    live = summary["State"] in ("running", "paused")
    history = model.samples.get(identifier) if live else None
    shown, order = state(summary, model.busy.get(identifier, ""))
    networks = list((summary.get("NetworkSettings") or {}).get("Networks") or {})
    image = text.image_name(str(summary.get("Image", "")))
    ready = {
        "name": cell(name, "bright" if live else "dim"),
        "state": shown,
        "image": cell(image, "" if live else "dim"),
        "network": cell(" ".join(networks), "dim"),
    }

    def later() -> dict[str, Cell]:
        return {
            "ports": cell(text.ports(summary.get("Ports") or []), "accent"),
            "age": _age(summary, now),
            "project": cell(projects.name_of(summary), "dim"),
            "command": cell(str(summary.get("Command") or ""), "dim"),
            "written": _weight(identifier, model),
            "id": cell(identifier[:12], "dim"),
            **_figures(history, float(model.info.get("MemTotal") or 0)),
        }

    cells = LazyCells(ready, later)
    sort = {
        "name": name,
        "state": (order, name),
        "image": image,
        "age": -float(summary.get("Created", 0)),
        "written": -model.sizes.get(identifier, -1),
        **_ranks(history),
    }
    words = " ".join((name, image, identifier[:12], summary["State"], *networks))
    row = Row(identifier, cells, sort, words.lower(), not live, summary.get("Labels") or {})
    model.drawn[identifier] = (summary, model.busy.get(identifier, ""), row)
    return row


def _known(summary: Json, model: Model, now: float) -> Row:
    """The row last made of a container, where nothing but its figures has changed since."""
    was, busy, row = model.drawn.get(summary["Id"], ({}, "", None))
    if row is not None and was == summary and busy == model.busy.get(summary["Id"], ""):
        return row
    return container(summary, model, now)


def renewed(summary: Json, model: Model, now: float) -> Row:
    """As `container`; of a row that was drawn before, only what time changes is made anew."""
    identifier = summary["Id"]
    was, busy, row = model.drawn.get(identifier, ({}, "", None))
    if row is None or was is not summary or busy != model.busy.get(identifier, ""):
        return container(summary, model, now)
    if "age" not in row.cells:  # it was never looked at
        return container(summary, model, now)
    history = model.samples.get(identifier) if summary["State"] in ("running", "paused") else None
    figures = _figures(history, float(model.info.get("MemTotal") or 0))
    cells = {**row.cells, "age": _age(summary, now), **figures}
    sort = {**row.sort, **_ranks(history)}
    row = Row(identifier, cells, sort, row.text, row.quiet, row.labels)
    model.drawn[identifier] = (summary, busy, row)
    return row


def _ranks(history: History | None) -> dict[str, float]:
    """What a row is sorted by that is measured, the most first."""
    if history is None or not history.cpu:
        return {"cpu": 1.0, "memory": 1.0, "rates": 1.0, "disk": 1.0}
    return {
        "cpu": -history.cpu[-1],
        "memory": -history.memory[-1],
        "rates": -(history.rx[-1] + history.tx[-1]),
        "disk": -(history.read[-1] + history.write[-1]),
    }


def _age(summary: Json, now: float) -> Cell:
    return cell(text.span(now - summary.get("Created", now)), "dim")


_FIGURES = ("cpu", "cpu_line", "memory", "memory_line", "limit", "rates", "disk", "pids")


def _rates(into: float, out: float) -> Cell:
    """Two rates in bytes per second, each in five columns."""
    if into < 1 and out < 1:
        return cell("·", "dim")
    return ((f"{text.size(into):>5}", "bright"), (f" {text.size(out):>5}", "bright"))


def _figures(history: History | None, whole: float) -> dict[str, Cell]:
    """What was measured; `whole` is the host's memory, which is no limit of a container's."""
    if history is None or not history.cpu:
        return dict.fromkeys(_FIGURES, cell("", "dim"))
    cpu, memory = history.cpu[-1], history.memory[-1]
    limit = history.memory_limit
    shares = list(history.cpu_bars)
    sizes = list(history.memory_bars)
    return {
        "cpu": cell(text.percent(cpu), _heat(cpu) if cpu >= 0.05 else "dim"),
        "cpu_line": cell(spark.line(shares, 20, max(25.0, *shares)), "spark"),
        "memory": cell(text.size(memory), _heat(100 * memory / limit) if limit else "bright"),
        "memory_line": cell(spark.line(sizes, 20, max(1.0, *sizes) * 1.25), "spark2"),
        "limit": cell(text.size(limit) if limit and (not whole or limit < whole) else "", "dim"),
        "rates": _rates(history.rx[-1], history.tx[-1]),
        "disk": _rates(history.read[-1], history.write[-1]),
        "pids": cell(str(history.pids), "dim"),
    }


def _weight(key: str, model: Model) -> Cell:
    """Bytes on the disk, nothing as long as they are not known."""
    size = model.sizes.get(key)
    return cell(text.size(size, 1000), "bright" if size else "dim") if size is not None else ()


def image(summary: Json, model: Model, now: float) -> list[Row]:
    """The rows of one image, one per name it has; an image without a name has one too."""
    identifier = summary["Id"]
    used = model.uses.images[identifier]
    names = [name for name in summary.get("RepoTags") or [] if name != "<none>:<none>"]
    rows = []
    for name in names or [""]:
        repository, _, tag = name.rpartition(":")
        shown: Cell = ((repository, "bright"), (f":{tag}", "dim"))
        cells = {
            "name": shown if name else cell("<untagged>", "dim"),
            "used": cell(str(used) if used else "·", "good" if used else "dim"),
            "size": cell(text.size(summary.get("Size", 0), 1000), "bright"),
            "age": cell(text.span(now - summary.get("Created", now)), "dim"),
            "id": cell(text.short_id(identifier), "dim"),
        }
        sort = {
            "name": name or "~",
            "size": -summary.get("Size", 0),
            "age": -summary.get("Created", 0),
            "used": -used,
        }
        words = f"{name} {text.short_id(identifier)}".lower()
        labels = summary.get("Labels") or {}
        rows.append(Row(f"{identifier} {name}", cells, sort, words, not used, labels))
    return rows


def network(summary: Json, model: Model, now: float) -> Row:
    """The row of one network."""
    name, identifier = summary["Name"], summary["Id"]
    configs = (summary.get("IPAM") or {}).get("Config") or []
    used = model.uses.networks[name]
    cells = {
        "name": cell(name, "bright"),
        "driver": cell(str(summary.get("Driver", "")), ""),
        "subnet": cell(" ".join(one.get("Subnet", "") for one in configs), "accent"),
        "used": cell(str(used) if used else "·", "good" if used else "dim"),
        "id": cell(text.short_id(identifier), "dim"),
    }
    sort = {"name": name, "driver": summary.get("Driver", ""), "used": -used}
    words = f"{name} {summary.get('Driver', '')} {cells['subnet'][0][0]}".lower()
    return Row(identifier, cells, sort, words, labels=summary.get("Labels") or {})


def volume(summary: Json, model: Model, now: float) -> Row:
    """The row of one volume; an anonymous one, named by 64 digits, shows twelve of them."""
    name = summary["Name"]
    anonymous = len(name) == 64 and all(digit in "0123456789abcdef" for digit in name)
    used = model.uses.volumes[name]
    created = clock.to_ns(summary.get("CreatedAt") or "") / 1e9
    cells = {
        "name": cell(f"{name[:12]}… anonymous", "dim") if anonymous else cell(name, "bright"),
        "driver": cell(str(summary.get("Driver", "")), "dim"),
        "used": cell(str(used) if used else "·", "good" if used else "dim"),
        "size": _weight(name, model),
        "age": cell(text.span(now - created) if created else "", "dim"),
    }
    sort = {"name": name, "size": -model.sizes.get(name, -1), "used": -used, "age": -created}
    return Row(name, cells, sort, name.lower(), not used, summary.get("Labels") or {})


def build(kind: str, model: Model, now: float, fresh: bool = True) -> list[Row]:
    """All rows of the list `kind`, in the order of the API.

    Without `fresh` a container's figures may be those of the last time it was drawn.
    """
    if kind == "containers":
        make = container if fresh else _known
        return [make(one, model, now) for one in model.containers]
    if kind == "images":
        return [row for one in model.images for row in image(one, model, now)]
    if kind == "networks":
        return [network(one, model, now) for one in model.networks]
    if kind == "projects":
        return [projects.row(one, model, now) for one in projects.gather(model.containers)]
    return [volume(one, model, now) for one in model.volumes]
