"""`/containers/{id}/attach`, `/attach/ws`, `/logs`, `/stats`, `/export`: what flows."""

from __future__ import annotations

import asyncio

from aiohttp import web

from ...core import detach, logconfig
from ...core.types import Container
from ...host import clock
from ...host.chunks import closing
from ...host.errors import ConflictError, InvalidError
from ..call import Call
from ..hijack import MULTIPLEXED, RAW, Hijacked, frame, take_over
from ..replies import Stream, reply, stream_bytes
from ..router import route
from ..sessions import Session, WebSocketClient, pump, serve

_AFTER_HEADERS = 0.02


def content_type(call: Call, tty: bool) -> str:
    """Docker's name for a stream of output: frames have their own since API 1.42."""
    return RAW if tty or call.version < (1, 42) else MULTIPLEXED


@route("POST", "/containers/{id}/attach", streaming=True)
async def attach(call: Call) -> web.StreamResponse:
    """`docker attach`, and the streams of `docker run`."""
    container, keys = _attachable(call)
    session = _attachment(call, container)
    try:
        raw = take_over(call, content_type(call, container.tty))
    except ConnectionError:
        session.close()
        raise
    if call.flag("logs"):
        # docker-py loses what comes in one piece with the headers: it reads past its own buffer.
        await asyncio.sleep(_AFTER_HEADERS)
    stdin = call.flag("stdin") and call.flag("stream")
    if await serve(session, raw, framed=not container.tty, stdin=stdin, detach=keys):
        _tell_detached(call, container)
    return Hijacked()


@route("GET", "/containers/{id}/attach/ws", streaming=True)
async def attach_web_socket(call: Call) -> web.StreamResponse:
    """`attach` over a web socket; never framed, as Docker has it."""
    container, keys = _attachable(call)
    socket = web.WebSocketResponse()
    call.server.decorate(socket)
    if not socket.can_prepare(call.request).ok:
        raise InvalidError("this path speaks web socket only")
    session = _attachment(call, container)
    try:
        await socket.prepare(call.request)
        stdin = call.flag("stdin") and call.flag("stream")
        client = WebSocketClient(socket)
        if await pump(session, client, framed=False, stdin=stdin, detach=keys, half_close=False):
            _tell_detached(call, container)
        await socket.close()
    finally:
        session.close()
    return socket


def _attachable(call: Call) -> tuple[Container, bytes]:
    """The container and its detach keys, which only a terminal has. Raises in Docker's words."""
    container = call.engine.containers.get(call.path["id"])
    keys = detach.parse(call.text("detachKeys") or detach.DEFAULT)
    if container.state.status == "paused":
        raise ConflictError(
            f"container {container.id} is paused, unpause the container before attach"
        )
    if container.state.status == "restarting":
        raise ConflictError(
            f"container {container.id} is restarting, wait until the container is running"
        )
    return container, keys if container.tty else b""


def _attachment(call: Call, container: Container) -> Session:
    session: Session = call.engine.containers.attach(
        container.id,
        stdin=call.flag("stdin"),
        stdout=call.flag("stdout"),
        stderr=call.flag("stderr"),
        logs=call.flag("logs"),
        stream=call.flag("stream"),
    )
    return session


def _tell_detached(call: Call, container: Container) -> None:
    attributes = dict(container.config.get("Labels") or {})
    attributes.update(image=container.image_ref, name=container.name)
    call.engine.events.emit("container", "detach", container.id, attributes)


@route("GET", "/containers/{id}/logs", streaming=True)
async def logs(call: Call) -> web.StreamResponse:
    """`docker logs`."""
    container = call.engine.containers.get(call.path["id"])
    wanted = {n for n, name in ((1, "stdout"), (2, "stderr")) if call.flag(name)}
    if not wanted:
        raise InvalidError("Bad parameters: you must choose at least one stream")
    if not call.flag("follow"):
        await call.engine.containers.spoken(container.id)
    entries = call.engine.containers.logs(
        container.id,
        follow=call.flag("follow"),
        since=call.moment("since") or 0,
        until=call.moment("until") or 0,
        tail=_tail(call.text("tail")),
    )
    stamped = call.flag("timestamps")
    details = f"{logconfig.details(container)} ".encode() if call.flag("details") else b""
    async with closing(entries), Stream(call, content_type(call, container.tty)) as stream:
        async for entry in entries:
            if entry.stream not in wanted:
                continue
            data = details + entry.data
            if stamped:
                data = f"{clock.from_ns(entry.ns)} ".encode() + data
            await stream.write(data if container.tty else frame(entry.stream, data))
    return stream.response


def _tail(text: str) -> int | None:
    """`all`, nothing and what is no number mean every line, as in moby."""
    return int(text) if text.isdecimal() and len(text) < 20 else None


@route("GET", "/containers/{id}/stats", streaming=True)
async def stats(call: Call) -> web.StreamResponse:
    """`docker stats`: one object a second, or one alone."""
    container = call.engine.containers.get(call.path["id"])
    follow = call.flag("stream", default=True)
    if not follow and call.flag("one-shot"):
        return reply(await call.engine.stats.docker_json(container, alone=True))
    return await _follow_stats(call, container, follow)


async def _follow_stats(call: Call, container: Container, follow: bool) -> web.StreamResponse:
    async with (
        closing(call.engine.stats.stream()) as ticks,
        Stream(call, "application/json") as stream,
    ):
        async for _ in ticks:
            if not follow and not call.engine.stats.has_two(container):
                continue  # one alone tells no CPU time of the second before
            await stream.send(await call.engine.stats.docker_json(container))
            if not follow or container.state.status == "removing":
                break
    return stream.response


@route("GET", "/containers/{id}/export", streaming=True)
async def export(call: Call) -> web.StreamResponse:
    """`docker export`: the container's files as a tar."""
    chunks = call.engine.containers.export(call.path["id"])
    return await stream_bytes(call, chunks, "application/x-tar")
