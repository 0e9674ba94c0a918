"""Progress of what takes long, as Docker's stream of JSON messages: pull, push, load, import."""

from __future__ import annotations

import asyncio
import errno
import logging
import threading
from collections import deque
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

from aiohttp import web

from ..core.build.request import BuildFailedError
from ..core.types import Json
from ..host.errors import BayError, NoSpaceError, sentence
from .replies import Stream
from .shortage import told

if TYPE_CHECKING:
    from .call import Call

log = logging.getLogger("bay.api")

T = TypeVar("T")
Report = Callable[[Json], None]

# Between two pieces of an answer: what is told meanwhile goes in one. A message for each would wake
# the client, and this process, a hundred times for what is done in a moment.
_PAUSE = 0.005

# Beyond this many waiting messages a slow client no longer gets every step of every bar.
_ENOUGH = 256


class Backlog:
    """Messages between the work, on any thread, and a client that may be slow: never blocks."""

    def __init__(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._thread = threading.get_ident()
        self._messages: deque[Json] = deque()
        self._arrived = asyncio.Event()

    def report(self, message: Json) -> None:
        """Queue a message; from any thread."""
        if threading.get_ident() == self._thread:
            self._add(message)
        else:
            self._loop.call_soon_threadsafe(self._add, message)

    def _add(self, message: Json) -> None:
        # Steps of a bar may be left out; what is said once may not.
        if len(self._messages) < _ENOUGH or not message.get("progressDetail"):
            self._messages.append(message)
        self._arrived.set()

    async def send_to(self, stream: Stream) -> None:
        """Send what is queued and what comes, until cancelled."""
        while True:
            await self._arrived.wait()
            self._arrived.clear()
            await self.flush_to(stream)
            await asyncio.sleep(_PAUSE)

    async def flush_to(self, stream: Stream) -> None:
        """Send what is queued now."""
        messages = list(self._messages)
        self._messages.clear()
        if messages:
            await stream.send_all(messages)


async def with_progress(
    call: Call,
    work: Callable[[Report], Awaitable[T]],
    last: Callable[[T], Json | None] = lambda _: None,
    at_once: bool = False,
) -> web.StreamResponse:
    """Answer with what `work` reports, then with `last` of its result.

    An error before the first report has its own status, unless `at_once` sends the headers first;
    later ones are told in the stream, as the status has gone. The work is cancelled when the
    client is gone, and its undo has run before this returns.
    """
    stream = Stream(call, "application/json")
    if at_once:
        await stream.write(b"")
    backlog = Backlog()
    sending = asyncio.create_task(backlog.send_to(stream))
    working = asyncio.ensure_future(work(backlog.report))
    try:
        await asyncio.wait((working, sending), return_when=asyncio.FIRST_COMPLETED)
        if not working.done():
            await sending  # only a client that is gone ends it: raises
        sending.cancel()
        await asyncio.gather(sending, return_exceptions=True)
        await asyncio.sleep(0)  # what was reported last from another thread
        await backlog.flush_to(stream)
        final = last(working.result())
        if final is not None:
            await stream.send(final)
    except Exception as error:  # the border: a stream that has begun ends with a sentence
        of_work = working.done() and not working.cancelled() and working.exception() is error
        if not of_work or not stream.response.prepared:
            raise
        await stream.send(failure(border(error, call.request.path), call.engine.options.root))
    finally:
        for task in (working, sending):
            task.cancel()
        await asyncio.gather(working, sending, return_exceptions=True)
    await stream.end()
    return stream.response


def border(error: Exception, path: str) -> BayError:
    """The error that goes out for any: a sentence, and no more of what only the log is to have."""
    if isinstance(error, BayError):
        return error
    if isinstance(error, OSError):
        log.warning("%s: %s", path, error)
        full = error.errno in (errno.ENOSPC, errno.EDQUOT)
        return (NoSpaceError if full else BayError)(sentence(error))
    log.error("%s", path, exc_info=error)
    kind = type(error).__name__
    return BayError(f"internal error ({kind}); the engine's log has the details")


def failure(error: BayError, root: Path) -> Json:
    """An error as a message of the stream (moby, jsonmessage)."""
    # Of a build, Docker's clients end with the code of the step's command.
    code = error.code if isinstance(error, BuildFailedError) else error.status
    message = told(error, root)
    return {"errorDetail": {"code": code, "message": message}, "error": message}
