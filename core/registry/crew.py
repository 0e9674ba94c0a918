"""The threads of one transfer: none of them outlives it."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine, Iterable
from concurrent.futures import Future, ThreadPoolExecutor
from types import TracebackType
from typing import Any, ParamSpec, TypeVar

from .cancel import Cancel, CancelledByUserError

P = ParamSpec("P")
T = TypeVar("T")


class Crew:
    """`async with Crew(n) as crew`: up to `n` threads, and `cancel` that stops their sockets.

    When the block is left by an exception, a cancelled task for one, the threads are told to
    stop; whichever way it is left, they have ended by then. `host.threads` has common pools: a
    slow registry would keep others waiting there.
    """

    def __init__(self, size: int) -> None:
        self.cancel = Cancel()
        self._pool = ThreadPoolExecutor(size, thread_name_prefix="bay-transfer")

    def start(self, function: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> Future[T]:
        """Have a thread run `function`."""
        return self._pool.submit(function, *args, **kwargs)

    async def run(self, function: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        """Have a thread run `function`, and wait for its result."""
        return await follow(self.start(function, *args, **kwargs))

    async def __aenter__(self) -> Crew:
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if error is not None:
            self.cancel.set()
        self._pool.shutdown(wait=False, cancel_futures=True)
        ending = asyncio.get_running_loop().run_in_executor(None, self._pool.shutdown)
        await outlast([ending])


def follow(future: Future[T]) -> asyncio.Future[T]:
    """A thread's future for the event loop, which does not complain when nobody looks at it."""
    wrapped = asyncio.wrap_future(future)
    wrapped.add_done_callback(lambda one: one.cancelled() or one.exception())
    return wrapped


async def outlast(futures: Iterable[asyncio.Future[Any] | Future[Any]]) -> None:
    """Wait for all `futures`, whatever becomes of them, even while this task is cancelled.

    A cancellation that came meanwhile is raised at the end.
    """
    pending = [follow(one) if isinstance(one, Future) else one for one in futures]
    interrupted: asyncio.CancelledError | None = None
    while waiting := [one for one in pending if not one.done()]:
        try:
            await asyncio.wait(waiting)
        except asyncio.CancelledError as error:
            interrupted = error
    if interrupted is not None:
        raise interrupted


async def outlast_failed(
    error: BaseException, futures: Iterable[asyncio.Future[Any] | Future[Any]]
) -> None:
    """`outlast` for a task that fails with `error`, which stays what is told.

    The other tasks of a transfer stop when one fails, and stop that one in turn: their word must
    not take the place of the first cause.
    """
    try:
        await outlast(futures)
    except asyncio.CancelledError:
        if not isinstance(error, Exception) or isinstance(error, CancelledByUserError):
            raise


async def each(work: Iterable[Coroutine[None, None, None]]) -> None:
    """Do all at once; the first failure ends the others, and is what is raised."""
    try:
        async with asyncio.TaskGroup() as group:
            for one in work:
                group.create_task(one)
    except BaseExceptionGroup as errors:
        told = [one for one in errors.exceptions if not isinstance(one, CancelledByUserError)]
        raise (told or errors.exceptions)[0] from None
