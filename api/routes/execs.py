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
from ..hijack import EXIT, Hijacked, RawConnection, frame, take_over
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
        await _detached(call, identifier)
        return web.Response()
    return await _attached(call, identifier, bool(body.get("Tty", _tty(known))), body)


@route("POST", "/bay/containers/{id}/exec", streaming=True)
async def run(call: Call) -> web.StreamResponse:
    """Create and start in one, and the exit code behind the output: `bay exec`."""
    body = await call.body(shapes.EXEC_RUN)
    container = call.engine.containers.get(call.path["id"])
    identifier = await call.engine.execs.create(container, body)
    if not body.get("Detach"):
        return await _attached(call, identifier, bool(body.get("Tty")), body, told=True)
    try:
        await _detached(call, identifier)
    except BayError as error:  # told apart from one that could not be created
        return reply({"Id": identifier, "Error": error.message})
    return reply({"Id": identifier})


def _tty(known: Json) -> bool:
    return bool((known.get("ProcessConfig") or {}).get("tty"))


async def _detached(call: Call, identifier: str) -> None:
    starting = call.engine.execs.start(identifier, detach=True, tty=False, size=None)
    await asyncio.shield(asyncio.ensure_future(starting))


async def _attached(
    call: Call, identifier: str, tty: bool, body: Json, *, told: bool = False
) -> web.StreamResponse:
    """Its streams on this connection. With `told` the client is told the id, and the code."""
    known = call.engine.execs.inspect(identifier)
    keys = detach.parse(known.get("DetachKeys") or detach.DEFAULT) if tty else b""
    dimensions = _console_size(body)
    raw = take_over(call, content_type(call, tty), {"Bay-Exec": identifier} if told else {})
    try:
        await _carry(call, raw, known, tty, keys, dimensions, tty and bool(body.get("HangUp")))
        if (
            told
            and not tty
            and (code := call.engine.execs.inspect(identifier)["ExitCode"]) is not None
        ):
            await raw.write(frame(EXIT, b"%d" % code))
    except (ConnectionError, NotFoundError):
        pass  # the client is gone, or the exec with its container
    finally:
        raw.close()
    return Hijacked()


async def _carry(
    call: Call,
    raw: RawConnection,
    known: Json,
    tty: bool,
    keys: bytes,
    dimensions: tuple[int, int] | None,
    hang_up: bool,
) -> None:
    """Start it and carry its streams to their end; the exit code is known then.

    A client that is gone leaves its process running, as Docker does; with `hang_up`, the process
    hears of it as from a terminal that is closed. What was detached from runs on.
    """
    identifier = known["ID"]
    try:
        session = await call.engine.execs.start(identifier, detach=False, tty=tty, size=dimensions)
    except (BayError, OSError) as error:
        # Too late for a status: Docker's clients show what comes instead of the output, and ask
        # for the exit code afterwards.
        log.info("exec %s: %s", identifier[:12], error)
        said = sentence(error) if isinstance(error, OSError) else str(error)
        message = f"{said}\r\n".encode()
        await raw.write(message if tty else frame(1, message))
        return
    if session is None:
        return
    try:
        stdin = bool(known.get("OpenStdin"))
        # Who wants that keeps its own side open to the end: its end of input is its own.
        half = not hang_up
        detached = await pump(
            session, raw, framed=not tty, stdin=stdin, detach=keys, half_close=half
        )
        if not detached:
            if hang_up:
                await call.engine.execs.hang_up(identifier)
            await _settled(call, identifier)
    finally:
        session.close()


async def _settled(call: Call, identifier: str) -> None:
    """Until the exit code is known: clients ask for it as soon as the output has ended.

    conmon tells it a moment after its last output. The process of a client that hung up runs on,
    hence the limit.
    """
    with contextlib.suppress(TimeoutError, NotFoundError):
        async with asyncio.timeout(CODE_TIMEOUT):
            await call.engine.execs.wait(identifier)


def _console_size(body: Json) -> tuple[int, int] | None:
    given = body.get("ConsoleSize")
    if not given:
        return None
    if not isinstance(given, list) or len(given) != 2 or not all(isinstance(n, int) for n in given):
        raise InvalidError("ConsoleSize must be [rows, columns]")
    return given[0], given[1]
