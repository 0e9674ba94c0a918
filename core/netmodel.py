"""Networks and endpoints as the engine keeps them; Docker's JSON of them is in `core.netviews`."""

from __future__ import annotations

import dataclasses
import secrets
from dataclasses import dataclass, field
from ipaddress import ip_address, ip_interface, ip_network
from typing import Any

from ..netns.types import Address, Attachment, Bridge, Interface

PREFIX = "com.docker.network."
ICC = PREFIX + "bridge.enable_icc"
MASQUERADE = PREFIX + "bridge.enable_ip_masquerade"
LINK = PREFIX + "bridge.name"
HOST_BINDING = PREFIX + "bridge.host_binding_ipv4"
MTU = PREFIX + "driver.mtu"
PREDEFINED = ("bridge", "host", "none")
_TRUE = ("1", "t", "true", "")


@dataclass(frozen=True)
class Pool:
    """One subnet of a network, what of it may be given out, and its gateway (the bridge)."""

    subnet: str
    gateway: str
    ip_range: str = ""
    auxiliary: dict[str, str] = field(default_factory=dict)

    @property
    def version(self) -> int:
        """4 or 6."""
        return ip_network(self.subnet).version

    @property
    def prefix_length(self) -> int:
        """Bits of the subnet's prefix."""
        return ip_network(self.subnet).prefixlen

    def interface(self, address: str) -> Interface:
        """`address` with the subnet's prefix length."""
        return ip_interface(f"{address}/{self.prefix_length}")


@dataclass
class Network:
    """A network: `driver` is bridge, host or null. `link` is its bridge, of address `mac`.

    `adopted` says that the bridge was there before the network, and outlives it.
    `user_subnets` that the user chose the subnets, which is when containers may choose addresses.
    """

    id: str
    name: str
    created: int
    driver: str
    link: str = ""
    mac: str = ""
    adopted: bool = False
    internal: bool = False
    attachable: bool = False
    ipv4: bool = True
    ipv6: bool = False
    user_subnets: bool = False
    # Of the host's way out when the network was made: larger packets would be lost there.
    path_mtu: int = 1500
    options: dict[str, str] = field(default_factory=dict)
    labels: dict[str, str] = field(default_factory=dict)
    ipam: dict[str, Any] = field(default_factory=dict)
    pools: list[Pool] = field(default_factory=list)

    @property
    def user_defined(self) -> bool:
        """Whether a user made it: such networks have DNS."""
        return self.name not in PREDEFINED

    @property
    def mtu(self) -> int:
        """Bytes a link of it carries at most."""
        return int(self.options.get(MTU) or self.path_mtu)

    @property
    def icc(self) -> bool:
        """Whether its containers may talk to each other."""
        return self._flag(ICC)

    def pool(self, version: int) -> Pool | None:
        """Its first subnet of that IP version."""
        return next((pool for pool in self.pools if pool.version == version), None)

    def bridge(self) -> Bridge:
        """What `netns` is to make of it."""
        return Bridge(
            name=self.link,
            mac=self.mac,
            addresses=tuple(pool.interface(pool.gateway) for pool in self.pools),
            mtu=self.mtu,
            internal=self.internal,
            icc=self.icc,
            masquerade=self._flag(MASQUERADE),
        )

    def _flag(self, option: str) -> bool:
        return self.options.get(option, "true").lower() in _TRUE


@dataclass
class Endpoint:
    """A running container's place on a network: `link` inside, `host_link` outside."""

    id: str
    network: str
    container: str
    link: str
    host_link: str
    mac: str
    ipv4: str = ""
    ipv6: str = ""

    @property
    def addresses(self) -> list[str]:
        """Those it has, IPv4 first."""
        return [address for address in (self.ipv4, self.ipv6) if address]

    def attachment(self, network: Network, *, gateway: bool) -> Attachment:
        """What `netns` is to make of it; `gateway` says whether it is the container's way out."""
        pools = [pool for pool in network.pools if self._address(pool)]
        gateways: list[Address] = [ip_address(pool.gateway) for pool in pools]
        return Attachment(
            host_link=self.host_link,
            bridge=network.link,
            link=self.link,
            mac=self.mac,
            addresses=tuple(pool.interface(self._address(pool)) for pool in pools),
            gateways=tuple(gateways) if gateway and not network.internal else (),
            mtu=network.mtu,
            icc=network.icc,
        )

    def _address(self, pool: Pool) -> str:
        """Its address in this pool: one pool of each version is used."""
        address = self.ipv4 if pool.version == 4 else self.ipv6
        return address if address and ip_address(address) in ip_network(pool.subnet) else ""


@dataclass(frozen=True)
class PortRow:
    """A published port: of the host, and of the container it leads to."""

    protocol: str
    host: str
    host_port: int
    container: str
    target: str
    target_port: int


def network_from(body: dict[str, Any]) -> Network:
    """A network from its row's JSON; fields of other versions are left out."""
    known = {item.name for item in dataclasses.fields(Network)}
    body = {key: value for key, value in body.items() if key in known}
    body["pools"] = [Pool(**pool) for pool in body.get("pools", [])]
    return Network(**body)


def bridge_mac(key: str) -> str:
    """A fixed MAC for the bridge of the network with that id; never a container's."""
    return "02:62:" + ":".join(key[i : i + 2] for i in range(0, 8, 2))


def new_id() -> str:
    """An id as Docker's networks and endpoints have it."""
    return secrets.token_hex(32)
