"""The stages of a Dockerfile: what each is made from, and which are needed for a target."""

from __future__ import annotations

import os
import re
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field

from ...host.errors import InvalidError
from ...host.threads import offload_long
from .. import words
from .named import key_of
from .parser import NAMES, Dockerfile, Instruction
from .request import Request
from .runflags import mount_sources

_STAGE_NAME = re.compile(r"[a-z][a-z0-9-_.]*")
_ARCHITECTURES = {"x86_64": ("amd64", ""), "aarch64": ("arm64", ""), "armv7l": ("arm", "v7")}
# Known without an ARG, and no part of a step's key (Dockerfile reference, "Predefined ARGs").
PROXIES = frozenset(
    name for one in ("HTTP_PROXY", "HTTPS_PROXY", "FTP_PROXY", "NO_PROXY", "ALL_PROXY")
    for name in (one, one.lower())
)  # fmt: skip


@dataclass
class Stage:
    """One stage. `base` is the image's name with variables replaced, unless `base_stage` is the
    stage it goes on from. `needs` are the stages that its steps copy or mount from.
    """

    index: int
    name: str
    origin: Instruction
    base: str
    base_stage: int | None
    platform: str = ""
    steps: list[Instruction] = field(default_factory=list)
    needs: set[int] = field(default_factory=set)


@dataclass
class Plan:
    """All stages, the global arguments, which stage is wanted, and those it takes to make it."""

    stages: list[Stage]
    arguments: dict[str, str]
    target: int
    needed: list[int]
    named: Collection[str] = ()

    def is_named(self, name: str) -> bool:
        """Whether a named context stands for this name of an image or a stage."""
        return bool(self.named) and key_of(name) in self.named

    def find(self, name: str, before: int) -> int | None:
        """The stage before number `before` that `--from=name` means."""
        if self.is_named(name):
            return None
        for stage in self.stages[:before]:
            if stage.name == name.lower():
                return stage.index
        if name.isdecimal() and int(name) < before:
            return int(name)
        return None


def platform_arguments() -> dict[str, str]:
    """TARGETPLATFORM, BUILDARCH and their kin, of this machine."""
    machine = os.uname().machine
    arch, variant = _ARCHITECTURES.get(machine, (machine, ""))
    whole = f"linux/{arch}" + (f"/{variant}" if variant else "")
    result = {}
    for side in ("TARGET", "BUILD"):
        result[f"{side}PLATFORM"] = whole
        result[f"{side}OS"] = "linux"
        result[f"{side}ARCH"] = arch
        result[f"{side}VARIANT"] = variant
    return result


def plan(
    file: Dockerfile,
    build_args: Mapping[str, str | None],
    target: str = "",
    named: Collection[str] = (),
) -> Plan:
    """Arrange the instructions in stages; `named` are contexts that stand for stages and images.

    Raises DockerfileError.
    """
    values = platform_arguments()
    arguments: dict[str, str] = {}
    stages: list[Stage] = []
    names: dict[str, int] = {}
    for one in file.instructions:
        check_name(file, one)
        if one.name == "FROM":
            stages.append(_stage(file, one, len(stages), names, {**values, **arguments}))
            if stages[-1].name:
                names[stages[-1].name] = stages[-1].index
        elif stages:
            stages[-1].steps.append(one)
        elif one.name == "ARG":
            _global(file, one, arguments, values, build_args)
        else:
            raise file.error(one, "no build stage in current context: the first one begins at FROM")
    if not stages:
        raise file.error(file.instructions[-1], "dockerfile contains no stages to build: no FROM")
    result = Plan(stages, arguments, len(stages) - 1, [], named)
    for stage in stages:
        if stage.base_stage is not None and result.is_named(stage.base):
            stage.base_stage = None
    for stage in stages:
        for one in stage.steps:
            for source in sources(one):
                found = result.find(source, stage.index)
                if found is not None:
                    stage.needs.add(found)
    if target:
        result.target = _target(stages, target)
    result.needed = _closure(stages, result.target)
    return result


