"""`/containers/{id}/archive`: `docker cp`."""

from __future__ import annotations

import base64

from aiohttp import web

from ...core.types import Json
from ...host.errors import InvalidError
from ..call import Call
from ..replies import dump, stream_bytes
from ..router import route

STAT = "X-Docker-Container-Path-Stat"


def _path(call: Call) -> str:
    path = call.text("path")
    if not path:
        raise InvalidError("path cannot be empty")
    return path


def _headers(stat: Json) -> dict[str, str]:
    return {STAT: base64.b64encode(dump(stat).strip()).decode()}


@route("HEAD", "/containers/{id}/archive")
async def head(call: Call) -> web.StreamResponse:
    """What is at a path, in a header."""
    stat = await call.engine.containers.stat_path(call.path["id"], _path(call))
    return web.Response(headers=_headers(stat))


@route("GET", "/containers/{id}/archive", streaming=True)
async def read(call: Call) -> web.StreamResponse:
    """What is at a path, as a tar."""
    stat, chunks = await call.engine.containers.get_archive(call.path["id"], _path(call))
    return await stream_bytes(call, chunks, "application/x-tar", _headers(stat))


@route("PUT", "/containers/{id}/archive")
async def write(call: Call) -> web.StreamResponse:
    """Unpack the tar in the body (also compressed) into the folder at a path."""
    await call.engine.containers.put_archive(
        call.path["id"],
        _path(call),
        call.request.content.iter_any(),
        no_overwrite=call.flag("noOverwriteDirNonDir"),
        copy_owner=call.flag("copyUIDGID"),
    )
    return web.Response()
