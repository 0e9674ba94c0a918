"""Ports and subnets of this host that no other test takes, whichever worker it runs in."""

from __future__ import annotations

import contextlib
import os
import secrets
import socket
from ipaddress import IPv4Network

from bayplan.netns import bridge
from bayplan.netns.netlink import Netlink

_WORKERS = 16
# Below the ephemeral ones, which the kernel gives to whoever connects meanwhile.
_FIRST, _COUNT = 10_000, 22_000 // _WORKERS
_chosen = secrets.randbelow(_COUNT)


def _worker() -> int:
    """The number of this worker of pytest-xdist; 0 without it."""
    return int(os.environ.get("PYTEST_XDIST_WORKER", "gw0").removeprefix("gw")) % _WORKERS


def free_port() -> int:
    """A port of this host that nobody has, of any protocol and address; never the same twice.

    Each worker has a range of its own, in which it begins by chance: other runs do meanwhile, too.
    """
    global _chosen
    while True:
        _chosen = (_chosen + 1) % _COUNT
        port = _FIRST + _worker() * _COUNT + _chosen
        with contextlib.ExitStack() as stack:
            try:
                for family, any_address in ((socket.AF_INET, "0.0.0.0"), (socket.AF_INET6, "::")):
                    for kind in (socket.SOCK_STREAM, socket.SOCK_DGRAM):
                        made = stack.enter_context(socket.socket(family, kind))
                        if family == socket.AF_INET6:
                            made.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
                        made.bind((any_address, port))
            except OSError:
                continue
            return port


def is_bindable(port: int) -> bool:
    """Whether a server can have the port; a program that was being started when it was let go
    holds it until its exec."""
    try:
        socket.create_server(("0.0.0.0", port)).close()
    except OSError:
        return False
    return True


def free_subnet(*avoid: IPv4Network) -> IPv4Network:
    """A /24 this host has no route to, of this worker's own, chosen by chance."""
    host = Netlink()
    taken = {*bridge.routed_networks(host), *avoid}
    host.close()
    while True:
        second = 64 + _worker() * (128 // _WORKERS) + secrets.randbelow(128 // _WORKERS)
        subnet = IPv4Network(f"10.{second}.{secrets.randbelow(256)}.0/24")
        if not any(subnet.overlaps(other) for other in taken if other.version == 4):
            return subnet
