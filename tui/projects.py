"""Compose projects: containers grouped by their label, as `docker compose` wrote them."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

from . import spark, text
from .cells import Cell, Column, Row, Tone, cell
from .filters import PROJECT
from .model import Json, Model, container_name

if TYPE_CHECKING:
    from .verbs import Deed, Step

SERVICE = "com.docker.compose.service"
FOLDER = "com.docker.compose.project.working_dir"
NEEDS = "com.docker.compose.depends_on"

COLUMNS = (
    Column("name", "PROJECT", 12, 30),
    Column("state", "STATE", 11),
    Column("services", "SERVICES", 8, rank=3, right=True),
    Column("cpu", "CPU", 6, rank=1, right=True),
    Column("cpu_line", "", 6, 20, rank=4),
    Column("memory", "MEM", 5, rank=2, right=True),
    Column("folder", "FOLDER", 8, 60, rank=5),
)


class Project:
    """One project: its containers, in the order of the API."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.members: list[Json] = []

    @property
    def ids(self) -> list[str]:
        """Its containers' ids."""
        return [str(one["Id"]) for one in self.members]


def name_of(summary: Json) -> str:
    """The project a container or network belongs to, "" for none."""
    return str((summary.get("Labels") or {}).get(PROJECT) or "")


def gather(containers: Iterable[Json]) -> list[Project]:
    """The projects of these containers, by name."""
    found: dict[str, Project] = {}
    for one in containers:
        if name := name_of(one):
            found.setdefault(name, Project(name)).members.append(one)
    return [found[name] for name in sorted(found)]


def find(model: Model, name: str) -> Project | None:
    """The project `name`, None when it is gone."""
    return next((one for one in gather(model.containers) if one.name == name), None)


def row(project: Project, model: Model, now: float) -> Row:
    """The row of one project."""
    up = [one for one in project.members if one["State"] == "running"]
    total = len(project.members)
    bad = any("(unhealthy)" in str(one.get("Status")) for one in up)
    tone: Tone = "bad" if bad else "good" if len(up) == total else "warn" if up else "idle"
    glyph = "!" if bad else "●" if len(up) == total else "◐" if up else "○"
    words = "all up" if len(up) == total else f"{len(up)} of {total}" if up else "down"
    histories = [model.samples[one["Id"]] for one in up if one["Id"] in model.samples]
    shares = _sums([list(one.cpu)[-20:] for one in histories])
    cpu = shares[-1] if shares else 0.0
    memory = sum(one.memory[-1] for one in histories if one.memory)
    services = {(one.get("Labels") or {}).get(SERVICE) for one in project.members} - {None}
    folder = next(
        (
            str(labels[FOLDER])
            for one in project.members
            if FOLDER in (labels := one.get("Labels") or {})
        ),
        "",
    )
    figures: dict[str, Cell] = {
        "cpu": cell(text.percent(cpu), "bright" if cpu >= 0.05 else "dim") if shares else cell(""),
        "cpu_line": cell(spark.line(shares, 20, max(25.0, *shares, 0.0)), "spark"),
        "memory": cell(text.size(memory), "bright") if memory else cell(""),
    }
    cells = {
        "name": cell(project.name, "bright" if up else "dim"),
        "state": ((f"{glyph} ", tone), (words, tone)),
        "services": cell(str(len(services)), "dim"),
        **figures,
        "folder": cell(folder, "dim"),
    }
    sort = {
        "name": project.name,
        "state": (-len(up), project.name),
        "cpu": -cpu,
        "memory": -memory,
        "services": -len(services),
        "folder": folder,
    }
    found = " ".join([project.name, folder, *sorted(str(one) for one in services)])
    return Row(project.name, cells, sort, found.lower(), not up)


def _sums(series: list[list[float]]) -> list[float]:
    """The sum of series of different lengths that end at the same moment."""
    length = max((len(one) for one in series), default=0)
    return [
        sum(one[index - length] for one in series if len(one) >= length - index)
        for index in range(length)
    ]


# --- what is done to them


def deed(verb: str, project: Project, model: Model) -> Deed | None:
    """`toggle`, `start`, `stop`, `restart`, `kill`, `pause` or `remove` (down) a whole project.

    Services start after those they depend on, and stop before them. The volumes stay.
    """
    if verb == "remove":
        return _down(project, model)
    import shlex  # what is done to them comes after the first frame

    from .verbs import Deed, container

    members = project.members
    if verb == "toggle":
        # Anything that is down is brought up first: a project half up is wanted up.
        verb = "start" if any(one["State"] != "running" for one in members) else "stop"
    made = container(verb, members)
    if made is None:
        return None
    stages = order(members)
    steps = [_staged(step, stages, verb in ("stop", "kill")) for step in made.steps]
    word = {"unpause": "unpause", "start": "start"}.get(made.title.lower(), made.title.lower())
    question = made.question and f"{made.title} all of {project.name}?"
    command = f"docker compose -p {shlex.quote(project.name)} {word}"
    return Deed(made.title, steps, command, question, made.detail, undo=made.undo)


def _staged(step: Step, stages: dict[str, int], backwards: bool) -> Step:
    stage = stages.get(step.who, 0)
    return step.at(-stage if backwards else stage)


def order(members: list[Json]) -> dict[str, int]:
    """How deep each container's dependencies go, by id: 0 needs nobody."""
    needs: dict[str, set[str]] = {}
    for one in members:
        labels = one.get("Labels") or {}
        # `db:service_started:false,cache:service_healthy:true`
        words = str(labels.get(NEEDS) or "").split(",")
        wanted = {word.partition(":")[0] for word in words if word}
        needs.setdefault(str(labels.get(SERVICE)), set()).update(wanted)

    def depth(service: str, seen: tuple[str, ...]) -> int:
        below = [one for one in needs.get(service, ()) if one in needs and one not in seen]
        return 1 + max(depth(one, (*seen, one)) for one in below) if below else 0

    return {
        str(one["Id"]): depth(service, (service,))
        for one in members
        if (service := str((one.get("Labels") or {}).get(SERVICE)))
    }


def _down(project: Project, model: Model) -> Deed:
    import shlex

    from .verbs import Deed, Step

    stages = order(project.members)
    last = max(stages.values(), default=0) + 1
    steps = [
        Step(
            one["Id"],
            container_name(one),
            "DELETE",
            f"/containers/{one['Id']}",
            "removing",
            {"force": True},
            stage=-stages.get(str(one["Id"]), 0),
        )
        for one in project.members
    ]
    steps += [
        Step(one["Id"], one["Name"], "DELETE", f"/networks/{one['Id']}", "removing", stage=last)
        for one in model.networks
        if name_of(one) == project.name
    ]
    count = len(project.members)
    return Deed(
        "Down",
        steps,
        f"docker compose -p {shlex.quote(project.name)} down",
        f"Take {project.name} down?",
        f"Its {count} container{'s' if count > 1 else ''} and networks are removed. What was"
        " written into no volume is lost; volumes stay.",
        (("v", "with the containers' anonymous volumes", False),),
    )
