"""The engine's builds: started, cancelled, and what they leave for the next ones."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import time
from collections.abc import AsyncIterator, Awaitable
from contextlib import AsyncExitStack
from pathlib import Path

from ...host import files
from ...host.errors import BayError, InvalidError, NoSpaceError, NotFoundError
from ...host.threads import complete, offload
from .. import removal
from ..containers import Containers
from ..context import Context
from ..filters import Filters
from ..registry.crew import outlast
from ..types import Json
from . import contexts, findings, lint, stages, usage
from .mountlocks import MountLocks
from .parser import Dockerfile
from .report import Report, Send
from .request import Request
from .solving import Solver
from .tree import Sums, Tree
from .usage import Bounds

_log = logging.getLogger(__name__)

# How long secrets that were sent ahead wait for their build.
_SECRETS_SECONDS = 600


class Builder:
    """Docker's build verbs. Each build is a task of its own, gone with all it made when its
    caller is.
    """

    def __init__(self, context: Context, containers: Containers) -> None:
        self._context = context
        self._containers = containers
        self._locks = MountLocks()
        self._sums = Sums()
        self._running: dict[str, asyncio.Task[str]] = {}
        self._named: dict[str, str] = {}
        self._secrets: dict[str, tuple[float, dict[str, bytes]]] = {}

    def keep_secrets(self, secrets: dict[str, bytes]) -> str:
        """Hold secrets in memory for the one build that takes them; the word to take them by."""
        now = time.monotonic()
        for word, (until, _) in list(self._secrets.items()):
            if until < now:
                del self._secrets[word]
        word = os.urandom(16).hex()
        self._secrets[word] = (now + _SECRETS_SECONDS, secrets)
        return word

    def take_secrets(self, word: str) -> dict[str, bytes]:
        """The secrets kept under `word`, once. Raises NotFoundError."""
        try:
            return self._secrets.pop(word)[1]
        except KeyError:
            raise NotFoundError(
                "the build's secrets are not here any more: send them anew"
            ) from None

    async def recover(self) -> None:
        """At the engine's start: take away the containers and files of builds that died with it.

        What cannot be taken away now is told in the log and tried again at the next start.
        """
        for container in self._context.roster.all():
            if container.build:
                await _attempt(
                    f"container {container.id[:12]}",
                    removal.remove(self._context, container, force=True, volumes=True),
                )
        secrets = self._context.options.run_root / "build"
        await _attempt("its secrets", offload(files.remove_tree, secrets))
        await _attempt("its files", offload(self._context.store.trash.put, self._jobs()))

    async def close(self) -> None:
        """End every build and wait for its undo."""
        for task in self._running.values():
            task.cancel()
        await asyncio.gather(*self._running.values(), return_exceptions=True)

    async def build(self, request: Request, body: AsyncIterator[bytes], send: Send) -> str:
        """Build; the image's id. `send` gets Docker's stream of messages.

        Raises DockerfileError and its like before anything is done, BuildFailedError for a step.
        When the caller is cancelled, so is the build, and all it made has gone by then.
        """
        request.check()
        identity = os.urandom(6).hex()
        task = asyncio.create_task(self._build(identity, request, body, send), name="build")
        self._running[identity] = task
        if request.cancel_id:
            self._named[request.cancel_id] = identity
        try:
            return await asyncio.shield(task)
        except asyncio.CancelledError:
            if task.cancelled():
                raise BayError("the build was cancelled") from None
            task.cancel()
            task.add_done_callback(lambda one: one.cancelled() or one.exception())
            await outlast([task])
            raise
        finally:
            self._running.pop(identity, None)
            self._named.pop(request.cancel_id, None)

    async def check(self, request: Request, body: AsyncIterator[bytes]) -> list[lint.Finding]:
        """What the linter finds in a Dockerfile. Raises DockerfileError, as a build would."""
        folder = self._jobs() / f"check-{os.urandom(6).hex()}"
        async with AsyncExitStack() as undo:
            undo.push_async_callback(offload, self._context.store.trash.put, folder)
            await complete(lambda: folder.mkdir(mode=0o700, parents=True))
            tree, file = await contexts.receive(request, body, folder, self._sums)
            return await self._lint(request, tree, file)

    async def _lint(self, request: Request, tree: Tree, file: Dockerfile) -> list[lint.Finding]:
        plan = await stages.plan_of(request, file)
        return await findings.of(self._context.store, request, tree, file, plan)

    async def cancel(self, cancel_id: str) -> None:
        """End the build that was started under `cancel_id`, and wait for its undo.

        Raises NotFoundError when there is none.
        """
        identity = self._named.get(cancel_id)
        task = self._running.get(identity or "")
        if task is None:
            raise NotFoundError(f"no build with id {cancel_id} is under way")
        task.cancel()
        await asyncio.wait([task])

    async def _build(
        self, identity: str, request: Request, body: AsyncIterator[bytes], send: Send
    ) -> str:
        folder = self._jobs() / identity
        async with AsyncExitStack() as undo:
            secrets = self._context.options.run_root / "build" / identity

            def clear() -> None:
                self._context.store.trash.put(folder)
                files.remove_tree(secrets)

            undo.push_async_callback(offload, clear)
            if request.local is None:
                await complete(lambda: folder.mkdir(mode=0o700, parents=True))
            report = Report(send, request.details, request.quiet)
            try:
                tree, file = await contexts.receive(request, body, folder, self._sums)
                if lint.fails(file, request.build_args) and (
                    found := await self._lint(request, tree, file)
                ):
                    raise InvalidError(lint.refusal(found))
                solver = Solver(
                    self._context, self._containers, self._locks, request, identity, folder, report
                )
                image = await solver.solve(tree, file, undo)
            except OSError as error:
                if error.errno == 28:
                    raise NoSpaceError("cannot build: no space left on the disk") from error
                raise
        with contextlib.suppress(BayError):
            await usage.shrink(self._context, self._locks)
        return image

    def _jobs(self) -> Path:
        return self._context.options.root / "build" / "jobs"

    # --- the cache

    async def usage(self) -> list[Json]:
        """Docker's BuildCache records of `/system/df`."""
        return await offload(usage.records, self._context, self._locks)

    async def prune(
        self, *, all_: bool, bounds: Bounds, filters: Filters, dry_run: bool = False
    ) -> Json:
        """Remove what no build needs: Docker's report. See `usage.prune`."""
        return await usage.prune(
            self._context, self._locks, all_=all_, bounds=bounds, filters=filters, dry_run=dry_run
        )


async def _attempt(what: str, work: Awaitable[object]) -> None:
    """One item of the recovery: what stands in its way keeps neither the others nor the engine."""
    try:
        await work
    except Exception as error:  # the border: whatever it is, the engine starts
        _log.warning("a build that died left %s, which stays for now: %s", what, error)
