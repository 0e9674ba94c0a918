"""`/bay/...`: what Docker's API lacks and Bayplan's own front ends use."""

from __future__ import annotations

import os

from aiohttp import web

from ...host import clock
from ..call import Call
from ..replies import empty, reply, stream_json
from ..router import route

DEFAULT_SECONDS = 300


@route("GET", "/bay/engine")
async def engine(call: Call) -> web.StreamResponse:
    """Which process this is and where its things are."""
    options = call.engine.options
    return reply(
        {
            "pid": os.getpid(),
            "version": call.server.version,
            "root": str(options.root),
            "run_root": str(options.run_root),
            "started": clock.from_ns(call.engine.started),
            "runtime": call.engine.runtime.name,
            # A client in the same mount namespace sees the same files as the engine.
            "mount_namespace": os.readlink("/proc/self/ns/mnt"),
            "addresses": call.server.addresses,
        }
    )


@route("POST", "/bay/engine/stop")
async def stop(call: Call) -> web.StreamResponse:
    """End the engine; its containers run on."""
    call.server.stopping.set()
    return empty()


@route("POST", "/bay/engine/purge")
async def purge(call: Call) -> web.StreamResponse:
    """Remove every container, network, image and volume, and end the engine."""
    await call.engine.purge()
    call.server.purging = True
    call.server.stopping.set()
    return empty()


@route("GET", "/bay/networks")
async def networks(call: Call) -> web.StreamResponse:
    """Every network: its members, their addresses, ports, counters and rates."""
    return reply(await call.engine.networks.live.read())


@route("GET", "/bay/networks/stream", streaming=True)
async def network_stream(call: Call) -> web.StreamResponse:
    """The same, a line a second."""
    return await stream_json(call, call.engine.networks.live.stream())


@route("GET", "/bay/system/check", streaming=True)
async def check(call: Call) -> web.StreamResponse:
    """Read back every blob and layer, and change nothing."""
    return await stream_json(call, call.engine.check(repair=False))


@route("POST", "/bay/system/check", streaming=True)
async def repair(call: Call) -> web.StreamResponse:
    """The same; with `Repair` damaged layers are pulled again."""
    body = await call.body({"Repair": "bool"})
    return await stream_json(call, call.engine.check(repair=bool(body.get("Repair"))))


@route("GET", "/bay/prune")
async def prune(call: Call) -> web.StreamResponse:
    """What a prune would remove now."""
    kinds = [kind for text in call.texts("kinds") for kind in text.split(",") if kind]
    return reply(await call.engine.prunable(kinds, call.flag("all"), call.filters()))


@route("POST", "/bay/leftovers/prune")
async def sweep(call: Call) -> web.StreamResponse:
    """Remove layers of no image and downloads that were cut short."""
    return reply({"SpaceReclaimed": await call.engine.images.sweep()})


@route("GET", "/bay/samples")
async def samples(call: Call) -> web.StreamResponse:
    """The figures of every container, or of one, in the last seconds: each second, or each ten."""
    seconds, interval = call.integer("seconds"), call.integer("interval")
    name = call.text("container")
    identity = call.engine.containers.get(name).id if name else ""
    wanted = DEFAULT_SECONDS if seconds is None else seconds
    return reply(await call.engine.stats.history(wanted, interval or 0, identity))


@route("GET", "/bay/samples/stream", streaming=True)
async def sample_stream(call: Call) -> web.StreamResponse:
    """Every container's figures, a line a second."""
    return await stream_json(call, call.engine.stats.stream())
