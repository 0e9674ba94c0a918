"""The instructions that change settings only: ARG, CMD, ENV, EXPOSE, LABEL and the like."""

from __future__ import annotations

from ...host.errors import InvalidError
from .. import configchanges, words
from ..types import Json
from .job import Job
from .parser import Instruction
from .stages import platform_arguments
from .state import State

_PLAIN = ("ENV", "EXPOSE", "HEALTHCHECK", "LABEL", "SHELL", "STOPSIGNAL", "USER", "VOLUME")
_MUST = {"USER": 1, "STOPSIGNAL": 1}


def carry_out(job: Job, state: State, one: Instruction) -> None:
    """Carry out one on the stage. Raises InvalidError with Docker's sentences."""
    name, text = one.name, one.text
    if one.flags and name not in ("HEALTHCHECK",):
        raise InvalidError(f"unknown flag: {one.flags[0].partition('=')[0]}")
    if name == "ARG":
        _argument(job, state, one)
    elif name == "MAINTAINER":
        if not text:
            raise InvalidError("MAINTAINER requires exactly one argument")
        state.author = text
    elif name in ("CMD", "ENTRYPOINT"):
        _command(state, one)
    elif name == "ONBUILD":
        _trigger(state, one)
    elif name in _PLAIN:
        if name == "HEALTHCHECK":
            text = " ".join([*one.flags, text])
        if name == "VOLUME" and one.words is not None:
            _volumes(state, one.words)
            return
        configchanges.carry_out(state.config, name, text, state.scope(job.file.escape))
    else:
        raise InvalidError(f"{name} is not allowed here")


def _argument(job: Job, state: State, one: Instruction) -> None:
    if not one.text:
        raise InvalidError("ARG requires at least one argument")
    given, built_in = job.request.build_args, platform_arguments()
    for word in words.split(one.text, job.file.escape):
        name, equals, default = word.partition("=")
        if not name:
            raise InvalidError(f"ARG names can not be blank: {word}")
        name = words.expand(name, state.variables(), job.file.escape)
        if given.get(name) is not None:
            job.used.add(name)
            state.arguments[name] = given[name]
        elif equals:
            state.arguments[name] = words.expand(default, state.variables(), job.file.escape)
        else:
            # The value that was given before the first FROM, or one of the machine.
            known = job.plan.arguments.get(name, built_in.get(name))
            state.arguments[name] = known if known is not None else state.arguments.get(name)


def _command(state: State, one: Instruction) -> None:
    if one.name == "ENTRYPOINT" and not one.text:
        raise InvalidError("ENTRYPOINT requires at least one argument")
    value = list(one.words) if one.words is not None else [*state.shell, one.text]
    if one.words is None and not one.text:
        value = []
    if one.name == "CMD":
        state.config["Cmd"] = value
        state.own_command = True
        return
    state.config["Entrypoint"] = value
    if not state.own_command:
        # The command that was there was meant for the entrypoint that was there.
        state.config.pop("Cmd", None)


def _trigger(state: State, one: Instruction) -> None:
    if not one.text:
        raise InvalidError("ONBUILD requires at least one argument")
    text = one.original.split(None, 1)[1]
    for heredoc in one.heredocs:
        text += f"\n{heredoc.content}{heredoc.name}"
    name = text.split(None, 1)[0].upper()
    if name == "ONBUILD":
        raise InvalidError("Chaining ONBUILD via `ONBUILD ONBUILD` isn't allowed")
    if name in ("MAINTAINER", "FROM"):
        raise InvalidError(f"{name} isn't allowed as an ONBUILD trigger")
    state.config["OnBuild"] = [*(state.config.get("OnBuild") or []), text]


def _volumes(state: State, paths: tuple[str, ...]) -> None:
    if not paths or not all(paths):
        raise InvalidError("VOLUME specified can not be an empty string")
    values = state.variables()
    expanded: Json = {words.expand(path, values): {} for path in paths}
    state.config["Volumes"] = {**(state.config.get("Volumes") or {}), **expanded}


def shown(state: State, one: Instruction) -> str:
    """The instruction as the image's history shows it: with what it came to."""
    if one.name in ("CMD", "ENTRYPOINT"):
        value = state.config.get("Cmd" if one.name == "CMD" else "Entrypoint") or []
        return f"{one.name} [{' '.join(_quoted(word) for word in value)}]"
    return f"{one.name} {' '.join([*one.flags, one.text])}".strip()


def _quoted(word: str) -> str:
    return '"' + word.replace("\\", "\\\\").replace('"', '\\"') + '"'
