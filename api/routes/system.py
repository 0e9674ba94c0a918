"""`/_ping`, `/version`, `/info`, `/events`, `/auth`, `/system/df`."""

from __future__ import annotations

import os

from aiohttp import web

from ...core.info import layers_size
from ...core.types import Json
from ...host.errors import InvalidError
from .. import legacy, shapes
from ..call import Call
from ..replies import reply, stream_json
from ..router import route

_NO_CACHE = {
    "Cache-Control": "no-cache, no-store, must-revalidate",
    "Pragma": "no-cache",
    # The classic builder, and no swarm: what clients ask of a ping.
    "Builder-Version": "1",
    "Swarm": "inactive",
}


@route("GET", "/_ping")
async def ping(call: Call) -> web.StreamResponse:
    """Say that the engine is there, and which files it sees."""
    own = {"Bay-Mount-Namespace": os.readlink("/proc/self/ns/mnt")}
    return web.Response(text="OK", headers=_NO_CACHE | own)


@route("HEAD", "/_ping")
async def ping_head(call: Call) -> web.StreamResponse:
    """Say that the engine is there, in headers alone."""
    return web.Response(headers={**_NO_CACHE, "Content-Type": "text/plain; charset=utf-8"})


@route("GET", "/version")
async def version(call: Call) -> web.StreamResponse:
    """What this engine is made of."""
    return reply(await call.engine.version())


@route("GET", "/info")
async def info(call: Call) -> web.StreamResponse:
    """What this engine has and can do on this host."""
    return reply(legacy.info(await call.engine.info(), call.version))


@route("GET", "/events", streaming=True)
async def events(call: Call) -> web.StreamResponse:
    """What happens, as it happens."""
    since, until = call.moment("since"), call.moment("until")
    if since is not None and until is not None and since > until:
        raise InvalidError(
            f"`since` time ({call.text('since')}) cannot be after `until` time "
            f"({call.text('until')})"
        )
    happened = call.engine.events.subscribe(since, until, call.filters())
    return await stream_json(call, happened)


@route("POST", "/auth")
async def auth(call: Call) -> web.StreamResponse:
    """Try credentials at a registry."""
    return reply(await call.engine.images.login(await call.body(shapes.AUTH)))


@route("GET", "/system/df")
async def disk_usage(call: Call) -> web.StreamResponse:
    """What takes the disk's space: layers, containers, volumes."""
    known = {"container", "image", "volume", "build-cache"}
    kinds = set(call.texts("type")) or known
    for kind in sorted(kinds - known):
        raise InvalidError(f"unknown object type: {kind}")
    engine = call.engine
    answer: Json = {}
    if "image" in kinds:
        rows = await engine.images.list(
            all=False, filters={}, digests=False, shared=True, counted=True
        )
        answer["Images"] = [legacy.summary(row, call.version) for row in rows]
        answer["LayersSize"] = await layers_size(engine)
        # Bayplan's own; Docker's clients read past it.
        answer["Leftovers"] = await engine.leftovers()
    if "container" in kinds:
        answer["Containers"] = await engine.containers.summaries(
            all=True, limit=None, size=True, filters={}
        )
        # Bayplan's own; Docker's clients read past it.
        answer["Snapshots"] = await engine.snapshots.all()
    if "volume" in kinds:
        answer["Volumes"] = await engine.volumes.usage()
    if "build-cache" in kinds:
        answer["BuildCache"] = await engine.builder.usage()
    return reply(answer)
