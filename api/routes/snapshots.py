"""`/bay/...snapshots`: copies of writable layers. See docs/api-bay.md."""

from __future__ import annotations

from aiohttp import web

from ...host.errors import InvalidError
from ..call import Call
from ..replies import empty, reply
from ..router import route
from ..shapes import Shape

_TAKE: Shape = {"Name": "string", "Comment": "string", "Pause": "bool"}
_BRANCH: Shape = {"Name": "string"}


@route("GET", "/bay/snapshots")
async def index(call: Call) -> web.StreamResponse:
    """The snapshots of all containers."""
    return reply(await call.engine.snapshots.all())


@route("GET", "/bay/containers/{id}/snapshots")
async def of_container(call: Call) -> web.StreamResponse:
    """The snapshots of one container."""
    return reply(await call.engine.snapshots.all(call.path["id"]))


@route("POST", "/bay/containers/{id}/snapshots")
async def take(call: Call) -> web.StreamResponse:
    """Take one."""
    body = await call.body(_TAKE)
    pause = body.get("Pause")
    made = await call.engine.snapshots.take(
        call.path["id"],
        body.get("Name") or "",
        body.get("Comment") or "",
        True if pause is None else pause,
    )
    return reply(made, 201)


@route("POST", "/bay/containers/{id}/snapshots/{snapshot}/rollback")
async def rollback(call: Call) -> web.StreamResponse:
    """Go back to one."""
    await call.engine.snapshots.rollback(call.path["id"], call.path["snapshot"])
    return empty()


@route("GET", "/bay/containers/{id}/snapshots/{snapshot}/changes")
async def changes(call: Call) -> web.StreamResponse:
    """What a rollback would lose and bring back."""
    limit = call.integer("limit")
    if limit is not None and limit < 0:
        raise InvalidError(f"invalid limit {limit}: it is the count of changes to list, 0 or more")
    preview = call.engine.snapshots.preview
    return reply(await preview(call.path["id"], call.path["snapshot"], limit))


@route("POST", "/bay/containers/{id}/snapshots/{snapshot}/branch")
async def branch(call: Call) -> web.StreamResponse:
    """Create a container from one."""
    body = await call.body(_BRANCH)
    made, warnings = await call.engine.snapshots.branch(
        call.path["id"], call.path["snapshot"], body.get("Name") or None
    )
    return reply({"Id": made, "Warnings": warnings}, 201)


@route("DELETE", "/bay/containers/{id}/snapshots/{snapshot}")
async def remove(call: Call) -> web.StreamResponse:
    """Remove one."""
    await call.engine.snapshots.remove(call.path["id"], call.path["snapshot"])
    return empty()
