"""What Docker's API has and this engine does not: swarm, plugins."""

from __future__ import annotations

from aiohttp import web

from ...host.errors import BayError, UnsupportedError
from ..call import Call
from ..replies import reply
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


def _register(noun: str, handler: Handler) -> None:
    for method in _METHODS:
        route(method, f"/{noun}")(handler)
        route(method, f"/{noun}/{{rest:path}}")(handler)


async def _no_checkpoint(call: Call) -> web.StreamResponse:
    raise UnsupportedError(
        "This experimental feature is disabled by default: this engine makes no checkpoints."
    )


@route("GET", "/plugins")
async def plugins(call: Call) -> web.StreamResponse:
    """No plugin is installed."""
    return reply([])


route("GET", "/containers/{id}/checkpoints")(_no_checkpoint)
route("POST", "/containers/{id}/checkpoints")(_no_checkpoint)
route("DELETE", "/containers/{id}/checkpoints/{name}")(_no_checkpoint)
for _noun in ("swarm", "nodes", "services", "tasks", "secrets", "configs"):
    _register(_noun, _no_swarm)
_register("plugins", _no_plugin)
