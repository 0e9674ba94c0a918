"""`bay build --check`: what works in a Dockerfile and still is likely a mistake.

The rules and their names are those of Docker's build checks.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass

from ...host.errors import InvalidError
from ...host.ignore import Ignore
from ...host.inroot import below_root
from .. import configchanges, words
from .parser import Dockerfile, Instruction
from .stages import PROXIES, Plan, Stage, platform_arguments

_SECRET = re.compile(
    r"(?i)(?:^|_)(?:api_?key|auth|credential|passwd|password|pword|secret|token|key)s?(?:_|$)"
)
_RESERVED = {"context", "scratch"}
_LEGACY = ("ENV", "LABEL")
_SHELLY = ("CMD", "ENTRYPOINT")


@dataclass(frozen=True)
class Finding:
    """One finding: the rule's name, a sentence, its place (line and column from 1)."""

    rule: str
    message: str
    line: int
    column: int
    excerpt: str


@dataclass(frozen=True)
class Look:
    """What the rules look at: the file, its plan, the context's ignore file, given arguments.

    `bases` are the variables that each stage's base image sets, by the stage's number; an image
    that is not here has none, and nothing is told of its stage's variables.
    """

    file: Dockerfile
    plan: Plan
    ignore: Ignore
    build_args: Mapping[str, str | None]
    bases: Mapping[int, set[str]]


Found = tuple[str, str, Instruction, str]


def check(look: Look) -> list[Finding]:
    """Everything that the rules find, in order of the lines.

    `# check=skip=A,B` in the file leaves rules out, `skip=all` all of them.
    """
    skipped = _skipped(look.file, look.build_args)
    if "all" in skipped:
        return []
    found = [warning for warning in _all(look) if warning.rule.lower() not in skipped]
    return sorted(found, key=lambda one: (one.line, one.column))


def fails(file: Dockerfile, build_args: Mapping[str, str | None]) -> bool:
    """Whether a build is to fail on findings: `# check=error=true`, or the same as an argument."""
    options = _options(file, build_args)
    return any(option.strip().lower() == "error=true" for option in options)


def refusal(found: list[Finding]) -> str:
    """What a build that fails on findings says: the rules, and each finding with its line."""
    rules = ", ".join(dict.fromkeys(one.rule for one in found))
    shown = "\n".join(f"{one.rule}: {one.message}\n{one.excerpt}" for one in found)
    return f"lint violation found for rules: {rules}\n{shown}"


def _options(file: Dockerfile, build_args: Mapping[str, str | None]) -> list[str]:
    given = build_args.get("BUILDKIT_DOCKERFILE_CHECK")
    return (file.directives.get("check", "") if given is None else given).split(";")


def _skipped(file: Dockerfile, build_args: Mapping[str, str | None]) -> set[str]:
    for option in _options(file, build_args):
        name, _, value = option.partition("=")
        if name.strip().lower() == "skip":
            return {one.strip().lower() for one in value.split(",")}
    return set()


def _all(look: Look) -> Iterator[Finding]:
    file = look.file
    for line, text in file.warnings:
        yield Finding("NoEmptyContinuation", text, line, 1, file.source.excerpt(line, 1))
    for rule in _RULES:
        for name, message, one, token in rule(look):
            placed = file.error(one, message, token)
            excerpt = file.source.excerpt(placed.line, placed.column)
            yield Finding(name, message, placed.line, placed.column, excerpt)


def _each(look: Look) -> Iterator[tuple[Stage, Instruction]]:
    for stage in look.plan.stages:
        for one in stage.steps:
            yield stage, one


def _casing(look: Look) -> Iterator[Found]:
    spelled = [one.spelled for one in look.file.instructions]
    upper = sum(word.isupper() for word in spelled) * 2 >= len(spelled)
    for one in look.file.instructions:
        wanted = one.name if upper else one.name.lower()
        if one.spelled != wanted:
            majority = "uppercase" if upper else "lowercase"
            yield (
                "ConsistentInstructionCasing",
                f"Command '{one.spelled}' should match the case of the command majority"
                f" ({majority})",
                one,
                one.spelled,
            )


