"""One step with the cache before it: found, or done and kept."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field

from ...host.threads import offload
from ..types import Json
from . import reasons
from .job import Job
from .report import Step
from .state import digest


@dataclass
class Wanted:
    """What a step's result depends on: `parts` by name (JSON), of which its key is made.

    `files` are those a copy brings, path and digest; `text` the instruction as written; `first`
    whether nothing was put on the base image yet.
    """

    text: str
    parts: Json
    files: Mapping[str, str] = field(default_factory=dict)
    first: bool = False

    @property
    def key(self) -> str:
        """The key it is found by."""
        return digest(self.parts)


@dataclass(frozen=True)
class Result:
    """A step's layer, None for none, its time in the history, and whether it was in the cache."""

    diff_id: str | None
    stamp: str
    cached: bool


async def run(
    job: Job, step: Step, wanted: Wanted, make: Callable[[], Awaitable[str | None]]
) -> Result:
    """The step's layer from the cache, or of `make`, which gives its DiffID, None for none."""
    cache = job.context.store.build_cache
    if job.is_uncached(step.stage):
        flag = "--no-cache" if job.request.no_cache else "--no-cache-filter"
        step.missed(f"{flag} was given")
    else:
        found = await offload(cache.find, wanted.key)
        if found is not None:
            if found.diff_id is not None:
                # Whoever prunes the cache meanwhile leaves this build its layer.
                job.undo.enter_context(job.context.store.layers.lease(found.diff_id))
            return Result(found.diff_id, found.stamp, True)
        step.missed(
            await offload(
                reasons.explain, cache, wanted.text, wanted.parts, wanted.files, wanted.first
            )
        )
    diff_id = await make()
    stamp = job.stamp()
    packed = reasons.pack(wanted.files) if wanted.files else None
    await offload(cache.put, wanted.key, wanted.text, wanted.parts, diff_id, stamp, packed)
    return Result(diff_id, stamp, False)


async def settings(job: Job, step: Step, state_key: str, text: str) -> Result:
    """A step that changes settings only: what the cache knows of it is when it was first done."""
    cache = job.context.store.build_cache
    parts = {"state": state_key, "text": text, "epoch": job.request.epoch()}
    key = digest(["settings", parts])
    if not job.is_uncached(step.stage):
        found = await offload(cache.find, key)
        if found is not None:
            return Result(None, found.stamp, True)
    stamp = job.stamp()
    await offload(cache.put, key, f"settings {text}", parts, None, stamp, None)
    return Result(None, stamp, False)
