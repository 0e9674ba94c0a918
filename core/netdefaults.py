"""The networks that are always there: bridge, host and none."""

from __future__ import annotations

import time
from ipaddress import ip_network

from ..host.errors import ForbiddenError
from ..netns import bridge, links
from ..netns.netlink import Netlink
from . import ipam, resolvers
from .ipam import AnyNetwork
from .netmodel import (
    HOST_BINDING,
    ICC,
    LINK,
    MASQUERADE,
    MTU,
    OVERLAP,
    PREFIX,
    Network,
    bridge_mac,
    new_id,
)
from .netstate import NetState
from .options import Options


def missing(state: NetState, options: Options, host: Netlink) -> list[Network]:
    """Those to be written: all at the first start, later only a default bridge that must move.

    It moves when the host has got a route into its subnet, and only while its link does not exist:
    after a boot, when nothing runs on it yet. Blocks. Raises ForbiddenError when no subnet is free.
    """
    made = [
        Network(new_id(), name, time.time_ns(), driver)
        for name, driver in (("host", "host"), ("none", "null"))
        if not state.has(name)
    ]
    old = state.find("bridge") if state.has("bridge") else None
    if old is not None:
        if host.has(old.link):
            return made
        if not ipam.overlapping(ip_network(old.pools[0].subnet), taken(host)):
            return made
    others = [
        subnet for subnet in state.subnets() if old is None or str(subnet) != old.pools[0].subnet
    ]
    subnet = ipam.free_subnet([*taken(host), *others], options.tag)
    key = old.id if old else new_id()
    made.append(
        Network(
            id=key,
            name="bridge",
            created=old.created if old else time.time_ns(),
            driver="bridge",
            link=options.bridge,
            mac=bridge_mac(key),
            options={
                PREFIX + "bridge.default_bridge": "true",
                ICC: "true",
                MASQUERADE: "true",
                HOST_BINDING: "0.0.0.0",
                LINK: options.bridge,
                MTU: str(path_mtu(host)),
            },
            pools=[ipam.make_pool({"Subnet": str(subnet)})],
        )
    )
    return made


def taken(host: Netlink) -> list[AnyNetwork]:
    """What no network of ours may overlap: this host's routes and its resolvers' addresses."""
    servers = [server.partition("%")[0] for server in resolvers.of_host().servers]
    return [*bridge.routed_networks(host), *(ip_network(server) for server in servers)]


def require_free(host: Netlink, subnet: AnyNetwork, own: str) -> None:
    """Raise ForbiddenError when a route of this host, or a resolver of it, is in the subnet.

    Routes by the link `own` are the network's: of a bridge it adopts, or of its parent.
    """
    way = f"choose another subnet, leave it out to be given a free one, or say -o {OVERLAP}=true"
    for route, link in bridge.routed_networks(host).items():
        if link != own and ipam.overlapping(subnet, [route]):
            by = f" by {link}" if link else ""
            raise ForbiddenError(
                f"subnet {subnet} overlaps the route to {route}{by} of this host: {way}"
            )
    for server in resolvers.of_host().servers:
        if ipam.overlapping(subnet, [ip_network(server.partition("%")[0])]):
            raise ForbiddenError(f"name server {server} of this host is in subnet {subnet}: {way}")


def path_mtu(host: Netlink) -> int:
    """Bytes a packet on this host's default route may have, at most 1500: less in many clouds."""
    found = [1500]
    for link in bridge.default_links(host):
        facts = links.facts(host, link)
        if facts is not None:
            found.append(max(facts.mtu, 1280))
    return min(found)
