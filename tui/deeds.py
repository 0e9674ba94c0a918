"""Carries a deed out: stage after stage, the steps of one at once, each with its busy word."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from ..host.errors import BayError, NotModifiedError
from .model import Model
from .source import Source
from .verbs import Deed, Step

AT_ONCE = 8


async def carry_out(
    deed: Deed, source: Source, model: Model, changed: Callable[[], None]
) -> list[str]:
    """Send the steps; the sentences of those that failed, each with its object's name.

    `changed` is called when a busy word appears or goes.
    """
    gate = asyncio.Semaphore(AT_ONCE)

    async def one(step: Step) -> str:
        async with gate:
            try:
                await source.call(step.method, step.path, step.query, step.body)
            except NotModifiedError:
                return ""  # already so: what was wanted
            except BayError as error:
                return f"{step.name}: {error}"
            finally:
                model.busy.pop(step.who, None)
                changed()
            return ""

    for step in deed.steps:
        model.busy[step.who] = step.busy
    changed()
    failed: list[str] = []
    try:
        for stage in sorted({step.stage for step in deed.steps}):
            steps = [step for step in deed.steps if step.stage == stage]
            failed += [text for text in await asyncio.gather(*map(one, steps)) if text]
    finally:
        for step in deed.steps:
            model.busy.pop(step.who, None)
    return failed
