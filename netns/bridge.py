"""Bridges, and the veth pairs that join namespaces to them (veth(4), rtnetlink(7))."""

from __future__ import annotations

import errno
import socket
from ipaddress import ip_address, ip_network
from typing import Any

from . import links, sysctl
from . import messages as m
from .namespace import Namespace
from .netlink import Netlink, delete, down, ignoring
from .types import Attachment, Bridge, Interface

_RT_TABLE_MAIN = 254
_RTPROT_BOOT = 3
_RT_SCOPE_UNIVERSE = 0
_RT_SCOPE_LINK = 253
_RTN_UNICAST = 1
_RT_SCOPE_NOWHERE = 255


def ensure(host: Netlink, bridge: Bridge) -> None:
    """Make the bridge as described, or adopt the one of that name: up, with these addresses.

    Its MAC is fixed from birth: a bridge otherwise takes the lowest MAC of its ports, and the
    containers lose their gateway whenever that port leaves, until their ARP entries expire.
    """
    if not host.has(bridge.name):
        host.request(
            links.new_link(
                m.NLM_F_CREATE | m.NLM_F_EXCL,
                "bridge",
                [
                    ("IFLA_IFNAME", bridge.name),
                    ("IFLA_ADDRESS", bridge.mac),
                    ("IFLA_MTU", bridge.mtu),
                ],
            )
        )
    index = host.index(bridge.name)
    if any(address.version == 6 for address in bridge.addresses):
        # What is forwarded waits for the link-local address, from which the kernel asks for
        # neighbours: without detection of duplicates it is usable at once, not after a second.
        sysctl.write(f"net/ipv6/conf/{bridge.name}/accept_dad", "0")
        sysctl.write(f"net/ipv6/conf/{bridge.name}/disable_ipv6", "0")
    flags = m.NLM_F_CREATE | m.NLM_F_REPLACE
    host.request(
        *(_address(index, address, flags) for address in bridge.addresses),
        _up(index),
    )
    # 127.0.0.1:PORT of the host is rewritten to a container, so packets from 127.0.0.1 leave by
    # the bridge; the firewall's raw chain drops what comes back in with such an address.
    sysctl.write(f"net/ipv4/conf/{bridge.name}/route_localnet", "1")
    if bridge.addresses and not bridge.internal:
        sysctl.forward4()
        if any(address.version == 6 for address in bridge.addresses):
            sysctl.forward6()


def up(host: Netlink, name: str) -> None:
    """Bring a link up. Raises OSError."""
    host.request(_up(host.index(name)))


def remove(host: Netlink, name: str) -> None:
    """Delete the bridge, if it is there; waits some 40 ms for the kernel."""
    down(host, name)
    delete(host, name)


def attach(host: Netlink, namespace: Namespace, end: Attachment) -> None:
    """Join the namespace to a bridge: veth pair, addresses, routes, lo; undone on failure.

    The far end is born inside the namespace, which spares moving it there. Raises OSError.
    """
    host.request(_veth(host.index(end.bridge), namespace.fd, end))
    try:
        _set_port(host, end)
        settle(namespace, end)
    except BaseException:
        delete(host, end.host_link)
        raise


def settle(namespace: Namespace, end: Attachment) -> None:
    """Give the end's link, which is in the namespace, its settings, addresses and routes."""
    inner = namespace.netlink
    index = inner.index(end.link)
    settings = {
        name.replace("IFNAME", end.link).replace(".", "/"): value
        for name, value in end.sysctls.items()
    }
    if any(address.version == 6 for address in end.addresses):
        six = f"net/ipv6/conf/{end.link}"
        settings = {f"{six}/accept_dad": "0", f"{six}/disable_ipv6": "0", **settings}
    if settings:
        namespace.run(lambda: sysctl.write_all(settings))
    inner.request(
        _up(inner.index("lo")),
        _up(index),
        *(_address(index, address, m.NLM_F_CREATE | m.NLM_F_EXCL) for address in end.addresses),
        *_default_routes(index, end),
    )


