"""What Docker's API has and this engine does not: swarm, plugins, builds. Said, not hidden."""

from __future__ import annotations

from aiohttp import web

from ...host.errors import BayError, UnsupportedError
from ..call import Call
from ..replies import empty, reply
from ..router import Handler, route

_METHODS = ("GET", "POST", "DELETE")


class _NoSwarmError(BayError):
    """Docker's answer of a host that is in no swarm."""

    status = 503


async def _no_swarm(call: Call) -> web.StreamResponse:
    raise _NoSwarmError(
        "This node is not a swarm manager. Bayplan runs containers on one host and has no swarm."
    )


async def _no_plugin(call: Call) -> web.StreamResponse:
    raise UnsupportedError("plugins are not supported: this engine's drivers are built in")


async def _no_build(call: Call) -> web.StreamResponse:
    raise UnsupportedError(
        "build is not supported by this engine yet; build elsewhere and pull or load the image"
    )


def _register(noun: str, handler: Handler) -> None:
    for method in _METHODS:
        route(method, f"/{noun}")(handler)
        route(method, f"/{noun}/{{rest:path}}")(handler)


@route("GET", "/plugins")
async def plugins(call: Call) -> web.StreamResponse:
    """No plugin is installed."""
    return reply([])


@route("POST", "/build/prune")
async def prune_builds(call: Call) -> web.StreamResponse:
    """No build has left anything."""
    return reply({"CachesDeleted": None, "SpaceReclaimed": 0})


@route("POST", "/build/cancel")
async def cancel_build(call: Call) -> web.StreamResponse:
    """No build is under way."""
    return empty()


for _noun in ("swarm", "nodes", "services", "tasks", "secrets", "configs"):
    _register(_noun, _no_swarm)
_register("plugins", _no_plugin)
_register("build", _no_build)
_register("session", _no_build)
