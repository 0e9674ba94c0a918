"""Links of containers on a link of the host: macvlan and ipvlan, one message each (ip-link(8)).

They are born inside the namespace and go with it; nothing of them is seen on the host.
"""

from __future__ import annotations

import errno
from typing import Any

from . import bridge, links
from . import messages as m
from .namespace import Namespace
from .netlink import Netlink, delete
from .types import Attachment, Parent

# linux/if_link.h
IPVLAN_MODES = {"l2": 0, "l3": 1, "l3s": 2}


def ensure(host: Netlink, parent: Parent) -> None:
    """Have the parent there and up. Raises OSError ENODEV for one of the user's that is gone."""
    if not parent.made:
        return
    if not host.has(parent.name):
        try:
            _make(host, "dummy", parent.name)
        except OSError as error:
            if error.errno != errno.EOPNOTSUPP:
                raise
            # The other kind that is always up and leads nowhere.
            _make(host, "ifb", parent.name)
    bridge.up(host, parent.name)


def attach(host: Netlink, namespace: Namespace, parent: Parent, end: Attachment) -> None:
    """Make the end's link in the namespace: addresses, routes, lo; undone on failure.

    Raises OSError.
    """
    attrs: list[tuple[str, Any]] = [
        ("IFLA_IFNAME", end.link),
        ("IFLA_LINK", host.index(parent.name)),
        ("IFLA_NET_NS_FD", namespace.fd),
    ]
    if end.mtu:
        attrs.append(("IFLA_MTU", end.mtu))
    if parent.kind == "macvlan":
        attrs.append(("IFLA_ADDRESS", end.mac))
        data: list[tuple[str, Any]] = [("IFLA_MACVLAN_MODE", parent.mode)]
    else:  # ipvlan: all links have the parent's MAC
        data = [("IFLA_IPVLAN_MODE", IPVLAN_MODES[parent.mode])]
    host.request(links.new_link(m.NLM_F_CREATE | m.NLM_F_EXCL, parent.kind, attrs, data))
    try:
        bridge.settle(namespace, end)
    except BaseException:
        detach(namespace, end.link)
        raise


def _make(host: Netlink, kind: str, name: str) -> None:
    options = m.NLM_F_CREATE | m.NLM_F_EXCL
    host.request(links.new_link(options, kind, [("IFLA_IFNAME", name)]))


def detach(namespace: Namespace, link: str) -> None:
    """Take the link out of a namespace that lives on."""
    delete(namespace.netlink, link)