def set_gateways(namespace: Namespace, end: Attachment | None) -> None:
    """Make the end's gateways the default routes of the namespace, in place of all others."""
    inner = namespace.netlink
    gateways = {} if end is None else {gateway.version: gateway for gateway in end.gateways}
    for version in (4, 6):
        with ignoring(errno.ESRCH, errno.ENOENT, errno.EAFNOSUPPORT):
            if version not in gateways:
                inner.request(_default_route(m.RTM_DELROUTE, 0, version, []))
    if end is not None and (gateways or end.direct):
        inner.request(*_default_routes(inner.index(end.link), end))


def loopback_up(namespace: Namespace) -> None:
    """Bring up lo, all there is in a container without a network."""
    namespace.netlink.request(_up(namespace.netlink.index("lo")))


def rejoin(host: Netlink, end: Attachment) -> bool:
    """Make the end's link a port of its bridge again, if somebody made the bridge anew.

    False when the link is not there. Raises OSError.
    """
    link = links.facts(host, end.host_link)
    if link is None:
        return False
    master = host.index(end.bridge)
    if link.master != master:
        attrs = [("IFLA_MASTER", master)]
        host.request(m.message(m.ifinfmsg, m.RTM_NEWLINK, 0, attrs, index=link.index))
        _set_port(host, end)
    return True


def silence(host: Netlink, host_link: str) -> None:
    """Take the host end down: the container's address stops answering at once (0.2 ms).

    The kernel removes the pair some milliseconds after the namespace has gone; deleting it here
    would wait for that.
    """
    down(host, host_link)


def detach(host: Netlink, host_link: str) -> None:
    """Delete the pair of a namespace that lives on; waits some 20 ms for the kernel."""
    down(host, host_link)
    delete(host, host_link)


def routed_networks(host: Netlink) -> dict[Any, str]:
    """The networks (IPv4Network, IPv6Network) this host has a route to, of every table, each with
    the name of the link it leaves by ("" when there is none or several).

    Default routes and the halves VPNs make of them (prefixes below 8) are left out.
    """
    found: dict[Any, str] = {}
    names = dict(socket.if_nameindex())
    for family, bits in ((2, 32), (10, 128)):
        request = m.message(m.rtmsg, m.RTM_GETROUTE, 0, [], family=family)
        for route in host.dump(request):
            attrs = dict(route["attrs"])
            target = attrs.get("RTA_DST")
            if (
                target is not None
                and 8 <= route["dst_len"] < bits
                and route["type"] == _RTN_UNICAST
            ):
                network = ip_network(f"{target}/{route['dst_len']}", strict=False)
                found[network] = names.get(attrs.get("RTA_OIF", 0), "")
    return found


def default_links(host: Netlink) -> set[str]:
    """The links this host's default routes leave by."""
    found = set()
    names = dict(socket.if_nameindex())
    for family in (2, 10):
        for route in host.dump(m.message(m.rtmsg, m.RTM_GETROUTE, 0, [], family=family)):
            link = dict(route["attrs"]).get("RTA_OIF")
            if route["dst_len"] == 0 and route["type"] == _RTN_UNICAST and link in names:
                found.add(names[link])
    return found


def local_addresses(host: Netlink) -> set[bytes]:
    """This host's own addresses, packed."""
    found = set()
    for family in (2, 10):
        for answer in host.dump(m.message(m.ifaddrmsg, m.RTM_GETADDR, 0, [], family=family)):
            attrs = dict(answer["attrs"])
            found.add(ip_address(attrs.get("IFA_LOCAL") or attrs["IFA_ADDRESS"]).packed)
    return found