def _stages(look: Look) -> Iterator[Found]:
    seen: Counter[str] = Counter()
    for stage in look.plan.stages:
        one, parts = stage.origin, stage.origin.text.split()
        if len(parts) == 3:
            name, word = parts[2], parts[1]
            if name != name.lower():
                yield "StageNameCasing", f"Stage name '{name}' should be lowercase", one, name
            if word.isupper() != one.spelled.isupper():
                yield (
                    "FromAsCasing",
                    f"'{word}' and '{one.spelled}' keywords' casing do not match",
                    one,
                    word,
                )
            if name.lower() in _RESERVED:
                yield (
                    "ReservedStageName",
                    f'Stage name should not use the same name as reserved stage "{name}"',
                    one,
                    name,
                )
            seen[name.lower()] += 1
            if seen[name.lower()] > 1:
                yield "DuplicateStageName", f'Duplicate stage name "{name}"', one, name
        for flag in one.flags:
            value = flag.partition("=")[2]
            if value in ("$TARGETPLATFORM", "${TARGETPLATFORM}"):
                yield (
                    "RedundantTargetPlatform",
                    f"Setting platform to predefined {value} in FROM is redundant as this is the "
                    "default behavior",
                    one,
                    flag,
                )
            elif value and "$" not in value:
                yield (
                    "FromPlatformFlagConstDisallowed",
                    f'FROM --platform flag should not use constant value "{value}"',
                    one,
                    flag,
                )


def _bases(look: Look) -> Iterator[Found]:
    """A base with variables that name nothing when no argument is given."""
    defaults = {**platform_arguments()}
    declared: set[str] = set()
    for one in look.file.instructions:
        if one.name == "FROM":
            break
        for word in words.split(one.text, look.file.escape) if one.name == "ARG" else ():
            name, equals, value = word.partition("=")
            declared.add(name)
            if equals:
                defaults[name] = words.expand(value, defaults, look.file.escape)
    for stage in look.plan.stages:
        parts = stage.origin.text.split()
        missing: list[str] = []
        try:
            base = words.expand(parts[0], defaults, look.file.escape, missing.append)
        except InvalidError:
            continue
        for name in missing:
            if name not in declared:
                yield (
                    "UndefinedArgInFrom",
                    f"FROM argument '{name}' is not declared",
                    stage.origin,
                    parts[0],
                )
        if not base or base.endswith(":") or "::" in base or base.startswith(":"):
            yield (
                "InvalidDefaultArgInFrom",
                f"Default value for ARG {parts[0]} results in empty or invalid base image name",
                stage.origin,
                parts[0],
            )


def _forms(look: Look) -> Iterator[Found]:
    shells = {s.index for s in look.plan.stages if any(one.name == "SHELL" for one in s.steps)}
    for stage, one in _each(look):
        if one.name == "MAINTAINER":
            yield (
                "MaintainerDeprecated",
                "Maintainer instruction is deprecated in favor of using label",
                one,
                one.spelled,
            )
        if one.name in _LEGACY and one.text and "=" not in one.text.split()[0]:
            yield (
                "LegacyKeyValueFormat",
                f'"{one.name} key=value" should be used instead of legacy "{one.name} key value" '
                "format",
                one,
                one.spelled,
            )
        plain = one.words is None and one.text and stage.index not in shells
        if one.name in _SHELLY and plain:
            yield (
                "JSONArgsRecommended",
                f"JSON arguments recommended for {one.name} to prevent unintended behavior "
                "related to OS signals",
                one,
                one.spelled,
            )
        if one.name == "EXPOSE":
            yield from _exposed(one)


def _exposed(one: Instruction) -> Iterator[Found]:
    for word in one.text.split():
        if re.search(r":\d", word):
            yield (
                "ExposeInvalidFormat",
                f"EXPOSE instruction should not define an IP address or host-port mapping, found"
                f" '{word}'",
                one,
                word,
            )
        elif "/" in word and word.partition("/")[2] != word.partition("/")[2].lower():
            yield (
                "ExposeProtoCasing",
                f"Defined protocol of '{word}' should be lowercase",
                one,
                word,
            )


