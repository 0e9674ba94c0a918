"""Networks and endpoints as the engine keeps them; Docker's JSON of them is in `core.netviews`."""

from __future__ import annotations

import dataclasses
import re
import secrets
from dataclasses import dataclass, field
from ipaddress import ip_address, ip_interface, ip_network
from typing import Any

from ..host.errors import InvalidError
from ..netns.types import Address, Attachment, Bridge, Interface, Parent

PREFIX = "com.docker.network."
ICC = PREFIX + "bridge.enable_icc"
MASQUERADE = PREFIX + "bridge.enable_ip_masquerade"
LINK = PREFIX + "bridge.name"
HOST_BINDING = PREFIX + "bridge.host_binding_ipv4"
MTU = PREFIX + "driver.mtu"
IFNAME = PREFIX + "endpoint.ifname"
SYSCTLS = PREFIX + "endpoint.sysctls"
# Options of macvlan and ipvlan networks: the link of the host, and the mode (the default first).
PARENT = "parent"
MODES = {
    "macvlan": ("bridge", "private", "vepa", "passthru"),
    "ipvlan": ("l2", "l3", "l3s"),
}
# Has a network take a subnet that a route of the host leads elsewhere.
OVERLAP = "bay.network.overlap"
PREDEFINED = ("bridge", "host", "none")
_SYSCTL = re.compile(r"net\.(ipv4|ipv6|mpls)\.(conf|neigh)\.IFNAME\.[a-z0-9_]+$")
# What Go takes for one and the other; an option without a value is on.
TRUE = ("1", "t", "true", "")
FALSE = ("0", "f", "false")


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
    """A network: `driver` is bridge, macvlan, ipvlan, host or null.

    `link` is its bridge, of address `mac`, or the parent of its containers' links. `adopted` says
    that the link was there before the network, and outlives it.
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
    # It only holds settings (core.netconfig), in `ipam` as asked for; or where it has them from.
    config_only: bool = False
    config_from: str = ""
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

    @property
    def mode(self) -> str:
        """The mode of its links, of macvlan and ipvlan."""
        return self.options.get(f"{self.driver}_mode") or MODES[self.driver][0]

    def segment(self) -> Bridge | Parent:
        """What `netns` is to make of it."""
        if self.driver in MODES:
            return Parent(self.link, self.driver, self.mode, made=not self.adopted)
        return self.bridge()

    def bridge(self) -> Bridge:
        """Its bridge; of the driver of that name only."""
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
        return self.options.get(option, "true").lower() in TRUE


@dataclass
class Endpoint:
    """A running container's place on a network: `link` inside, `host_link` outside, if any."""

    id: str
    network: str
    container: str
    link: str
    host_link: str
    mac: str
    ipv4: str = ""
    ipv6: str = ""
    # Addresses that are valid on the link only; nobody keeps account of them.
    link_local: list[str] = field(default_factory=list)
    sysctls: dict[str, str] = field(default_factory=dict)

    @property
    def addresses(self) -> list[str]:
        """Those it has, IPv4 first."""
        return [address for address in (self.ipv4, self.ipv6) if address]

    def attachment(self, network: Network, *, gateway: bool) -> Attachment:
        """What `netns` is to make of it; `gateway` says whether it is the container's way out."""
        pools = [pool for pool in network.pools if self._address(pool)]
        gateways: list[Address] = [ip_address(pool.gateway) for pool in pools]
        direct = network.driver == "ipvlan" and network.mode != "l2"
        way_out = gateway and not network.internal
        own = [pool.interface(self._address(pool)) for pool in pools]
        local = [ip_interface(f"{it}/{64 if ':' in it else 16}") for it in self.link_local]
        return Attachment(
            host_link=self.host_link,
            bridge=network.link,
            link=self.link,
            mac=self.mac,
            addresses=(*own, *local),
            gateways=tuple(gateways) if way_out and not direct else (),
            mtu=network.mtu if network.driver == "bridge" else int(network.options.get(MTU) or 0),
            icc=network.icc,
            direct=way_out and direct,
            sysctls=self.sysctls,
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


def endpoint_sysctls(text: str) -> dict[str, str]:
    """Settings of an endpoint's link: `net.ipv4.conf.IFNAME.log_martians=1`, between commas.

    Raises InvalidError for anything that is not a setting of that one link.
    """
    result = {}
    for part in text.split(",") if text else []:
        name, equals, value = part.strip().partition("=")
        if not equals or not _SYSCTL.match(name):
            raise InvalidError(
                f"invalid value {part!r} in {SYSCTLS}: net.ipv4, net.ipv6 or net.mpls, then conf "
                "or neigh, then IFNAME, as in net.ipv4.conf.IFNAME.log_martians=1"
            )
        result[name] = value
    return result


def bridge_mac(key: str) -> str:
    """A fixed MAC for the bridge of the network with that id; never a container's."""
    return "02:62:" + ":".join(key[i : i + 2] for i in range(0, 8, 2))


def new_id() -> str:
    """An id as Docker's networks and endpoints have it."""
    return secrets.token_hex(32)
