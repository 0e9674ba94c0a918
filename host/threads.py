"""Threads for what blocks: the event loop never waits for a syscall or for unpacking."""

from __future__ import annotations

import asyncio
import functools
import os
from collections.abc import Callable, Coroutine
from concurrent.futures import ThreadPoolExecutor
from typing import Any, ParamSpec, TypeVar

P = ParamSpec("P")
T = TypeVar("T")

# Short work (a mount, a fork, a small file): many may wait on the kernel at once.
_short = ThreadPoolExecutor(max_workers=16, thread_name_prefix="bay-io")
# Long work (unpacking, copying, hashing): bounded, so that it never starves the short work.
_long = ThreadPoolExecutor(max_workers=max(4, os.cpu_count() or 1), thread_name_prefix="bay-long")


async def offload(function: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
    """Run a short blocking `function` in a thread and return its result."""
    call = functools.partial(function, *args, **kwargs)
    return await asyncio.get_running_loop().run_in_executor(_short, call)


async def complete(function: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
    """`offload` for what makes something its caller must know of: a process, a descriptor.

    A thread cannot be cancelled. When the caller is, it is told only once `function` is through.
    """
    task = asyncio.ensure_future(offload(function, *args, **kwargs))
    try:
        return await asyncio.shield(task)
    except asyncio.CancelledError:
        await asyncio.wait([task])
        raise


def begin_long(function: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> asyncio.Future[T]:
    """`offload_long`, begun at once: the future of its result."""
    call = functools.partial(function, *args, **kwargs)
    return asyncio.get_running_loop().run_in_executor(_long, call)


async def together(*work: Coroutine[Any, Any, Any]) -> list[Any]:
    """Run all of `work` side by side, each to its end, and return what each returned.

    Raises what the first of them that failed raised, and a cancellation, only once none is under
    way any more: an undo never meets a step that still goes on.
    """
    tasks = [asyncio.ensure_future(one) for one in work]
    try:
        await asyncio.wait(tasks)
    except asyncio.CancelledError:
        await asyncio.wait(tasks)
        raise
    errors = [error for task in tasks if (error := task.exception()) is not None]
    if errors:
        raise errors[0]
    return [task.result() for task in tasks]


async def offload_long(function: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
    """Like `offload`, for work of seconds or minutes: its own, bounded pool."""
    return await begin_long(function, *args, **kwargs)
