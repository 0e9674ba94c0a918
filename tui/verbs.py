"""What can be done to things: each verb as requests to the engine and as the command it equals.

Pure: the screen asks, confirms and sends; here is only what is sent.
"""

from __future__ import annotations

import shlex
from dataclasses import dataclass, field, replace
from typing import Any

from .model import Json, Model, container_name
from .text import short_id


@dataclass(frozen=True)
class Step:
    """One request: `who` is the object's id in the lists, `busy` the word shown meanwhile."""

    who: str
    name: str
    method: str
    path: str
    busy: str
    query: dict[str, Any] = field(default_factory=dict)
    body: Json | None = None
    stage: int = 0
    host: str = ""  # which of several hosts it is for; "" where there is one

    def at(self, stage: int) -> Step:
        """The same, in another stage: those of a lower one are done before."""
        return replace(self, stage=stage)


@dataclass(frozen=True)
class Deed:
    """What a key press comes to: the steps, the command line that does the same, the question.

    `question` is asked before anything is sent, "" when nothing is lost by it; `options` are
    switches offered with it: (name, label, set at first). `undo` is what takes it back, where
    anything can.
    """

    title: str
    steps: list[Step]
    command: str
    question: str = ""
    detail: str = ""
    options: tuple[tuple[str, str, bool], ...] = ()
    undo: Deed | None = None


def _names(steps: list[Step]) -> str:
    return " ".join(shlex.quote(step.name) for step in steps)


def _listed(steps: list[Step]) -> str:
    names = [step.name for step in steps]
    return names[0] if len(names) == 1 else f"{len(names)} containers"


def _post(summary: Json, verb: str, busy: str, **query: Any) -> Step:
    identifier = summary["Id"]
    path = f"/containers/{identifier}/{verb}"
    return Step(identifier, container_name(summary), "POST", path, busy, query)


def container(verb: str, summaries: list[Json]) -> Deed | None:
    """The deed of `verb` on these containers, leaving out those it can't be done to.

    Verbs: toggle (stop what runs, else start), start, stop, restart, kill, pause, remove. None
    when it applies to none of them.
    """
    up = [one for one in summaries if one["State"] in ("running", "restarting")]
    paused = [one for one in summaries if one["State"] == "paused"]
    down = [one for one in summaries if one not in up and one not in paused]
    if verb == "toggle":
        verb = "stop" if up or paused else "start"
    if verb == "pause":
        verb = "pause" if up else "unpause"
    chosen = {
        "start": down,
        "stop": up + paused,
        "restart": summaries,
        "kill": up + paused,
        "pause": up,
        "unpause": paused,
        "remove": summaries,
    }[verb]
    if not chosen:
        return None
    if verb == "remove":
        return _remove(chosen, up + paused)
    busy = {"restart": "restarts", "stop": "stopping", "start": "starting"}.get(verb, f"{verb}…")
    steps = [_post(one, verb, busy) for one in chosen]
    question = ""
    if verb == "kill":
        question = f"Kill {_listed(steps)}?"
    return Deed(
        verb.capitalize(),
        steps,
        f"bay {verb} {_names(steps)}",
        question,
        "The processes end at once, without a chance to clean up." if question else "",
        undo=_undo(verb, chosen),
    )


_BACK = {"start": "stop", "stop": "start", "pause": "unpause", "unpause": "pause", "kill": "start"}


def _undo(verb: str, summaries: list[Json]) -> Deed | None:
    """What takes `verb` back."""
    back = _BACK.get(verb)
    if back is None:
        return None
    steps = [_post(one, back, f"{back}…") for one in summaries]
    return Deed(back.capitalize(), steps, f"bay {back} {_names(steps)}")


def _remove(chosen: list[Json], running: list[Json]) -> Deed:
    steps = [
        Step(one["Id"], container_name(one), "DELETE", f"/containers/{one['Id']}", "removing")
        for one in chosen
    ]
    alive = [container_name(one) for one in running]
    detail = "What was written into it and into no volume is lost."
    if len(steps) > 1:
        detail = "What was written into them and into no volume is lost."
    if alive:
        names = " ".join(alive[:4]) + (" …" if len(alive) > 4 else "")
        detail = f"{names} still {'runs' if len(alive) == 1 else 'run'}. {detail}"
    return Deed(
        "Remove",
        steps,
        f"bay rm {_names(steps)}",
        f"Remove {_listed(steps)}?",
        detail,
        (
            ("force", "kill what still runs", bool(alive)),
            ("v", "with its anonymous volumes", False),
        ),
    )


def with_options(deed: Deed, chosen: dict[str, bool]) -> Deed:
    """The deed with the switches that were set in the dialog."""
    on = {name: True for name, value in chosen.items() if value}
    # What a container has to be told (force, v) is nothing to a network that goes with it.
    steps = [
        replace(one, query={**one.query, **on}) if "/networks/" not in one.path else one
        for one in deed.steps
    ]
    flags = "".join({"force": " -f", "v": " -v"}.get(name, "") for name in on)
    parts = deed.command.split("; ") if flags else []  # of several hosts a command each
    flagged = (part.replace(" rm ", f" rm{flags} ", 1) for part in parts)
    command = "; ".join(flagged) if parts else deed.command
    return Deed(deed.title, steps, command, undo=deed.undo)


def remove_other(kind: str, ids: list[str], model: Model) -> Deed | None:
    """Removing images, networks or volumes; image ids are `sha256:… name` as in the list."""
    if not ids:
        return None
    steps = []
    for one in ids:
        identifier, _, name = one.partition(" ")
        called = name or (short_id(identifier) if kind == "images" else identifier)
        if kind == "networks":
            called = next((net["Name"] for net in model.networks if net["Id"] == one), called)
        target = name or identifier
        steps.append(Step(one, called, "DELETE", f"/{kind}/{target}", "removing"))
    noun = kind[:-1]
    what = steps[0].name if len(steps) == 1 else f"{len(steps)} {kind}"
    detail = {
        "images": "Layers that no other image uses are deleted with it.",
        "networks": "",
        "volumes": "All data in it is lost.",
    }[kind]
    command = f"bay {noun} rm {_names(steps)}"
    options = (("force", "even if it is in use or has other names", False),)
    return Deed(
        "Remove",
        steps,
        command,
        f"Remove {noun} {what}?" if len(steps) == 1 else f"Remove {what}?",
        detail,
        options if kind == "images" else (),
    )


def together(deeds: list[Deed]) -> Deed | None:
    """Several deeds of one kind as one."""
    if len(deeds) < 2:
        return deeds[0] if deeds else None
    first = deeds[0]
    undone = [one.undo for one in deeds if one.undo is not None]
    return replace(
        first,
        steps=[step for one in deeds for step in one.steps],
        command="; ".join(one.command for one in deeds),
        question=f"{first.title} {len(deeds)} projects?" if first.question else "",
        undo=together(undone),
    )


def questioned(deed: Deed) -> Deed:
    """A deed that is asked about, with a question where it has none of its own."""
    if deed.question:
        return deed
    return replace(deed, question=f"{deed.title} {_listed(deed.steps)}?")
