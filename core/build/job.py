"""One build under way: what all its stages share."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import ParamSpec, TypeVar

from ...host import clock
from ...host.threads import begin_long
from ..context import Context
from ..registry.cancel import Cancel
from ..registry.crew import outlast
from .mountlocks import MountLocks
from .parser import Dockerfile
from .report import Report
from .request import Request
from .stages import Plan
from .tree import Tree

P = ParamSpec("P")
T = TypeVar("T")


@dataclass
class Job:
    """`folder` is its own, gone at the end; `undo` takes away what outlasts a step.

    `used` are the names of the build arguments that some instruction has taken.
    """

    id: str
    request: Request
    context: Context
    report: Report
    folder: Path
    undo: AsyncExitStack
    locks: MountLocks
    file: Dockerfile
    plan: Plan
    tree: Tree
    cancel: Cancel = field(default_factory=Cancel)
    used: set[str] = field(default_factory=set)
    # How many steps the stages before each have: Docker counts over all of them.
    offsets: dict[int, int] = field(default_factory=dict)
    total: int = 0
    count: int = 0

    def is_uncached(self, stage: int) -> bool:
        """Whether the steps of that stage are done anew, whatever the cache has."""
        if self.request.no_cache or not self.request.uncached:
            return self.request.no_cache
        name = self.plan.stages[stage].name
        return any(one.lower() in (name or None, str(stage)) for one in self.request.uncached)

    async def work(self, function: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        """Run what blocks in a thread. When this task is cancelled the thread is told, by
        `cancel`, and waited for: nothing of a build goes on behind its back.
        """
        working = begin_long(function, *args, **kwargs)
        try:
            return await asyncio.shield(working)
        except asyncio.CancelledError:
            self.cancel.set()
            working.add_done_callback(lambda one: one.cancelled() or one.exception())
            await outlast([working])
            raise

    def stamp(self) -> str:
        """The time of a step done now, for the image's history: SOURCE_DATE_EPOCH if given."""
        epoch = self.request.epoch()
        if epoch is None:
            return clock.now()
        return clock.from_ns(epoch * 1_000_000_000) if epoch else "1970-01-01T00:00:00Z"

    def now_ns(self) -> int:
        """The time of what a step makes, in ns."""
        epoch = self.request.epoch()
        return time.time_ns() if epoch is None else epoch * 1_000_000_000

    def latest(self) -> int | None:
        """The newest time a file in a layer may have, in ns; None for any."""
        epoch = self.request.epoch()
        return None if epoch is None else epoch * 1_000_000_000

    def new_folder(self, kind: str) -> Path:
        """A folder of this build's own. Most builds of an unsent context need none."""
        folder = self.folder / self.new_name(kind)
        folder.mkdir(mode=0o700, parents=True)
        return folder

    def new_name(self, kind: str) -> str:
        """A name for a snapshot or a folder of this build that no other has."""
        self.count += 1
        return f"build-{self.id}-{kind}{self.count}"
