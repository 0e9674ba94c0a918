"""Hearing of new links of this host (rtnetlink(7), group RTNLGRP_LINK)."""

from __future__ import annotations

import socket
import struct

from .nftwatch import attributes

_RTMGRP_LINK = 1
_RTM_NEWLINK = 16
_IFLA_IFNAME = 3
# struct nlmsghdr and struct ifinfomsg
_FIXED = 16 + 16


class LinkWatch:
    """A socket that is readable when links came or changed; `read` says which."""

    def __init__(self) -> None:
        self.socket = socket.socket(
            socket.AF_NETLINK,
            socket.SOCK_RAW | socket.SOCK_CLOEXEC | socket.SOCK_NONBLOCK,
            socket.NETLINK_ROUTE,
        )
        self.socket.bind((0, _RTMGRP_LINK))

    def read(self) -> tuple[set[str], bool]:
        """Read all there is: names of links that came or changed, and whether some were lost."""
        names: set[str] = set()
        lost = False
        while True:
            try:
                data = self.socket.recv(1 << 17)
            except BlockingIOError:
                return names, lost
            except OSError:
                lost = True  # ENOBUFS
                continue
            names |= set(_names(data))

    def close(self) -> None:
        """Close the socket."""
        self.socket.close()


def _names(data: bytes) -> list[str]:
    found, offset = [], 0
    while offset + _FIXED <= len(data):
        length, kind = struct.unpack_from("=IH", data, offset)
        if length < _FIXED:
            break
        if kind == _RTM_NEWLINK:
            for number, value in attributes(data[offset + _FIXED : offset + length]):
                if number == _IFLA_IFNAME:
                    found.append(value.rstrip(b"\0").decode(errors="replace"))
                    break
        offset += (length + 3) & ~3
    return found
