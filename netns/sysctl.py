"""Kernel settings below /proc/sys/net: those of the calling thread's network namespace."""

from __future__ import annotations

import os
from pathlib import Path

_ROOT = Path("/proc/sys")


def read(name: str) -> str | None:
    """The setting's value; None when this kernel has no such setting."""
    try:
        return (_ROOT / name).read_text(encoding="ascii").strip()
    except FileNotFoundError:
        return None


def write(name: str, value: str) -> None:
    """Set it, unless it is so already or this kernel lacks it. `name` as in net/ipv4/ip_forward."""
    if read(name) not in (None, value):
        fd = os.open(_ROOT / name, os.O_WRONLY | os.O_CLOEXEC)
        try:
            os.write(fd, value.encode())
        finally:
            os.close(fd)


def write_all(settings: dict[str, str]) -> None:
    """`write` each."""
    for name, value in settings.items():
        write(name, value)


def forward4() -> None:
    """Let the host route IPv4."""
    write("net/ipv4/ip_forward", "1")


def forward6() -> None:
    """Let the host route IPv6 without losing what it learns from routers.

    A forwarding host ignores router advertisements unless accept_ra is 2 (ip-sysctl): its own
    default route would expire minutes after our first IPv6 network.
    """
    if read("net/ipv6/conf/all/forwarding") in (None, "1"):
        return
    for link in (_ROOT / "net/ipv6/conf").iterdir():
        if link.name != "all" and read(f"net/ipv6/conf/{link.name}/accept_ra") == "1":
            write(f"net/ipv6/conf/{link.name}/accept_ra", "2")
    write("net/ipv6/conf/all/forwarding", "1")


def bridged_traffic_is_filtered() -> bool:
    """Whether br_netfilter sends bridged frames through the IP hooks."""
    return "1" in (
        read("net/bridge/bridge-nf-call-iptables"),
        read("net/bridge/bridge-nf-call-ip6tables"),
    )
