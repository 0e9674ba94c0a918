"""`docker network connect` and `disconnect`: of a container that runs, or for its next start."""

from __future__ import annotations

from ..host.errors import BayError, ForbiddenError, NotFoundError
from ..host.threads import offload
from . import etcfiles, netcheck, netconfig, netviews
from .netjoin import Joining, gateway_of
from .netmodel import Endpoint, Network, PortRow
from .types import Container, Json


async def connect(joining: Joining, network: Network, container: Container, given: Json) -> None:
    """Put the container on one more network; `given` is Docker's `EndpointSettings`.

    Raises ForbiddenError or InvalidError in Docker's words; nothing is changed then.
    """
    _check_mode(network, container, joining_it=True)
    netconfig.refuse(network)
    netcheck.check_settings(network, given)
    async with joining.lock(container.id):
        if joining.state.networks.get(network.id) is not network:  # removed meanwhile
            raise NotFoundError(f"network {network.name} not found")
        if network.name in container.networks:
            raise ForbiddenError(
                f"endpoint with name {container.name} already exists in network {network.name}"
            )
        if not _is_joined(joining, container):
            filled = netviews.settings(given, network, None)
            if network.user_defined:
                filled["DNSNames"] = netviews.dns_names(container, given)
            container.networks[network.name] = filled
        else:
            await _plug(joining, network, container, given)
        await _saved(joining, container)


async def disconnect(joining: Joining, network: Network, container: Container) -> None:
    """Take the container off a network. Raises ForbiddenError in Docker's words."""
    _check_mode(network, container, joining_it=False)
    async with joining.lock(container.id):
        if network.name not in container.networks:
            raise ForbiddenError(
                f"container {container.id} is not connected to network {network.name}"
            )
        endpoint = next((e for n, e in members(joining, container) if n is network), None)
        if endpoint is not None:
            await _unplug(joining, network, container, endpoint)
        container.networks = {
            name: item for name, item in container.networks.items() if name != network.name
        }
        if endpoint is not None:
            joining.emit("disconnect", network, container.id)
        await _saved(joining, container)


def members(joining: Joining, container: Container) -> list[tuple[Network, Endpoint]]:
    """The networks a running container is on, with its endpoint on each."""
    return [
        (joining.state.networks[endpoint.network], endpoint)
        for endpoint in joining.state.endpoints.get(container.id, [])
    ]


def _is_joined(joining: Joining, container: Container) -> bool:
    """Whether it has a namespace: also while it is being started."""
    return container.state.running or container.id in joining.state.endpoints


def _check_mode(network: Network, container: Container, *, joining_it: bool) -> None:
    mode = netcheck.mode(container)
    if network.driver == "host":
        raise ForbiddenError(
            "container cannot be disconnected from host network or connected to host network"
        )
    if mode == "host" or mode.startswith("container:"):
        raise ForbiddenError(
            "container sharing network namespace with another container or host cannot be "
            "connected to any other network"
        )
    if joining_it and (network.driver == "null" or mode == "none"):
        raise ForbiddenError(
            "container cannot be connected to multiple networks with one of the networks in "
            "private (none) mode"
        )


async def _plug(joining: Joining, network: Network, container: Container, given: Json) -> None:
    state, kernel = joining.state, joining.kernel
    endpoint = state.take(network, container.id, given, joining.options.link_prefix)
    settings = {**container.networks, network.name: given}
    way_out = gateway_of(members(joining, container), settings)
    end = endpoint.attachment(network, gateway=way_out[1] is endpoint)
    try:
        await offload(state.journal.add, [endpoint], [])
        await kernel.plug(container.id, network.segment(), end)
        container.networks[network.name] = joining.filled(container, network, endpoint, given)
        await move_ports(joining, container, way_out)
    except BaseException as error:
        container.networks.pop(network.name, None)
        await kernel.unplug(container.id, endpoint)
        await offload(state.journal.drop_endpoint, endpoint.id)
        state.free([endpoint])
        if isinstance(error, OSError):
            raise BayError(
                f"failed to connect container {container.name} to network {network.name}: {error}"
            ) from error
        raise
    joining.emit("connect", network, container.id)


async def _unplug(
    joining: Joining, network: Network, container: Container, endpoint: Endpoint
) -> None:
    state, kernel = joining.state, joining.kernel
    others = [member for member in members(joining, container) if member[1] is not endpoint]
    way_out = gateway_of(others, container.networks) if others else None
    await move_ports(joining, container, way_out)
    await kernel.unplug(container.id, endpoint)
    await offload(state.journal.drop_endpoint, endpoint.id)
    state.free([endpoint])
    if way_out is not None:
        end = way_out[1].attachment(way_out[0], gateway=True)
        await kernel.set_gateways(container.id, end)


async def move_ports(
    joining: Joining, container: Container, way_out: tuple[Network, Endpoint] | None
) -> None:
    """Have the published ports lead to the endpoint that is the way out now.

    Answers leave by the default route; through another bridge they would be dropped there.
    """
    state = joining.state
    old = state.ports.get(container.id, [])
    new: list[PortRow] = []
    if way_out is not None and not way_out[0].internal:
        if not old:
            new = await joining.claim(container, way_out)
        else:
            new = [joining.aimed(row, way_out[1]) for row in old]
    if new == old:
        return
    joining.proxies.stop(container.id)
    await offload(state.journal.replace_ports, container.id, new)
    state.ports[container.id] = new
    await joining.kernel.republish(old, new)
    if not new:
        del state.ports[container.id]
        joining.claims.release(container.id)
    joining.proxies.start(joining.claims.of(container.id), new)


async def _saved(joining: Joining, container: Container) -> None:
    """Write the container's row, and its hosts and resolv.conf while it runs."""
    if _is_joined(joining, container):
        await joining.dns.ensure(container)
        await offload(etcfiles.write, container, joining.options)
    await joining.roster.save(container)