def _repeated(look: Look) -> Iterator[Found]:
    for stage in look.plan.stages:
        for name in ("CMD", "ENTRYPOINT", "HEALTHCHECK"):
            for one in [step for step in stage.steps if step.name == name][:-1]:
                yield (
                    "MultipleInstructionsDisallowed",
                    f"Multiple {name} instructions should not be used in the same stage because"
                    " only the last one will be used",
                    one,
                    one.spelled,
                )


def _secrets(look: Look) -> Iterator[Found]:
    for _, one in _each(look):
        if one.name not in ("ARG", "ENV"):
            continue
        for name in _names(one, look.file.escape):
            if _SECRET.search(name) and "PUBLIC" not in name.upper():
                yield (
                    "SecretsUsedInArgOrEnv",
                    f'Do not use ARG or ENV instructions for sensitive data ({one.name} "{name}")',
                    one,
                    name,
                )


def _names(one: Instruction, escape: str) -> list[str]:
    try:
        if one.name == "ARG":
            return [word.partition("=")[0] for word in words.split(one.text, escape)]
        return [name for name, _ in configchanges.pairs(one.text, one.name, escape)]
    except (InvalidError, IndexError):
        return []


def _workdirs(look: Look) -> Iterator[Found]:
    for stage in look.plan.stages:
        absolute = stage.base_stage is not None
        for one in stage.steps:
            if one.name != "WORKDIR":
                continue
            if one.text.startswith(("/", "$")):
                absolute = True
            elif not absolute:
                yield (
                    "WorkdirRelativePath",
                    f"Relative workdir '{one.text}' can have unexpected results if the base image"
                    " changes",
                    one,
                    one.text,
                )


def _variables(look: Look) -> Iterator[Found]:
    """Variables that nothing sets."""
    escape = look.file.escape
    stage_names: dict[int, set[str]] = {}
    open_ended: set[int] = set()
    for stage in look.plan.stages:
        known = set(
            stage_names.get(stage.base_stage, set()) if stage.base_stage is not None else ()
        )
        known |= {"PATH", "HOME", "HOSTNAME", *PROXIES}
        known |= look.bases.get(stage.index, set())
        if stage.base_stage in open_ended or not (
            stage.base_stage is not None
            or stage.index in look.bases
            or stage.base.lower() == "scratch"
        ):
            open_ended.add(stage.index)
            continue
        for one in stage.steps:
            missing: list[str] = []
            if one.name not in ("RUN", "CMD", "ENTRYPOINT", "ONBUILD", "HEALTHCHECK", "SHELL"):
                try:
                    words.expand(one.text, dict.fromkeys(known, "x"), escape, missing.append)
                except InvalidError:
                    missing = []
            for name in dict.fromkeys(missing):
                yield "UndefinedVar", f"Usage of undefined variable '${name}'", one, f"${name}"
            if one.name in ("ARG", "ENV"):
                known |= set(_names(one, escape))
        stage_names[stage.index] = known


def _ignored(look: Look) -> Iterator[Found]:
    for _, one in _each(look):
        if one.name not in ("COPY", "ADD") or any(f.startswith("--from") for f in one.flags):
            continue
        parts = list(one.words) if one.words is not None else one.text.split()
        for source in parts[:-1]:
            clean = below_root(source)
            plain = clean and not re.search(r"[*?\[$<]", clean) and "://" not in source
            if plain and look.ignore.ignores(clean):
                yield (
                    "CopyIgnoredFile",
                    f'Attempting to {one.name} file "{source}" that is excluded by .dockerignore',
                    one,
                    source,
                )


_RULES: tuple[Callable[[Look], Iterator[Found]], ...] = (
    _casing,
    _stages,
    _bases,
    _forms,
    _repeated,
    _secrets,
    _workdirs,
    _variables,
    _ignored,
)
