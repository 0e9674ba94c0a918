"""`/networks/...`."""

from __future__ import annotations

from aiohttp import web

from ...host.errors import InvalidError
from .. import shapes
from ..call import Call
from ..replies import empty, reply
from ..router import route


@route("GET", "/networks")
async def index(call: Call) -> web.StreamResponse:
    """`docker network ls`."""
    return reply(await call.engine.networks.list(call.filters()))


@route("POST", "/networks/create")
async def create(call: Call) -> web.StreamResponse:
    """`docker network create`."""
    return reply(await call.engine.networks.create(await call.body(shapes.NETWORK)), 201)


@route("POST", "/networks/prune")
async def prune(call: Call) -> web.StreamResponse:
    """`docker network prune`."""
    return reply(await call.engine.networks.prune(call.filters()))


@route("GET", "/networks/{id}")
async def inspect(call: Call) -> web.StreamResponse:
    """`docker network inspect`; `verbose` tells more of a swarm's networks only."""
    call.boolean("verbose")
    return reply(await call.engine.networks.inspect(call.path["id"], call.text("scope")))


@route("DELETE", "/networks/{id}")
async def remove(call: Call) -> web.StreamResponse:
    """`docker network rm`."""
    await call.engine.networks.remove(call.path["id"])
    return empty()


@route("POST", "/networks/{id}/connect")
async def connect(call: Call) -> web.StreamResponse:
    """`docker network connect`."""
    body = await call.body(shapes.CONNECT)
    container = call.engine.containers.get(_container(body.get("Container")))
    await call.engine.networks.connect(call.path["id"], container, body.get("EndpointConfig") or {})
    return web.Response()


@route("POST", "/networks/{id}/disconnect")
async def disconnect(call: Call) -> web.StreamResponse:
    """`docker network disconnect`."""
    body = await call.body(shapes.DISCONNECT)
    container = call.engine.containers.get(_container(body.get("Container")))
    await call.engine.networks.disconnect(call.path["id"], container, bool(body.get("Force")))
    return web.Response()


def _container(name: object) -> str:
    if not isinstance(name, str) or not name:
        raise InvalidError("Container is missing: which container is meant?")
    return name
