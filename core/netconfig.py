"""Configuration-only networks: settings that networks of this host are made from.

libnetwork made them for Swarm, whose networks get what is particular to a host from them. Nothing
of the kernel is made for one, its subnets are taken by nobody, and no container can be on it.
"""

from __future__ import annotations

from ..host.errors import ForbiddenError, NotFoundError
from . import ipam
from .netmodel import Network
from .netstate import NetState
from .types import Json


def check_only(body: Json) -> None:
    """Validate a request for one. Raises ForbiddenError in Docker's words, or InvalidError."""
    if any(body.get(name) for name in ("Ingress", "Internal", "Attachable", "Scope")):
        raise ForbiddenError(
            "configuration network can only contain network specific fields. Network operator "
            "fields like [ ingress | internal | attachable | scope ] are not supported."
        )
    if source(body):
        raise ForbiddenError(
            "a configuration network cannot depend on another configuration network"
        )
    for config in (body.get("IPAM") or {}).get("Config") or []:
        if config.get("Subnet"):
            ipam.make_pool(config)


def source(body: Json) -> str:
    """The configuration that a request is to be made from, "" for none."""
    return str((body.get("ConfigFrom") or {}).get("Network") or "")


def applied(state: NetState, body: Json) -> Json:
    """A request with the settings of its configuration network, if it names one.

    Raises NotFoundError or ForbiddenError in Docker's words.
    """
    name = source(body)
    if not name:
        return body
    request = body.get("IPAM") or {}
    own = request.get("Driver") not in (None, "", "default") or request.get("Options")
    if own or request.get("Config") or body.get("EnableIPv6") or body.get("Labels"):
        raise ForbiddenError(
            "user specified configurations are not supported if the network depends on a "
            "configuration network"
        )
    if body.get("Options"):
        raise ForbiddenError(
            "network driver options are not supported if the network depends on a configuration "
            "network"
        )
    found = next((it for it in state.all() if it.config_only and it.name == name), None)
    if found is None:
        raise NotFoundError(f'configuration network "{name}" does not exist')
    return {
        **body,
        "IPAM": found.ipam,
        "EnableIPv4": found.ipv4,
        "EnableIPv6": found.ipv6,
        "Options": found.options,
        "Labels": found.labels,
    }


def users(state: NetState, network: Network) -> list[Network]:
    """The networks that were made from this one."""
    return [it for it in state.all() if network.config_only and it.config_from == network.name]


def refuse(network: Network) -> None:
    """Raise ForbiddenError for a network that nothing can be on."""
    if network.config_only:
        raise ForbiddenError("cannot create endpoint on configuration-only network")
