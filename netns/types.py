"""What netns is told and what it answers: links, ends of a link, published ports."""

from __future__ import annotations

from dataclasses import dataclass, field
from ipaddress import IPv4Address, IPv4Interface, IPv6Address, IPv6Interface

Address = IPv4Address | IPv6Address
Interface = IPv4Interface | IPv6Interface


@dataclass(frozen=True)
class Bridge:
    """A bridge to be: link name, MAC, its own addresses with their prefixes, and what it allows.

    `icc` false keeps the containers on it from talking to each other, `internal` keeps them from
    leaving the network, `masquerade` false sends their own addresses out.
    """

    name: str
    mac: str
    addresses: tuple[Interface, ...]
    mtu: int = 1500
    internal: bool = False
    icc: bool = True
    masquerade: bool = True


@dataclass(frozen=True)
class Parent:
    """A link of the host that macvlan or ipvlan links (`kind`) are made on, in that `mode`.

    `made` says that it is the engine's own, that leads nowhere, when the user named no link.
    """

    name: str
    kind: str
    mode: str
    made: bool = False


@dataclass(frozen=True)
class Attachment:
    """One container's end on a bridge, or on a parent link.

    `host_link` stays on the host, a port of `bridge`; "" on a parent, where only `link` (eth0) is
    made, inside the namespace. `gateways` become default routes; none for an end that is not the
    way out. `direct` makes the link itself the default route (ipvlan's l3 modes). `sysctls` are
    settings of the namespace, with IFNAME for the link.
    """

    host_link: str
    bridge: str
    link: str
    mac: str
    addresses: tuple[Interface, ...]
    gateways: tuple[Address, ...] = ()
    mtu: int = 1500
    icc: bool = True
    direct: bool = False
    sysctls: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Publication:
    """A port of the host that leads to a port of a container.

    `protocol` is tcp, udp or sctp. `host` is the address listened on; 0.0.0.0 and :: are all.
    """

    protocol: str
    host: Address
    host_port: int
    target: Address
    target_port: int
