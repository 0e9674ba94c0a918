"""Networks and endpoints as Docker's JSON."""

from __future__ import annotations

from ..host import clock
from .ipam import mac_for
from .netmodel import Endpoint, Network, PortRow
from .types import Container, Json


def network(item: Network, containers: Json | None = None) -> Json:
    """Docker's `Network`, as inspect and list have it."""
    config = [
        {
            "Subnet": pool.subnet,
            **({"IPRange": pool.ip_range} if pool.ip_range else {}),
            "Gateway": pool.gateway,
            **({"AuxiliaryAddresses": pool.auxiliary} if pool.auxiliary else {}),
        }
        for pool in item.pools
    ]
    if item.config_only:
        config = item.ipam["Config"]
    return {
        "Name": item.name,
        "Id": item.id,
        "Created": clock.from_ns(item.created),
        "Scope": "local",
        "Driver": item.driver,
        "EnableIPv4": item.ipv4,
        "EnableIPv6": item.ipv6,
        "IPAM": {
            "Driver": item.ipam.get("Driver") or "default",
            "Options": item.ipam.get("Options"),
            "Config": config or ([] if item.user_defined or item.driver == "bridge" else None),
        },
        "Internal": item.internal,
        "Attachable": item.attachable,
        "Ingress": False,
        "ConfigFrom": {"Network": item.config_from},
        "ConfigOnly": item.config_only,
        "Containers": containers or {},
        "Options": item.options,
        "Labels": item.labels,
    }


def member(endpoint: Endpoint, on: Network, name: str) -> Json:
    """One of the `Containers` of an inspected network."""
    return {
        "Name": name,
        "EndpointID": endpoint.id,
        "MacAddress": endpoint.mac,
        "IPv4Address": _with_prefix(endpoint.ipv4, on, 4),
        "IPv6Address": _with_prefix(endpoint.ipv6, on, 6),
    }


def guest(container: Container, filled: Json) -> Json:
    """One of the `Containers` of the networks host and none, where nobody has an address."""
    return {
        "Name": container.name,
        "EndpointID": filled.get("EndpointID", ""),
        "MacAddress": "",
        "IPv4Address": "",
        "IPv6Address": "",
    }


def settings(given: Json | None, on: Network | None, endpoint: Endpoint | None) -> Json:
    """Docker's `EndpointSettings`: what the user `given`, and what it has while it runs."""
    given = given or {}
    four = on.pool(4) if on and endpoint and endpoint.ipv4 else None
    six = on.pool(6) if on and endpoint and endpoint.ipv6 else None
    outward = on is not None and not on.internal
    return {
        "IPAMConfig": given.get("IPAMConfig"),
        "Links": given.get("Links"),
        "Aliases": given.get("Aliases"),
        "MacAddress": endpoint.mac if endpoint else (given.get("MacAddress") or ""),
        "DriverOpts": given.get("DriverOpts"),
        "GwPriority": given.get("GwPriority") or 0,
        "NetworkID": on.id if on else "",
        "EndpointID": endpoint.id if endpoint else "",
        "Gateway": four.gateway if four and outward else "",
        "IPAddress": endpoint.ipv4 if endpoint else "",
        "IPPrefixLen": four.prefix_length if four else 0,
        "IPv6Gateway": six.gateway if six and outward else "",
        "GlobalIPv6Address": endpoint.ipv6 if endpoint else "",
        "GlobalIPv6PrefixLen": six.prefix_length if six else 0,
        "DNSNames": given.get("DNSNames"),
    }


def rest(filled: Json) -> Json:
    """The same settings of a container that does not run: what the user gave is kept."""
    kept = settings(filled, None, None)
    kept["NetworkID"] = filled.get("NetworkID", "")
    address = filled.get("IPAddress") or filled.get("GlobalIPv6Address")
    if address and filled.get("MacAddress") == mac_for(address):
        # Made from the address, it goes with it; one that was asked for stays.
        kept["MacAddress"] = ""
    return kept


def dns_names(container: Container, given: Json) -> list[str]:
    """The names a container answers to on a user network: name, aliases, short id, hostname."""
    names = [container.name, *(given.get("Aliases") or []), container.id[:12]]
    hostname = container.config.get("Hostname")
    if hostname:
        names.append(str(hostname))
    return list(dict.fromkeys(names))


def ports(keys: list[str], rows: list[PortRow]) -> Json:
    """Docker's `NetworkSettings.Ports`: null for a port that is exposed and not published."""
    result: Json = dict.fromkeys(keys)
    for row in rows:
        binding = {"HostIp": row.host, "HostPort": str(row.host_port)}
        key = f"{row.target_port}/{row.protocol}"
        result[key] = [*(result.get(key) or []), binding]
    return result


def event(network: Network, container: str = "") -> dict[str, str]:
    """The attributes of a network's event."""
    result = {"name": network.name, "type": network.driver}
    return {"container": container, **result} if container else result


def _with_prefix(address: str, on: Network, version: int) -> str:
    pool = on.pool(version)
    return f"{address}/{pool.prefix_length}" if address and pool else ""
