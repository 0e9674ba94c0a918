"""`/containers/...`: listing, making, and every verb that answers at once."""

from __future__ import annotations

from aiohttp import web

from ...core.types import Json
from ...host.errors import InvalidError, NotFoundError
from .. import legacy, shapes
from ..call import Call
from ..replies import Stream, empty, reply
from ..router import route


@route("GET", "/containers/json")
async def index(call: Call) -> web.StreamResponse:
    """`docker ps`."""
    rows = await call.engine.containers.summaries(
        all=call.flag("all"),
        limit=call.integer("limit") or 0,
        size=call.flag("size"),
        filters=call.filters(),
    )
    return reply(rows)


@route("POST", "/containers/create")
async def create(call: Call) -> web.StreamResponse:
    """`docker create`: the body is Docker's Config with HostConfig and NetworkingConfig in it."""
    config = await call.body(shapes.CREATE)
    if not config:
        raise InvalidError("config cannot be empty in order to create a container")
    host_config: Json = config.pop("HostConfig", None) or {}
    networking: Json = config.pop("NetworkingConfig", None) or {}
    made, warnings = await call.engine.containers.create(
        call.text("name") or None,
        config,
        host_config,
        networking,
        call.text("platform") or None,
    )
    return reply({"Id": made, "Warnings": warnings}, 201)


@route("POST", "/containers/prune")
async def prune(call: Call) -> web.StreamResponse:
    """`docker container prune`."""
    return reply(await call.engine.containers.prune(call.filters()))


@route("GET", "/containers/{id}/json")
@route("GET", "/containers/{id}/{alias}/json")
async def inspect(call: Call) -> web.StreamResponse:
    """`docker inspect`, also of PARENT/ALIAS, the name that a link gives."""
    name = "/".join(call.path[key] for key in ("id", "alias") if key in call.path)
    found = await call.engine.containers.inspect(name, call.flag("size"))
    return reply(legacy.container(found, call.version))


@route("GET", "/containers/{id}/top")
async def top(call: Call) -> web.StreamResponse:
    """`docker top`."""
    return reply(await call.engine.containers.top(call.path["id"], call.text("ps_args") or "-ef"))


@route("GET", "/containers/{id}/changes")
async def changes(call: Call) -> web.StreamResponse:
    """`docker diff`."""
    return reply(await call.engine.containers.changes(call.path["id"]) or None)


@route("POST", "/containers/{id}/start")
async def start(call: Call) -> web.StreamResponse:
    """`docker start`."""
    await call.engine.containers.start(call.path["id"])
    return empty()


@route("POST", "/containers/{id}/stop")
async def stop(call: Call) -> web.StreamResponse:
    """`docker stop`; `t` is seconds, -1 for ever."""
    await call.engine.containers.stop(
        call.path["id"], call.integer("t"), call.text("signal") or None
    )
    return empty()


@route("POST", "/containers/{id}/restart")
async def restart(call: Call) -> web.StreamResponse:
    """`docker restart`."""
    await call.engine.containers.restart(
        call.path["id"], call.integer("t"), call.text("signal") or None
    )
    return empty()


@route("POST", "/containers/{id}/kill")
async def kill(call: Call) -> web.StreamResponse:
    """`docker kill`."""
    await call.engine.containers.kill(call.path["id"], call.text("signal") or "SIGKILL")
    return empty()


@route("POST", "/containers/{id}/pause")
async def pause(call: Call) -> web.StreamResponse:
    """`docker pause`."""
    await call.engine.containers.pause(call.path["id"])
    return empty()


@route("POST", "/containers/{id}/unpause")
async def unpause(call: Call) -> web.StreamResponse:
    """`docker unpause`."""
    await call.engine.containers.unpause(call.path["id"])
    return empty()


@route("POST", "/containers/{id}/rename")
async def rename(call: Call) -> web.StreamResponse:
    """`docker rename`."""
    name = call.text("name")
    if not name.strip("/"):
        raise InvalidError("Neither old nor new names may be empty")
    await call.engine.containers.rename(call.path["id"], name)
    return empty()


@route("POST", "/containers/{id}/update")
async def update(call: Call) -> web.StreamResponse:
    """`docker update`."""
    return reply(
        await call.engine.containers.update(call.path["id"], await call.body(shapes.UPDATE))
    )


@route("POST", "/containers/{id}/resize")
async def resize(call: Call) -> web.StreamResponse:
    """Tell a container's terminal its size."""
    rows, columns = size(call)
    await call.engine.containers.resize(call.path["id"], rows, columns)
    return web.Response()


def size(call: Call) -> tuple[int, int]:
    """The `h` and `w` of a resize. Raises InvalidError."""
    rows, columns = call.integer("h"), call.integer("w")
    if rows is None or columns is None:
        raise InvalidError("a resize needs h and w, the terminal's rows and columns")
    return rows, columns


@route("POST", "/containers/{id}/wait", streaming=True)
async def wait(call: Call) -> web.StreamResponse:
    """`docker wait`.

    The headers go out as soon as the wait stands: `docker run` starts the container only then, and
    would otherwise miss the end of a short one.
    """
    condition = call.text("condition") or "not-running"
    ending = call.engine.containers.wait(call.path["id"], condition)
    async with Stream(call, "application/json") as stream:
        # Why a start failed is told to who started it: Docker's `Error` here is of the wait itself.
        code, _ = await ending
        await stream.send({"StatusCode": code})
    return stream.response


@route("DELETE", "/containers/{id}")
async def remove(call: Call) -> web.StreamResponse:
    """`docker rm`."""
    if call.flag("link"):
        raise InvalidError(f"Bad parameters: a link is named CONTAINER/ALIAS: {call.path['id']}")
    await call.engine.containers.remove(
        call.path["id"], force=call.flag("force"), volumes=call.flag("v")
    )
    return empty()


@route("DELETE", "/containers/{id}/{alias}")
async def remove_link(call: Call) -> web.StreamResponse:
    """`docker rm --link CONTAINER/ALIAS`."""
    if not call.flag("link"):
        raise NotFoundError(f"No such container: {call.path['id']}/{call.path['alias']}")
    await call.engine.containers.remove_link(call.path["id"], call.path["alias"])
    return empty()


@route("POST", "/commit")
async def commit(call: Call) -> web.StreamResponse:
    """`docker commit`."""
    container = call.text("container")
    image = await call.engine.containers.commit(
        container,
        repo=call.text("repo"),
        tag=call.text("tag"),
        author=call.text("author"),
        message=call.text("comment"),
        changes=call.texts("changes"),
        config=await call.body(shapes.CONFIG) or None,
        pause=call.flag("pause", default=True),
    )
    return reply({"Id": image}, 201)


@route("POST", "/containers/{id}/exec")
async def create_exec(call: Call) -> web.StreamResponse:
    """The first half of `docker exec`; `execs.py` has the second."""
    body = await call.body(shapes.EXEC)
    if not body.get("Cmd"):
        raise InvalidError("No exec command specified")
    container = call.engine.containers.get(call.path["id"])
    made = await call.engine.execs.create(container, body)
    return reply({"Id": made}, 201)
