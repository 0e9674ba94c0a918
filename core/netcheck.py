"""What a new container asks of the network: validated, and noted in it; nothing is made."""

from __future__ import annotations

import re
from ipaddress import ip_address

from ..host.errors import InvalidError
from . import etcfiles, netviews, portspecs
from .netmodel import IFNAME, SYSCTLS, Network, endpoint_sysctls
from .netstate import NetState
from .types import Container, Json

_LINK = re.compile(r"[A-Za-z0-9_.-]{1,15}$")
_MAC = re.compile(r"([0-9a-fA-F]{2}[:-]){5}[0-9a-fA-F]{2}$")


def mode(container: Container) -> str:
    """The container's network mode; the default bridge is "bridge"."""
    value: str = container.host_config.get("NetworkMode") or "default"
    return "bridge" if value == "default" else value


def check(state: NetState, container: Container, given: Json) -> list[str]:
    """Validate modes, ports, addresses and names; fill `container.networks`; return warnings.

    `given` is Docker's `EndpointsConfig`. Raises InvalidError or NotFoundError in Docker's words.
    """
    chosen = mode(container)
    published = portspecs.wanted(container.config, container.host_config)
    portspecs.exposed(container.config)
    _check_files(container)
    if chosen.startswith("container:"):
        _check_shared(container, bool(published))
        return []
    if chosen in ("host", "none") and any(name not in (chosen, "default") for name in given):
        raise InvalidError(
            f"conflicting options: cannot attach both to {chosen} and to other networks"
        )
    wanted = {_own_name(state, name): dict(settings or {}) for name, settings in given.items()}
    first = state.find(chosen)
    if not wanted or first.user_defined:
        # The mode's network comes first: it is eth0.
        wanted = {first.name: wanted.get(first.name) or {}, **wanted}
    legacy = container.config.get("MacAddress")
    if legacy and first.name in wanted:
        wanted[first.name].setdefault("MacAddress", legacy)
    for name, settings in wanted.items():
        if not state.find(name).config_only:  # refused at the start, as Docker does
            check_settings(state.find(name), settings)
    container.networks = {}
    for name, settings in wanted.items():
        on = state.find(name)
        filled = netviews.settings(settings, on, None)
        if on.user_defined:
            filled["DNSNames"] = netviews.dns_names(container, settings)
        container.networks[name] = filled
    if published and chosen == "host":
        return ["Published ports are discarded when using host network mode"]
    return []


def check_settings(on: Network, settings: Json) -> None:
    """Validate one `EndpointSettings` against its network. Raises InvalidError."""
    ipam = settings.get("IPAMConfig") or {}
    mac = settings.get("MacAddress")
    _check_driver_options(settings.get("DriverOpts") or {})
    for address in ipam.get("LinkLocalIPs") or []:
        if not _is_link_local(str(address)):
            raise InvalidError(
                f"invalid link-local IP address {address}: one of 169.254.0.0/16 or fe80::/10"
            )
    if mac and not _MAC.match(mac):
        raise InvalidError(f"invalid MAC address: {mac}: six pairs of digits, as 02:42:ac:11:00:02")
    if settings.get("Aliases") and not on.user_defined and on.name != "bridge":
        raise InvalidError(
            "network-scoped alias is supported only for containers in user defined networks"
        )
    for field, version in (("IPv4Address", 4), ("IPv6Address", 6)):
        address = ipam.get(field)
        if not address:
            continue
        prefix = f"invalid config for network {on.name}: invalid endpoint settings:\n"
        if not on.user_defined:
            raise InvalidError(
                prefix + "user specified IP address is supported on user defined networks only"
            )
        pool = on.pool(version)
        if not on.user_subnets or pool is None:
            raise InvalidError(
                prefix + "user specified IP address is supported only when connecting to networks "
                "with user configured subnets"
            )
        try:
            pool.interface(str(ip_address(address)))
        except ValueError:
            raise InvalidError(prefix + f"invalid {field}: {address}") from None


def _check_driver_options(options: Json) -> None:
    name = str(options.get(IFNAME) or "")
    if name and (not _LINK.match(name) or name in ("lo", "all", "default")):
        raise InvalidError(f"invalid interface name {name!r}: 1 to 15 letters, digits, _ . -")
    endpoint_sysctls(str(options.get(SYSCTLS) or ""))


def _is_link_local(text: str) -> bool:
    try:
        return ip_address(text).is_link_local
    except ValueError:
        return False


def _own_name(state: NetState, ref: str) -> str:
    return "bridge" if ref == "default" else state.find(ref).name


def _check_shared(container: Container, published: bool) -> None:
    """What makes no sense with the network of another container: it decides all of it."""
    config, host = container.config, container.host_config
    for given, what in (
        (host.get("Links"), "links"),
        (host.get("Dns"), "dns"),
        (host.get("ExtraHosts"), "custom host-to-IP mapping"),
        (config.get("MacAddress"), "mac-address"),
        (published, "port publishing"),
        (config.get("ExposedPorts") and published, "port exposing"),
    ):
        if given:
            raise InvalidError(f"conflicting options: {what} and the container type network mode")


def _check_files(container: Container) -> None:
    host = container.host_config
    for server in host.get("Dns") or []:
        try:
            ip_address(server)
        except ValueError:
            raise InvalidError(f"invalid IP address in dns: {server}") from None
    for extra in host.get("ExtraHosts") or []:
        name, address = etcfiles.split_extra_host(extra)
        try:
            if not name or address != "host-gateway":
                ip_address(address)
        except ValueError:
            raise InvalidError(f"bad format for add-host: {extra!r}") from None
