"""A new network from Docker's create request: validated, with subnets chosen; nothing is made."""

from __future__ import annotations

import re
import time
from ipaddress import ip_network

from ..host.errors import ConflictError, ForbiddenError, InvalidError, UnsupportedError
from ..netns import links
from ..netns.links import LinkFacts
from ..netns.netlink import Netlink
from . import ipam, netconfig, netdefaults, netparents
from .ipam import AnyNetwork
from .netmodel import (
    FALSE,
    ICC,
    LINK,
    MASQUERADE,
    MODES,
    MTU,
    OVERLAP,
    PARENT,
    PREDEFINED,
    TRUE,
    Network,
    Pool,
    bridge_mac,
    new_id,
)
from .netstate import NetState
from .options import Options
from .types import Json

_LINK_NAME = re.compile(r"[A-Za-z0-9_.-]{1,15}$")


def build(state: NetState, options: Options, body: Json, host: Netlink) -> Network:
    """The network of Docker's `NetworkCreateRequest`. Blocks: `host` is asked for what there is.

    Raises InvalidError, ConflictError, ForbiddenError or UnsupportedError, in Docker's words where
    it has some.
    """
    name = str(body.get("Name") or "").strip()
    # Docker takes all but nothing; a terminal that lists it would obey what is no letter.
    if not name or "/" in name or not name.isprintable():
        raise InvalidError(
            f"invalid network name: {name!r}: a name has no slashes and no control characters"
        )
    if name in (*PREDEFINED, "default"):
        raise ForbiddenError(f"operation is not permitted on predefined {name} network")
    if state.has(name):
        raise ConflictError(f"network with name {name} already exists")
    if body.get("ConfigOnly"):
        return _configuration(name, body)
    body = netconfig.applied(state, body)
    driver = body.get("Driver") or "bridge"
    if driver in ("host", "null"):
        raise ForbiddenError(f'only one instance of "{driver}" network is allowed')
    if driver not in ("bridge", *MODES):
        known = ", ".join(("bridge", *MODES))
        raise UnsupportedError(f"network driver {driver} is not supported: use one of {known}")
    if body.get("Ingress"):
        raise InvalidError("Ingress network can only be global scope network: there is no Swarm")
    if body.get("Scope") not in (None, "", "local"):
        raise InvalidError(f"network scope {body['Scope']} is not supported: there is no Swarm")
    key = new_id()
    given = _texts(body, "Options")
    named = given.get(LINK if driver == "bridge" else PARENT)
    link = named or f"{options.link_prefix}-{key[:7]}"
    found = links.facts(host, link) if _LINK_NAME.match(link) else None
    _check_options(given)
    if driver == "bridge":
        _check_bridge(state, link, key, found)
    else:
        netparents.check(state, driver, given, found, host)
    ipv4, ipv6 = body.get("EnableIPv4", True) is not False, bool(body.get("EnableIPv6"))
    if not ipv4 and not ipv6:
        raise InvalidError("IPv4 or IPv6 must be enabled")
    request: Json = body.get("IPAM") or {}
    if request.get("Driver") not in (None, "", "default"):
        raise UnsupportedError(f"IPAM driver {request['Driver']} is not supported: use default")
    network = Network(
        id=key,
        name=name,
        created=time.time_ns(),
        driver=driver,
        link=link,
        mac=bridge_mac(key),
        adopted=found is not None,
        # Without a link of the host there is nothing to go out by.
        internal=bool(body.get("Internal")) or (driver in MODES and not named),
        attachable=bool(body.get("Attachable")),
        ipv4=ipv4,
        ipv6=ipv6,
        options=given,
        labels=_texts(body, "Labels"),
        ipam={"Driver": "default", "Options": request.get("Options")},
        config_from=netconfig.source(body),
    )
    asked = [
        ipam.make_pool(config) for config in request.get("Config") or [] if config.get("Subnet")
    ]
    network.user_subnets = bool(asked)
    network.pools = _pools(state, network, asked, host, options.tag)
    return network


def _configuration(name: str, body: Json) -> Network:
    """A configuration-only network: as Docker has it, of no driver, whichever was asked for."""
    netconfig.check_only(body)
    request: Json = body.get("IPAM") or {}
    return Network(
        id=new_id(),
        name=name,
        created=time.time_ns(),
        driver="null",
        ipv4=body.get("EnableIPv4", True) is not False,
        ipv6=bool(body.get("EnableIPv6")),
        options=_texts(body, "Options"),
        labels=_texts(body, "Labels"),
        ipam={
            "Driver": request.get("Driver") or "default",
            "Options": request.get("Options"),
            "Config": request.get("Config") or [],
        },
        config_only=True,
    )


def _texts(body: Json, field: str) -> dict[str, str]:
    return {str(k): str(v) for k, v in (body.get(field) or {}).items()}


def _pools(
    state: NetState,
    network: Network,
    asked: list[Pool],
    host: Netlink,
    seed: str,
) -> list[Pool]:
    """At most one pool of each IP version: the bridge has one address of each."""
    pools: list[Pool] = []
    for version, enabled in ((4, network.ipv4), (6, network.ipv6)):
        chosen = [pool for pool in asked if pool.version == version]
        if not enabled:
            continue
        if len(chosen) > 1:
            raise InvalidError(f"bridge driver doesn't support multiple subnets of IPv{version}")
        if chosen:
            if ipam.overlapping(ip_network(chosen[0].subnet), state.subnets()):
                raise ForbiddenError(
                    "invalid pool request: Pool overlaps with other one on this address space"
                )
            if network.options.get(OVERLAP, "").lower() not in ("1", "true"):
                netdefaults.require_free(host, ip_network(chosen[0].subnet), network.link)
            pools.append(chosen[0])
        else:
            subnet: AnyNetwork = ipam.unique_local(network.id)
            if version == 4:
                subnet = ipam.free_subnet([*netdefaults.taken(host), *state.subnets()], seed)
            pools.append(ipam.make_pool({"Subnet": str(subnet)}))
    return pools


def _check_bridge(state: NetState, link: str, key: str, found: LinkFacts | None) -> None:
    if not _LINK_NAME.match(link):
        raise InvalidError(f"invalid bridge name {link!r}: 1 to 15 letters, digits, _ . -")
    for other in state.all():
        if other.link == link:
            raise ForbiddenError(
                f"cannot create network {key} ({link}): conflicts with network {other.id} "
                f"({other.link}): networks have same bridge name"
            )
    if found is not None and found.kind != "bridge":
        raise InvalidError(f"invalid bridge name {link!r}: a link of that name is no bridge")


def _check_options(given: dict[str, str]) -> None:
    for option in (ICC, MASQUERADE):
        if given.get(option, "").lower() not in (*TRUE, *FALSE):
            raise InvalidError(
                f"invalid value for {option}: {given[option]!r} is neither true nor false"
            )
    if given.get(MTU) and not (
        given[MTU].isdecimal() and len(given[MTU]) < 6 and 68 <= int(given[MTU]) <= 65535
    ):
        raise InvalidError(f"invalid MTU {given[MTU]!r}: a number from 68 to 65535")