async def plan_of(request: Request, file: Dockerfile) -> Plan:
    """The plan of a build; in a thread when the file is large. Raises DockerfileError."""
    arguments = file, request.build_args, request.target, request.contexts
    return await offload_long(plan, *arguments) if file.is_large else plan(*arguments)


def check_name(file: Dockerfile, one: Instruction) -> None:
    """Raise DockerfileError for an instruction there is not."""
    if one.name in NAMES:
        return
    import difflib

    near = difflib.get_close_matches(one.name, NAMES, 1, 0.6)
    hint = f" (did you mean {near[0]}?)" if near else ""
    raise file.error(
        one, f"dockerfile parse error on line {one.line}: unknown instruction: {one.name}{hint}"
    )


def sources(one: Instruction) -> list[str]:
    """What an instruction takes from other stages or images, by name."""
    if one.name in ("COPY", "ADD"):
        return [flag.partition("=")[2] for flag in one.flags if flag.startswith("--from=")]
    if one.name == "RUN":
        return mount_sources(one.flags)
    return []


def _global(
    file: Dockerfile,
    one: Instruction,
    arguments: dict[str, str],
    values: Mapping[str, str],
    build_args: Mapping[str, str | None],
) -> None:
    if not one.text:
        raise file.error(one, "ARG requires at least one argument")
    for word in words.split(one.text, file.escape):
        name, equals, default = word.partition("=")
        given = build_args.get(name)
        if given is not None:
            arguments[name] = given
        elif equals:
            try:
                known = {**values, **arguments}
                arguments[name] = words.expand(default, known, file.escape)
            except InvalidError as error:
                raise file.error(one, str(error), word) from None
        elif name in values:
            arguments.setdefault(name, values[name])


def _stage(
    file: Dockerfile,
    one: Instruction,
    index: int,
    names: Mapping[str, int],
    values: Mapping[str, str],
) -> Stage:
    parts = one.text.split()
    if len(parts) not in (1, 3) or (len(parts) == 3 and parts[1].upper() != "AS"):
        raise file.error(
            one, "FROM requires either one argument, or three: FROM <source> [AS <name>]"
        )
    name = parts[2].lower() if len(parts) == 3 else ""
    if name and not _STAGE_NAME.fullmatch(name):
        raise file.error(one, f"invalid name for build stage: {parts[2]!r}, name can't start with "
                         "a number or contain symbols", parts[2])  # fmt: skip
    platform = ""
    for flag in one.flags:
        key, _, value = flag.partition("=")
        if key != "--platform":
            raise file.error(one, f"unknown flag: {key}", key)
        platform = _expand(file, one, value, values)
    base = _expand(file, one, parts[0], values)
    if not base:
        raise file.error(one, f"base name ({parts[0]}) should not be blank", parts[0])
    return Stage(index, name, one, base, names.get(base.lower()), platform)


def _expand(file: Dockerfile, one: Instruction, text: str, values: Mapping[str, str]) -> str:
    try:
        return words.expand(text, values, file.escape)
    except InvalidError as error:
        raise file.error(one, str(error), text) from None


def _target(stages: list[Stage], target: str) -> int:
    for stage in stages:
        if stage.name == target.lower():
            return stage.index
    if target.isdecimal() and int(target) < len(stages):
        return int(target)
    known = ", ".join(stage.name for stage in stages if stage.name) or "none has a name"
    raise InvalidError(f'target stage "{target}" could not be found; the stages are: {known}')


def _closure(stages: list[Stage], target: int) -> list[int]:
    needed: set[int] = set()
    waiting = [target]
    while waiting:
        index = waiting.pop()
        if index in needed:
            continue
        needed.add(index)
        stage = stages[index]
        waiting += stage.needs
        if stage.base_stage is not None:
            waiting.append(stage.base_stage)
    return sorted(needed)
