"""The stages of one build as tasks: each waits for those it needs, the others go on at once."""

from __future__ import annotations

import asyncio
import dataclasses
from collections.abc import Callable
from contextlib import AsyncExitStack
from pathlib import Path

from ...host.errors import BayError, NotFoundError
from ...host.threads import complete, offload
from ...storage.images import Image
from ...storage.reference import parse as parse_reference
from .. import commit
from ..containers import Containers
from ..context import Context
from ..types import Json
from . import cached, contexts, copying, findings, stages
from .copystep import Copy
from .job import Job
from .mountlocks import MountLocks
from .named import key_of
from .parser import Dockerfile
from .report import Report, Step
from .request import Request, check_platform
from .stages import Stage
from .state import State
from .tree import Tree
from .worker import Worker


class Solver:
    """One build from its context to its image."""

    def __init__(
        self,
        context: Context,
        containers: Containers,
        locks: MountLocks,
        request: Request,
        identity: str,
        folder: Path,
        report: Report,
    ) -> None:
        self._context = context
        self._containers = containers
        self._locks = locks
        self._request = request
        self._identity = identity
        self._folder = folder
        self._report = report
        self._tasks: dict[int, asyncio.Task[State]] = {}
        self._trees: dict[str, asyncio.Task[Tree]] = {}
        self._pulls: dict[str, asyncio.Lock] = {}

    async def solve(self, tree: Tree, file: Dockerfile, undo: AsyncExitStack) -> str:
        """Build the target stage and all it needs; the image's id."""
        request, report = self._request, self._report
        plan = await stages.plan_of(request, file)
        self._undo = undo
        self._job = Job(
            self._identity, request, self._context, report, self._folder, undo, self._locks,
            file, plan, tree,
        )  # fmt: skip
        self._count()
        self._announce(file)
        # Layers that are made meanwhile, or found in the cache, are nobody's yet.
        undo.enter_context(self._context.store.layers.lease())
        try:
            state = await self._run_all()
        except BaseException:
            report.flush()
            raise
        self._warn_unused(file)
        if request.details and not request.quiet:
            for one in await findings.of(self._context.store, request, tree, file, plan):
                report.warning(one.rule, one.message, one.line, one.column)
        return await self._finish(state)

    def _count(self) -> None:
        job = self._job
        for index in job.plan.needed:
            job.offsets[index] = job.total
            job.total += 1 + len(job.plan.stages[index].steps)

    def _announce(self, file: Dockerfile) -> None:
        plan, report = self._job.plan, self._report
        names = [
            (index, plan.stages[index].name or f"stage-{index}", 1 + len(plan.stages[index].steps))
            for index in plan.needed
        ]
        report.plan(file.source.name, names)
        if "syntax" in file.directives:
            report.note(
                f"# syntax={file.directives['syntax']} is ignored: this builder reads the"
                " Dockerfile itself"
            )
        if not self._request.details:  # else the linter's findings have them
            for line, text in file.warnings:
                report.note(f"[Warning] {file.source.name}:{line}: {text}")

    async def _run_all(self) -> State:
        """Every needed stage; the first failure ends the others, and is what is raised."""
        for index in self._job.plan.needed:
            self._start(index)
        try:
            while waiting := [t for t in self._all_tasks() if not t.done()]:
                done, _ = await asyncio.wait(waiting, return_when=asyncio.FIRST_EXCEPTION)
                failed = [t for t in done if t.cancelled() or t.exception() is not None]
                if failed:
                    break
        finally:
            # Also those that mount what a stage copies from: their undo comes after them.
            for task in (*self._all_tasks(), *self._trees.values()):
                task.cancel()
            await asyncio.gather(*self._trees.values(), return_exceptions=True)
            ended = await asyncio.gather(*self._all_tasks(), return_exceptions=True)
        errors = [e for e in ended if isinstance(e, BaseException)]
        told = [e for e in errors if not isinstance(e, asyncio.CancelledError)]
        if errors:
            raise (told or errors)[0]
        return self._tasks[self._job.plan.target].result()

    def _all_tasks(self) -> list[asyncio.Task[State]]:
        return list(self._tasks.values())

    def _start(self, index: int) -> asyncio.Task[State]:
        """The stage's task; a trigger may need a stage that the file itself does not."""
        if index not in self._tasks:
            self._tasks[index] = asyncio.create_task(self._stage(index), name=f"stage {index}")
        return self._tasks[index]

    async def _stage(self, index: int) -> State:
        stage = self._job.plan.stages[index]

        async def opener(name: str) -> Tree:
            return await self._open(name, index)

        try:
            worker = Worker(self._job, self._containers, stage, self._base, opener)
            return await worker.run()
        finally:
            self._report.stage_ended(index)

    async def _await_stage(self, index: int) -> State:
        try:
            return await asyncio.shield(self._start(index))
        except asyncio.CancelledError:
            raise
        except BayError:
            # Its own error is what is told, not that of who waited for it.
            raise asyncio.CancelledError from None

    # --- bases and sources

    async def _base(self, stage: Stage, step: Step) -> State:
        check_platform(stage.platform, "FROM --platform")
        if stage.base_stage is not None:
            return (await self._await_stage(stage.base_stage)).fork()
        if stage.base.lower() == "scratch":
            return State.scratch()
        name = stage.base
        if self._job.plan.is_named(name):
            name = self._request.contexts[key_of(name)].image
            if not name:
                return await self._files(stage, step)
        return State.of(await self._image(name, step))

    async def _files(self, stage: Stage, step: Step) -> State:
        """A stage that begins as a named context's files: its own layer on nothing."""

        async def opener(name: str) -> Tree:
            return await self._open(name, stage.index)

        state = State.scratch()
        one = dataclasses.replace(
            stage.origin, name="COPY", flags=(f"--from={stage.base}",), text=". /", words=(".", "/")
        )
        copy = Copy(self._job, state, one, literal=True)
        await copy.resolve(opener)
        text = f"FROM {stage.base}"
        result = await cached.run(self._job, step, copy.wanted(text, True), copy.make)
        state.record(result.stamp, text, result.diff_id)
        return state

    async def _image(self, name: str, step: Step | None) -> Image:
        """An image by name, pulled when it is not here or --pull was given."""
        store, request = self._context.store, self._request
        lock = self._pulls.setdefault(name, asyncio.Lock())
        async with lock:
            if not request.pull:
                try:
                    return self._hold(await self._context.images.resolve(name))
                except NotFoundError:
                    pass
            if step is None:
                self._report.note(f"Pulling {name}")
            await self._context.images.pull(
                name,
                platform=request.platform or None,
                auth=self._auth(name),
                progress=self._progress(step),
            )
            return self._hold(await offload(store.images.resolve, name))

    def _progress(self, step: Step | None) -> Callable[[Json], None]:
        loop = asyncio.get_running_loop()

        def report(message: Json) -> None:
            if step is not None:
                loop.call_soon_threadsafe(step.status, message)

        return report

    def _auth(self, name: str) -> Json | None:
        domain = parse_reference(name).domain
        for host, auth in self._request.auths.items():
            known = host.removeprefix("https://").removeprefix("http://").partition("/")[0]
            if known == domain or (known == "index.docker.io" and domain == "docker.io"):
                return dict(auth)
        return None

    def _hold(self, image: Image) -> Image:
        """Keep its layers although it may be removed meanwhile."""
        self._undo.enter_context(self._context.store.layers.lease(*image.diff_ids))
        return image

    async def _open(self, name: str, stage: int) -> Tree:
        """The tree that `--from=name` means for a stage; the context for no name. Made once."""
        if not name:
            return self._job.tree
        found = self._job.plan.find(name, stage)
        key = f"stage {found}" if found is not None else f"image {name}"
        if self._job.plan.is_named(name):
            key = f"context {key_of(name)}"
        if key not in self._trees:
            self._trees[key] = asyncio.create_task(self._mounted(name, found))
        try:
            return await asyncio.shield(self._trees[key])
        except BayError:
            self._trees.pop(key, None)
            raise

    async def _mounted(self, name: str, stage: int | None) -> Tree:
        if self._job.plan.is_named(name):
            key = key_of(name)
            image = self._request.contexts[key].image
            if not image:
                return await contexts.named(self._request, key, self._job.new_folder("named"))
            name = image
        if stage is not None:
            diff_ids = (await self._await_stage(stage)).diff_ids
            what = f"stage {name}"
        else:
            if name.isdecimal():
                raise NotFoundError(
                    f"invalid from flag value {name}: there is no such stage before"
                )
            diff_ids = list((await self._image(name, None)).diff_ids)
            what = f"image {name}"
        snapshots = self._context.store.snapshots
        snapshot = self._job.new_name("from")
        self._undo.push_async_callback(offload, snapshots.remove, snapshot)
        await complete(snapshots.create, snapshot, diff_ids)
        return copying.scope_of(await complete(snapshots.mount, snapshot, bare=True), what)

    # --- the end

    def _warn_unused(self, file: Dockerfile) -> None:
        request = self._request
        known = set(self._job.plan.arguments) | self._job.used | stages.PROXIES
        known |= {"SOURCE_DATE_EPOCH", "BUILDKIT_INLINE_CACHE"} | set(stages.platform_arguments())
        unused = sorted(name for name in request.build_args if name not in known
                        and not name.startswith("BUILDKIT_"))  # fmt: skip
        if unused:
            shown = " ".join(unused)
            self._report.note(f"[Warning] One or more build-args [{shown}] were not consumed")

    async def _finish(self, state: State) -> str:
        request, store = self._request, self._context.store
        if request.labels:
            state.config["Labels"] = {**(state.config.get("Labels") or {}), **request.labels}
            text = " ".join(f"{name}={value}" for name, value in sorted(request.labels.items()))
            state.record(state.created, f"/bin/sh -c #(nop)  LABEL {text}", None)
        if state.image and not request.labels:
            image = state.image
        else:
            if not state.created:
                state.created = self._job.stamp()
            image = (await offload(store.images.put, commit.dump(state.document()))).id
        tags = []
        for tag in request.tags:
            reference = parse_reference(tag).with_default_tag()
            await self._context.images.tag(
                image, reference.familiar_name, reference.tag or "latest"
            )
            tags.append(reference.familiar())
        self._report.finished(image, tags)
        return image
