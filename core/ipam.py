"""Choosing subnets and addresses; pure, the leases themselves are rows of `core.netjournal`.

Default subnets are /24s: Docker's /16s fill the private space after 30 networks, and swallow the
addresses of VPNs.
"""

from __future__ import annotations

import hashlib
from collections.abc import Collection, Iterable
from ipaddress import IPv4Network, IPv6Network, ip_address, ip_network

from ..host.errors import ForbiddenError, InvalidError
from .netmodel import Pool

AnyNetwork = IPv4Network | IPv6Network

# 172.20.0.0 to 172.31.255.255: 3072 networks of 253 containers. Docker's first ones are below.
_FIRST = int(ip_address("172.20.0.0"))
_COUNT = 12 * 256


def free_subnet(taken: Iterable[AnyNetwork], seed: str) -> IPv4Network:
    """A /24 that overlaps none of `taken`: this host's routes, resolvers and other networks.

    `seed` says where the search begins: two engines on one host that choose at the same moment
    must not choose alike. Raises ForbiddenError in Docker's words when there is none.
    """
    used: set[int] = set()
    for network in taken:
        if isinstance(network, IPv4Network):
            first = (int(network.network_address) - _FIRST) // 256
            last = (int(network.broadcast_address) - _FIRST) // 256
            used.update(range(max(first, 0), min(last, _COUNT - 1) + 1))
    start = int.from_bytes(hashlib.sha256(seed.encode()).digest()[:4], "big") if seed else 0
    for step in range(_COUNT):
        number = (start + step) % _COUNT
        if number not in used:
            return IPv4Network((_FIRST + number * 256, 24))
    raise ForbiddenError(
        "could not find an available, non-overlapping IPv4 address pool among the defaults to "
        "assign to the network; remove unused networks or give a subnet"
    )


def unique_local(key: str) -> IPv6Network:
    """A /64 of its own for the network with that id (RFC 4193: fd, then 40 random bits)."""
    digest = hashlib.sha256(key.encode()).digest()
    return IPv6Network((b"\xfd" + digest[:5] + b"\0\0" + bytes(8), 64))


def first_host(subnet: AnyNetwork) -> str:
    """The address a network's gateway has when none is chosen."""
    return str(subnet[1] if subnet.num_addresses > 2 else subnet[0])


def make_pool(config: dict[str, object]) -> Pool:
    """A pool from one entry of Docker's IPAM.Config. Raises InvalidError for what is wrong."""
    subnet = parse_subnet(str(config.get("Subnet") or ""))
    gateway = str(config.get("Gateway") or "")
    ip_range = str(config.get("IPRange") or "")
    auxiliary = config.get("AuxiliaryAddresses") or config.get("AuxAddress") or {}
    if not isinstance(auxiliary, dict):
        raise InvalidError("invalid IPAM config: AuxiliaryAddresses must be an object")
    if ip_range:
        inner = parse_subnet(ip_range)
        if inner.version != subnet.version or not subnet.supernet_of(inner):  # type: ignore[arg-type]  # same version
            raise InvalidError(
                f"invalid ip-range {ip_range}: it is not in subnet {subnet}; choose a part of it"
            )
    gateway = gateway.partition("/")[0] or first_host(
        parse_subnet(ip_range) if ip_range else subnet
    )
    for what, address in [("gateway", gateway), *auxiliary.items()]:
        require_in(subnet, str(address), f"{what} address")
    return Pool(
        subnet=str(subnet),
        gateway=str(ip_address(gateway)),
        ip_range=ip_range,
        auxiliary={str(name): str(address) for name, address in auxiliary.items()},
    )


def parse_subnet(text: str) -> AnyNetwork:
    """The network in CIDR form. Raises InvalidError in Docker's words."""
    try:
        if "/" not in text:
            raise ValueError
        network = ip_network(text, strict=False)
    except ValueError:
        raise InvalidError(
            f"invalid subnet {text}: not a CIDR address, as in 10.1.2.0/24"
        ) from None
    if ip_address(text.partition("/")[0]) != network.network_address:
        raise InvalidError(f"invalid subnet {text}: it should be {network}")
    if network.version == 4 and network.prefixlen > 30:
        raise InvalidError(f"invalid subnet {text}: no room for a gateway and a container")
    return network


def require_in(subnet: AnyNetwork, text: str, what: str) -> None:
    """Raise InvalidError unless `text` is an address in `subnet`."""
    try:
        address = ip_address(text)
    except ValueError:
        raise InvalidError(f"invalid {what} {text}: not an IP address") from None
    if address not in subnet:
        raise InvalidError(f"invalid {what} {text}: it is not in subnet {subnet}")


class Addresses:
    """Who has which address of a pool; the next one given is the one after the last (next-fit).

    A freed address rests as long as possible: peers' ARP entries and DNS answers for it expire.
    """

    def __init__(self, pool: Pool) -> None:
        subnet = ip_network(pool.subnet)
        span = ip_network(pool.ip_range) if pool.ip_range else subnet
        self._subnet = subnet
        self._first = int(span.network_address)
        self._last = int(span.broadcast_address)
        self._reserved = {int(ip_address(pool.gateway)), int(subnet.network_address)}
        self._reserved |= {int(ip_address(address)) for address in pool.auxiliary.values()}
        if subnet.version == 4:
            self._reserved.add(int(subnet.broadcast_address))
        self._used: set[int] = set()
        self._cursor = self._first - 1

    def take(self, wanted: str = "") -> str:
        """An address nobody has, or the one `wanted`.

        Raises ForbiddenError when it is taken or none is left, InvalidError when it is not one.
        """
        if wanted:
            require_in(self._subnet, wanted, "address")
            number = int(ip_address(wanted))
            if number in self._used or number in self._reserved:
                raise ForbiddenError(f"Address already in use: {wanted}; choose another one")
            self._used.add(number)
            return str(ip_address(wanted))
        size = self._last - self._first + 1
        for step in range(1, min(size, len(self._used) + len(self._reserved) + 1) + 1):
            number = self._first + (self._cursor - self._first + step) % size
            if number not in self._used and number not in self._reserved:
                self._cursor = number
                self._used.add(number)
                return str(self._address(number))
        raise ForbiddenError(
            f"no available addresses on this pool: all of {self._subnet} is in use; "
            "disconnect a container or make a network with a larger subnet"
        )

    def mark(self, address: str) -> None:
        """This address is in use: a lease found in the database."""
        self._used.add(int(ip_address(address)))

    def free(self, address: str) -> None:
        """Nobody has this address any more."""
        self._used.discard(int(ip_address(address)))

    def _address(self, number: int) -> object:
        return self._subnet[number - int(self._subnet.network_address)]


def mac_for(address: str) -> str:
    """The MAC of a container with that IPv4 address: neighbours' ARP entries stay true on reuse."""
    return "02:42:" + ":".join(f"{byte:02x}" for byte in ip_address(address).packed[-4:])


def overlapping(subnet: AnyNetwork, others: Collection[AnyNetwork]) -> AnyNetwork | None:
    """The first of `others` that shares an address with `subnet`."""
    return next(
        (other for other in others if other.version == subnet.version and subnet.overlaps(other)),
        None,
    )
