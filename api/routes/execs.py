"""`/exec/{id}/...`: processes beside a container's own."""

from __future__ import annotations

import asyncio
import contextlib
import logging

from aiohttp import web

from ...core import detach
from ...core.types import Json
from ...host.errors import BayError, InvalidError, NotFoundError, sentence
from .. import shapes
from ..call import Call
from ..hijack import Hijacked, frame, take_over
from ..replies import empty, reply
from ..router import route
from ..sessions import pump
from .containers import size
from .streams import content_type

log = logging.getLogger("bay.api")

CODE_TIMEOUT = 5  # seconds


@route("GET", "/exec/{id}/json")
async def inspect(call: Call) -> web.StreamResponse:
    """What an exec is, and its exit code once it has one."""
    return reply(call.engine.execs.inspect(call.path["id"]))


@route("POST", "/exec/{id}/resize")
async def resize(call: Call) -> web.StreamResponse:
    """Tell an exec's terminal its size."""
    rows, columns = size(call)
    await call.engine.execs.resize(call.path["id"], rows, columns)
    return web.Response()


@route("POST", "/bay/exec/{id}/hangup")
async def hang_up(call: Call) -> web.StreamResponse:
    """Tell an exec that its terminal is gone, as closing one does."""
    await call.engine.execs.hang_up(call.path["id"])
    return empty()


@route("POST", "/exec/{id}/start", streaming=True)
async def start(call: Call) -> web.StreamResponse:
    """Start an exec, with its streams on this connection unless `Detach`."""
    identifier = call.path["id"]
    known = call.engine.execs.inspect(identifier)
    body = await call.body(shapes.EXEC_START)
    if body.get("Detach"):
        starting = call.engine.execs.start(identifier, detach=True, tty=False, size=None)
        await asyncio.shield(asyncio.ensure_future(starting))
        return web.Response()
    return await _attached(call, known, body)


async def _attached(call: Call, known: Json, body: Json) -> web.StreamResponse:
    process = known.get("ProcessConfig") or {}
    tty = bool(body.get("Tty", process.get("tty")))
    keys = detach.parse(known.get("DetachKeys") or detach.DEFAULT) if tty else b""
    dimensions = _console_size(body)
    raw = take_over(call, content_type(call, tty))
    try:
        session = await call.engine.execs.start(
            call.path["id"], detach=False, tty=tty, size=dimensions
        )
    except (BayError, OSError) as error:
        # Too late for a status: Docker's clients show what comes instead of the output, and ask
        # for the exit code afterwards.
        log.info("exec %s: %s", call.path["id"][:12], error)
        said = sentence(error) if isinstance(error, OSError) else str(error)
        message = f"{said}\r\n".encode()
        await raw.write(message if tty else frame(1, message))
        raw.close()
        return Hijacked()
    except BaseException:
        raw.close()
        raise
    if session is not None:
        stdin = bool(known.get("OpenStdin"))
        try:
            detached = await pump(session, raw, framed=not tty, stdin=stdin, detach=keys)
            if not detached:
                await _settled(call)
        finally:
            session.close()
            raw.close()
    return Hijacked()


async def _settled(call: Call) -> None:
    """Until the exit code is known: clients ask for it as soon as the output has ended.

    conmon tells it a moment after its last output. The process of a client that hung up runs on,
    hence the limit.
    """
    with contextlib.suppress(TimeoutError, NotFoundError):
        async with asyncio.timeout(CODE_TIMEOUT):
            await call.engine.execs.wait(call.path["id"])


def _console_size(body: Json) -> tuple[int, int] | None:
    given = body.get("ConsoleSize")
    if not given:
        return None
    if not isinstance(given, list) or len(given) != 2 or not all(isinstance(n, int) for n in given):
        raise InvalidError("ConsoleSize must be [rows, columns]")
    return given[0], given[1]
