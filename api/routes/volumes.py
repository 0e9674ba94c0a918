"""`/volumes/...`."""

from __future__ import annotations

from aiohttp import web

from ...host.errors import NotFoundError
from .. import shapes
from ..call import Call
from ..replies import empty, reply
from ..router import route


@route("GET", "/volumes")
async def index(call: Call) -> web.StreamResponse:
    """`docker volume ls`."""
    return reply(await call.engine.volumes.list(call.filters()))


@route("POST", "/volumes/create")
async def create(call: Call) -> web.StreamResponse:
    """`docker volume create`."""
    return reply(await call.engine.volumes.create(await call.body(shapes.VOLUME)), 201)


@route("POST", "/volumes/prune")
async def prune(call: Call) -> web.StreamResponse:
    """`docker volume prune`; before API 1.42 it took the named ones too."""
    filters = call.filters()
    if call.version < (1, 42) and "all" not in filters:
        filters["all"] = ["true"]
    return reply(await call.engine.volumes.prune(filters))


@route("GET", "/volumes/{name}")
async def inspect(call: Call) -> web.StreamResponse:
    """`docker volume inspect`."""
    return reply(await call.engine.volumes.inspect(call.path["name"]))


@route("DELETE", "/volumes/{name}")
async def remove(call: Call) -> web.StreamResponse:
    """`docker volume rm`."""
    try:
        await call.engine.volumes.remove(call.path["name"])
    except NotFoundError:
        if not call.flag("force"):
            raise
    return empty()