def _veth(bridge: int, namespace: int, end: Attachment) -> Any:
    peer = [
        ("IFLA_IFNAME", end.link),
        ("IFLA_ADDRESS", end.mac),
        ("IFLA_MTU", end.mtu),
        ("IFLA_NET_NS_FD", namespace),
    ]
    return links.new_link(
        m.NLM_F_CREATE | m.NLM_F_EXCL,
        "veth",
        [("IFLA_IFNAME", end.host_link), ("IFLA_MTU", end.mtu), ("IFLA_MASTER", bridge)],
        [("VETH_INFO_PEER", {"attrs": peer})],
        flags=m.IFF_UP,
        change=m.IFF_UP,
    )


def _set_port(host: Netlink, end: Attachment) -> None:
    """Flags of the bridge port, where the network or br_netfilter asks for them.

    `isolated` ports reach the bridge and not each other. With br_netfilter a container's packet to
    its own published port would have to leave by the port it came in: hairpin mode.
    """
    options = []
    if not end.icc:
        options.append(("IFLA_BRPORT_ISOLATED", 1))
    if sysctl.bridged_traffic_is_filtered():
        options.append(("IFLA_BRPORT_MODE", 1))
    if options:
        data = [("IFLA_INFO_SLAVE_KIND", "bridge"), ("IFLA_INFO_SLAVE_DATA", {"attrs": options})]
        host.request(
            m.message(
                m.ifinfmsg,
                m.RTM_NEWLINK,
                0,
                [("IFLA_LINKINFO", {"attrs": data})],
                index=host.index(end.host_link),
            )
        )


def _up(index: int) -> Any:
    return m.message(m.ifinfmsg, m.RTM_NEWLINK, 0, [], index=index, flags=m.IFF_UP, change=m.IFF_UP)


def _default_routes(index: int, end: Attachment) -> list[Any]:
    flags = m.NLM_F_CREATE | m.NLM_F_REPLACE
    if end.direct:
        versions = {address.version for address in end.addresses}
        way = [("RTA_OIF", index)]
        return [_default_route(m.RTM_NEWROUTE, flags, version, way) for version in versions]
    return [
        _default_route(
            m.RTM_NEWROUTE,
            flags,
            gateway.version,
            [("RTA_GATEWAY", str(gateway)), ("RTA_OIF", index)],
        )
        for gateway in end.gateways
    ]


def _default_route(code: int, options: int, version: int, attrs: list[tuple[str, Any]]) -> Any:
    return m.message(
        m.rtmsg,
        code,
        options,
        attrs,
        family=_family(version),
        dst_len=0,
        table=_RT_TABLE_MAIN,
        proto=_RTPROT_BOOT if code == m.RTM_NEWROUTE else 0,
        scope=_scope(code, attrs),
        type=_RTN_UNICAST if code == m.RTM_NEWROUTE else 0,
    )


def _scope(code: int, attrs: list[tuple[str, Any]]) -> int:
    """A route without a gateway is of scope link; a deletion matches whatever it is."""
    if code != m.RTM_NEWROUTE:
        return _RT_SCOPE_NOWHERE
    return _RT_SCOPE_UNIVERSE if dict(attrs).get("RTA_GATEWAY") else _RT_SCOPE_LINK


def _address(index: int, address: Interface, flags: int) -> Any:
    attrs: list[tuple[str, Any]] = [("IFA_ADDRESS", str(address.ip))]
    if address.version == 4:
        attrs.append(("IFA_LOCAL", str(address.ip)))
        attrs.append(("IFA_BROADCAST", str(address.network.broadcast_address)))
    return m.message(
        m.ifaddrmsg,
        m.RTM_NEWADDR,
        flags,
        attrs,
        index=index,
        family=_family(address.version),
        prefixlen=address.network.prefixlen,
        # Duplicate address detection would keep an IPv6 address unusable for over a second.
        flags=m.IFA_F_NODAD if address.version == 6 else 0,
        scope=_RT_SCOPE_UNIVERSE,
    )


def _family(version: int) -> int:
    return 2 if version == 4 else 10
