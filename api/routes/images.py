"""`/images/...` and `/distribution/...`."""

from __future__ import annotations

from collections.abc import AsyncIterator

from aiohttp import web

from ...core.registry.manifests import Platform
from ...core.types import Json
from ...host.errors import InvalidError, UnsupportedError
from .. import legacy
from ..call import Call
from ..progress import Report, with_progress
from ..replies import reply, stream_bytes
from ..router import route


@route("GET", "/images/json")
async def index(call: Call) -> web.StreamResponse:
    """`docker images`."""
    filters = call.filters()
    if call.text("filter"):  # API 1.24 and before had this one for the name
        filters.setdefault("reference", []).append(call.text("filter"))
    rows = await call.engine.images.list(
        all=call.flag("all"),
        filters=filters,
        digests=call.flag("digests"),
        shared=call.flag("shared-size"),
        counted=call.version >= (1, 51),
    )
    return reply([legacy.summary(row, call.version) for row in rows])


@route("POST", "/images/create", streaming=True)
async def create(call: Call) -> web.StreamResponse:
    """`docker pull` (fromImage) and `docker import` (fromSrc)."""
    if call.text("fromImage"):
        return await _pull(call)
    if call.text("fromSrc"):
        return await _import(call)
    raise InvalidError("one of fromImage and fromSrc is needed")


async def _pull(call: Call) -> web.StreamResponse:
    reference = with_tag(call.text("fromImage"), call.text("tag"))
    platform, auth = call.text("platform") or None, call.auth()

    async def work(report: Report) -> None:
        await call.engine.images.pull(
            reference,
            platform=platform,
            auth=auth,
            progress=report,
            all_tags=is_repository(reference),
        )

    return await with_progress(call, work)


def with_tag(name: str, tag: str) -> str:
    """`name` with its separate tag or digest put where a reference has it."""
    if not tag:
        return name
    return f"{name}@{tag}" if ":" in tag else f"{name}:{tag}"


def is_repository(reference: str) -> bool:
    """Whether it has neither tag nor digest: the API's way to say all tags."""
    return ":" not in reference.rpartition("/")[2] and "@" not in reference


async def _import(call: Call) -> web.StreamResponse:
    source = call.text("fromSrc")
    if source != "-":
        raise UnsupportedError(
            f"cannot import from {source}: the engine fetches no URL; download it and send it "
            "with fromSrc=-"
        )

    async def work(report: Report) -> str:
        image: str = await call.engine.images.import_(
            body(call),
            call.text("repo"),
            call.text("tag"),
            call.texts("changes"),
            call.text("message"),
            call.text("platform") or None,
        )
        return image

    return await with_progress(call, work, lambda made: {"status": made})


def body(call: Call) -> AsyncIterator[bytes]:
    """The request's body as it arrives."""
    return call.request.content.iter_any()


@route("POST", "/images/prune")
async def prune(call: Call) -> web.StreamResponse:
    """`docker image prune`."""
    return reply(await call.engine.images.prune(call.filters()))


@route("GET", "/images/search")
async def search(call: Call) -> web.StreamResponse:
    """`docker search`: Docker Hub, or the registry that the term begins with."""
    term = call.text("term")
    if not term:
        raise InvalidError("no term was given to search for")
    found = await call.engine.images.search(
        term, limit=call.integer("limit"), filters=call.filters(), auth=call.auth()
    )
    return reply(found)


@route("GET", "/images/get", streaming=True)
async def save_several(call: Call) -> web.StreamResponse:
    """`docker save a b`."""
    names = [part for name in call.texts("names") for part in name.split(",") if part]
    if not names:
        raise InvalidError("no image was named: names is empty")
    return await _save(call, names)


@route("GET", "/images/{name:path}/get", streaming=True)
async def save(call: Call) -> web.StreamResponse:
    """`docker save a`."""
    return await _save(call, [call.path["name"]])


async def _save(call: Call, names: list[str]) -> web.StreamResponse:
    for name in names:
        await call.engine.images.inspect(name)  # a 404 now: later the status has gone
        await _check_platforms(call, name)
    return await stream_bytes(call, call.engine.images.save(names), "application/x-tar")


@route("POST", "/images/load", streaming=True)
async def load(call: Call) -> web.StreamResponse:
    """`docker load`."""
    for platform in call.platforms("platform"):
        host = Platform.host()
        if not host.rank(Platform.parse(platform)):
            raise InvalidError(f"cannot load images of {platform}: this engine runs {host}")

    async def work(report: Report) -> None:
        await call.engine.images.load(body(call), report)

    # Docker's answer is 200 before it has looked: its clients read the error in the stream.
    return await with_progress(call, work, at_once=True)


@route("GET", "/images/{name:path}/json")
async def inspect(call: Call) -> web.StreamResponse:
    """`docker image inspect`."""
    if call.flag("manifests") and call.text("platform"):
        raise InvalidError("conflicting options: manifests and platform options cannot both be set")
    await _check_platforms(call, call.path["name"])
    found = await call.engine.images.inspect(call.path["name"])
    return reply(legacy.image(found, call.version))


@route("GET", "/images/{name:path}/history")
async def history(call: Call) -> web.StreamResponse:
    """`docker history`."""
    await _check_platforms(call, call.path["name"])
    return reply(await call.engine.images.history(call.path["name"]))


async def _check_platforms(call: Call, name: str, parameter: str = "platform") -> None:
    """An image here has one platform: asked for by another, it is not found."""
    for platform in call.platforms(parameter):
        await call.engine.images.check_platform(name, platform)


@route("POST", "/images/{name:path}/tag")
async def tag(call: Call) -> web.StreamResponse:
    """`docker tag`."""
    if not call.text("repo"):
        raise InvalidError("invalid reference format")
    await call.engine.images.tag(call.path["name"], call.text("repo"), call.text("tag"))
    return web.Response(status=201)


@route("POST", "/images/{name:path}/push", streaming=True)
async def push(call: Call) -> web.StreamResponse:
    """`docker push`."""
    reference = with_tag(call.path["name"], call.text("tag"))
    auth = call.auth()
    if not is_repository(reference):
        await _check_platforms(call, reference)

    async def work(report: Report) -> None:
        await call.engine.images.push(
            reference, auth=auth, progress=report, all_tags=is_repository(reference)
        )

    return await with_progress(call, work)


@route("DELETE", "/images/{name:path}")
async def remove(call: Call) -> web.StreamResponse:
    """`docker rmi`."""
    await _check_platforms(call, call.path["name"], "platforms")
    removed: list[Json] = await call.engine.images.remove(
        call.path["name"], force=call.flag("force"), prune=not call.flag("noprune")
    )
    return reply(removed)


@route("GET", "/distribution/{name:path}/json")
async def distribution(call: Call) -> web.StreamResponse:
    """What a registry has under a name, without pulling it."""
    return reply(await call.engine.images.distribution(call.path["name"], auth=call.auth()))
