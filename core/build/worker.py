"""One stage: its base, then its instructions one after the other."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

from ...host.errors import BayError, InvalidError
from .. import configchanges
from ..containers import Containers
from . import cached, settings
from .copystep import Copy
from .heredocs import Heredoc
from .job import Job
from .parser import Instruction, parse_one
from .report import Step
from .request import BuildFailedError
from .runflags import parse as parse_run_flags
from .runmounts import Opener, Prepared
from .running import Run
from .source import DockerfileError
from .stages import PROXIES, Stage, check_name
from .state import State

Base = Callable[[Stage, Step], Awaitable[State]]


class Worker:
    """Carries out one stage of a job: `run` gives the state it ends in."""

    def __init__(
        self, job: Job, containers: Containers, stage: Stage, base: Base, opener: Opener
    ) -> None:
        self._job = job
        self._containers = containers
        self._stage = stage
        self._base = base
        self._opener = opener
        self._number = 0
        self._total = 1 + len(stage.steps)
        self._first_layers = 0

    async def run(self) -> State:
        """All of it. Raises BuildFailedError, which shows the line that went wrong."""
        origin = self._stage.origin
        step = self._begin(origin)
        try:
            state = await self._base(self._stage, step)
        except (BayError, OSError) as error:
            raise self._failure(error, origin, step) from error
        step.done((state.image or (state.diff_ids or [""])[-1]).removeprefix("sha256:"))
        self._first_layers = len(state.diff_ids)
        triggers = state.config.pop("OnBuild", None) or []
        if triggers:
            self._job.report.note(f"# Executing {len(triggers)} build triggers")
        instructions = [self._trigger(text) for text in triggers] + self._stage.steps
        self._total = 1 + len(instructions)
        for one in instructions:
            state = await self._step(state, one)
        return state

    def _trigger(self, text: str) -> Instruction:
        one = parse_one(text, self._job.file.escape)
        # It stands in no line of this file: errors point at the FROM that brought it.
        origin = self._stage.origin
        return Instruction(
            one.name, one.flags, one.text, one.words, one.heredocs, origin.line, origin.last,
            origin.column, one.original, one.spelled,
        )  # fmt: skip

    def _begin(self, one: Instruction) -> Step:
        self._number += 1
        job = self._job
        first = f"{job.offsets.get(self._stage.index, 0) + self._number}/{job.total}"
        name = self._stage.name or f"stage-{self._stage.index}"
        return job.report.step(
            self._stage.index, name, self._number, self._total, one.original, one.line, first
        )

    async def _step(self, state: State, one: Instruction) -> State:
        step = self._begin(one)
        try:
            check_name(self._job.file, one)
            if one.name == "RUN":
                await self._run(state, one, step)
            elif one.name in ("COPY", "ADD"):
                await self._copy(state, one, step)
            elif one.name == "WORKDIR":
                await self._workdir(state, one, step)
            else:
                await self._settings(state, one, step)
        except (BayError, OSError) as error:
            raise self._failure(error, one, step) from error
        return state

    def _failure(self, error: Exception, one: Instruction, step: Step) -> BayError:
        """The error with the place in the file; an instruction's own place, or where a word is."""
        if isinstance(error, DockerfileError):
            step.failed(error.reason, error.line, error.column)
            return BuildFailedError(str(error), 1, error.line, error.column)
        reason = error.message if isinstance(error, BayError) else str(error)
        code = error.code if isinstance(error, BuildFailedError) else 1
        if one.name in ("COPY", "ADD") and isinstance(error, BayError):
            reason = f"{one.name} failed: {reason}"
        flags = [flag.partition("=")[0] for flag in one.flags]
        spots = [*flags, *one.text.split()]
        token = next((word for word in spots if len(word) > 1 and word in reason), "")
        placed = self._job.file.error(one, reason, "" if one.name == "RUN" else token)
        step.failed(reason, placed.line, placed.column)
        failed = BuildFailedError(placed.message, code, placed.line, placed.column)
        failed.status = error.status if isinstance(error, BayError) else failed.status
        return failed

    def _missing(self, name: str) -> None:
        """A variable without a value: nothing, as in a shell; the linter tells."""

    # --- instructions

    async def _settings(self, state: State, one: Instruction, step: Step) -> None:
        settings.carry_out(self._job, state, one)
        result = await cached.settings(self._job, step, state.identity(), one.original)
        text = settings.shown(state, one)
        state.record(result.stamp, f"/bin/sh -c #(nop)  {text}", None)
        step.done(state.identity(), result.cached)

    async def _workdir(self, state: State, one: Instruction, step: Step) -> None:
        if not one.text:
            raise InvalidError("WORKDIR requires exactly one argument")
        configchanges.carry_out(
            state.config, "WORKDIR", one.text, state.scope(self._job.file.escape)
        )
        path: str = state.config["WorkingDir"]
        copy = Copy.folder(self._job, state, path)
        created_by = f"/bin/sh -c #(nop) WORKDIR {path}"
        if not await self._job.work(copy.is_needed):
            result = await cached.settings(self._job, step, state.identity(), one.original)
            state.record(result.stamp, created_by, None)
        else:
            result = await cached.run(
                self._job, step, copy.wanted(one.original, self._is_first(state)), copy.make
            )
            state.record(result.stamp, created_by, result.diff_id)
        step.done(state.identity(), result.cached)

    async def _copy(self, state: State, one: Instruction, step: Step) -> None:
        copy = Copy(self._job, state, one)
        await copy.resolve(self._opener)
        wanted = copy.wanted(one.original, self._is_first(state))
        result = await cached.run(self._job, step, wanted, copy.make)
        state.record(result.stamp, copy.created_by, result.diff_id)
        step.done(state.identity(), result.cached)

    async def _run(self, state: State, one: Instruction, step: Step) -> None:
        job = self._job
        if not one.text and not one.words:
            raise InvalidError("RUN requires at least one argument")
        scope = state.scope(job.file.escape, self._missing)
        flags = parse_run_flags(one.flags, scope.expand)
        arguments, scripts = _command(state, one)
        mounts = await Prepared.of(job, flags.mounts, scripts, self._opener)
        environment, quiet = self._environment(state)
        run = Run(
            job, self._containers, state, arguments, environment, quiet, flags.network, mounts
        )
        result = await cached.run(
            job, step, run.wanted(one.original, self._is_first(state)), lambda: run.make(step)
        )
        prefix = "".join(f"{name}={value} " for name, value in environment.items())
        count = f"|{len(environment)} " if environment else ""
        state.record(result.stamp, f"{count}{prefix}{' '.join(arguments)}", result.diff_id)
        step.done(state.identity(), result.cached)

    def _environment(self, state: State) -> tuple[dict[str, str], dict[str, str]]:
        """What a command sees beside the stage's ENV: arguments, and those that need no ARG."""
        own = configchanges.environment(state.config)
        declared = {
            name: value
            for name, value in state.arguments.items()
            if value is not None and name not in own
        }
        given = self._job.request.build_args
        quiet = {
            name: value
            for name, value in given.items()
            if name in PROXIES and value is not None and name not in own and name not in declared
        }
        self._job.used.update(quiet)
        epoch = given.get("SOURCE_DATE_EPOCH")
        if epoch and "SOURCE_DATE_EPOCH" not in own:
            quiet["SOURCE_DATE_EPOCH"] = epoch
        return declared, quiet

    def _is_first(self, state: State) -> bool:
        return len(state.diff_ids) == self._first_layers


def _command(state: State, one: Instruction) -> tuple[list[str], list[Heredoc]]:
    """The arguments of a RUN, and the heredocs that are files to run."""
    if one.words is not None:
        return list(one.words), []
    text = one.text
    if not one.heredocs:
        return [*state.shell, text], []
    first = one.heredocs[0]
    if len(one.heredocs) == 1 and text.strip() == first.word:
        # The heredoc is the script: run by its own interpreter, or by the shell.
        if first.content.startswith("#!"):
            return [*state.shell, f"/dev/pipes/{first.name}"], [first]
        return [*state.shell, first.content], []
    for heredoc in one.heredocs:
        text += f"\n{heredoc.content}{heredoc.name}"
    return [*state.shell, text], []
