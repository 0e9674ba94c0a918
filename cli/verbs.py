"""All verbs, and where each is: a verb's module is imported when it is used, not before."""

from __future__ import annotations

import importlib

from .command import Command

# verb -> "module:NAME" below cli/commands
VERBS: dict[str, str] = {
    "exec": "exec:EXEC",
    "images": "imagelist:IMAGES",
    "kill": "lifecycle:KILL",
    "logs": "logs:LOGS",
    "ps": "ps:PS",
    "pull": "pull:PULL",
    "rm": "remove:RM",
    "restart": "lifecycle:RESTART",
    "run": "run:RUN",
    "create": "run:CREATE",
    "start": "start:START",
    "stop": "lifecycle:STOP",
    "wait": "lifecycle:WAIT",
    "pause": "lifecycle:PAUSE",
    "unpause": "lifecycle:UNPAUSE",
    "engine": "engine:ENGINE",
}

_OF_CONTAINERS = (
    "create", "exec", "kill", "logs", "pause", "restart", "rm", "run", "start", "stop", "unpause",
    "wait",
)  # fmt: skip

GROUPS: dict[str, tuple[str, dict[str, str]]] = {
    "container": (
        "Manage containers",
        {
            "ls": "ps:PS",
            "list": "ps:PS",
            "ps": "ps:PS",
            **{name: VERBS[name] for name in _OF_CONTAINERS},
        },
    ),
}

# Second names that help does not list.
ALIASES = {"list", "remove", "ps"}


def load(place: str) -> Command:
    """The command at `place` ("module:NAME")."""
    module, _, name = place.partition(":")
    command = getattr(importlib.import_module(f"{__package__}.commands.{module}"), name)
    assert isinstance(command, Command)
    return command


def find(argv: list[str]) -> tuple[Command, list[str]] | None:
    """The command that `argv` names and the words after its name; None when there is none."""
    if argv[0] in VERBS:
        return load(VERBS[argv[0]]), argv[1:]
    if argv[0] in GROUPS and len(argv) > 1:
        place = GROUPS[argv[0]][1].get(argv[1])
        if place is not None:
            return load(place), argv[2:]
    return None
