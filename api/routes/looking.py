"""`/bay/...`: layers, changes and files, without starting anything. See docs/api-bay.md."""

from __future__ import annotations

from urllib.parse import parse_qs

from aiohttp import web

from ...core import rootfiles
from ...host.errors import InvalidError
from ..call import Call
from ..replies import reply, stream_bytes
from ..router import route


@route("GET", "/bay/images/{name:path}/layers")
async def layers(call: Call) -> web.StreamResponse:
    """What each layer of an image adds, changes, removes and wastes."""
    return reply(await call.engine.layers.layers(call.path["name"]))


@route("GET", "/bay/images/{name:path}/layers/{layer}/tree")
async def tree(call: Call) -> web.StreamResponse:
    """One folder of one layer."""
    return reply(await call.engine.layers.tree(call.path["name"], call.path["layer"], _path(call)))


@route("GET", "/bay/images/{name:path}/archive", streaming=True)
async def image_archive(call: Call) -> web.StreamResponse:
    """All files of an image as a tar."""
    chunks = call.engine.images.files(call.path["name"])
    return await stream_bytes(call, chunks, "application/x-tar")


@route("GET", "/bay/images/{name:path}/files")
async def image_files(call: Call) -> web.StreamResponse:
    """A folder of an image."""
    return reply(await call.engine.layers.files(call.path["name"], _path(call), _limit(call)))


@route("GET", "/bay/images/{name:path}/files/content")
async def image_content(call: Call) -> web.StreamResponse:
    """A part of a file of an image."""
    return _content(await call.engine.layers.content(call.path["name"], _path(call), *_span(call)))


@route("GET", "/bay/containers/{id}/changes")
async def changes(call: Call) -> web.StreamResponse:
    """One folder of a container's writable layer."""
    found = await call.engine.inside.changes(call.path["id"], _path(call), call.flag("deep"))
    return reply(found)


@route("GET", "/bay/containers/{id}/files")
async def container_files(call: Call) -> web.StreamResponse:
    """A folder of a container."""
    return reply(await call.engine.inside.files(call.path["id"], _path(call), _limit(call)))


@route("GET", "/bay/containers/{id}/files/content")
async def container_content(call: Call) -> web.StreamResponse:
    """A part of a file of a container."""
    return _content(await call.engine.inside.content(call.path["id"], _path(call), *_span(call)))


def _path(call: Call) -> str:
    """The path asked for. Bytes that are no UTF-8 stay what they are, in Python's way."""
    raw = call.request.rel_url.raw_query_string
    path = parse_qs(raw, errors="surrogateescape").get("path", ["/"])[0]
    if "\0" in path:
        raise InvalidError("invalid path: it holds a NUL")
    return path


def _limit(call: Call) -> int:
    limit = call.integer("limit")
    if limit is not None and limit < 0:
        raise InvalidError(f"invalid limit {limit}: it is below 0")
    return rootfiles.ENTRIES if limit is None else limit


def _span(call: Call) -> tuple[int, int]:
    limit = call.integer("limit")
    return call.integer("offset") or 0, rootfiles.CONTENT if limit is None else limit


def _content(found: tuple[bytes, int]) -> web.Response:
    data, size = found
    return web.Response(
        body=data,
        content_type="application/octet-stream",
        headers={"Bay-File-Size": str(size), "X-Content-Type-Options": "nosniff"},
    )
