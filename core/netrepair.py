"""After a crash: a living container's networks are what its row says, or what was being undone.

`connect` writes the endpoint first and the container's row last, `disconnect` deletes the endpoint
before the row is written: whichever of the two speaks alone of a network was under way, and nobody
has been told that it was done.
"""

from __future__ import annotations

from ..host.threads import offload
from . import etcfiles, netviews
from .netconnect import members, move_ports
from .netjoin import Joining, gateway_of
from .netmodel import PREDEFINED
from .types import Container


async def repair(joining: Joining, container: Container) -> None:
    """Take back a connection, or finish a disconnection, that a crash interrupted.

    Published ports lead to the way out afterwards. Raises OSError or NftError.
    """
    async with joining.lock(container.id):
        changed = await _drop_unnamed(joining, container)
        changed = _forget_missing(joining, container) or changed
        left = members(joining, container)
        way_out = gateway_of(left, container.networks) if left else None
        if way_out is not None:
            await move_ports(joining, container, way_out)
        if changed:
            if way_out is not None:
                end = way_out[1].attachment(way_out[0], gateway=True)
                await joining.kernel.set_gateways(container.id, end)
            await offload(etcfiles.write, container, joining.options)
            await joining.roster.save(container)


async def _drop_unnamed(joining: Joining, container: Container) -> bool:
    """Endpoints that the container's row does not name, or whose link is gone."""
    state, changed = joining.state, False
    for network, endpoint in members(joining, container):
        named = container.networks.get(network.name) or {}
        end = endpoint.attachment(network, gateway=False)
        known = named.get("EndpointID") == endpoint.id
        if known and await joining.kernel.is_plugged(container.id, end):
            continue
        await joining.kernel.unplug(container.id, endpoint)
        await offload(state.journal.drop_endpoint, endpoint.id)
        state.free([endpoint])
        changed = True
    return changed


def _forget_missing(joining: Joining, container: Container) -> bool:
    """Networks the container's row names, without an endpoint; host and none have none ever."""
    present = {network.name for network, _ in members(joining, container)}
    kept = {
        name: settings
        for name, settings in container.networks.items()
        if name in present or name in PREDEFINED[1:] or not settings.get("EndpointID")
    }
    # A container keeps the network of its mode for the next start, as if it had never run there.
    if not kept and container.networks:
        name, settings = next(iter(container.networks.items()))
        kept = {name: netviews.rest(settings)}
    changed = kept != container.networks
    container.networks = kept
    return changed
