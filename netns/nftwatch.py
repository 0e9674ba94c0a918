"""Hearing that an nftables table was deleted: `nft flush ruleset` takes everybody's, ours too.

Without our table the containers are open to the network, so the engine puts it back at once.
Messages are those of linux/netfilter/nf_tables.h, group NFNLGRP_NFTABLES.
"""

from __future__ import annotations

import socket
import struct
from collections.abc import Iterator

_NETLINK_NETFILTER = 12
_SOL_NETLINK = 270
_NETLINK_ADD_MEMBERSHIP = 1
_NFNLGRP_NFTABLES = 7
_DELTABLE = (10 << 8) | 2
_NFTA_TABLE_NAME = 1


class NftWatch:
    """A socket that is readable when nftables changed; `deleted` says whether a table went."""

    def __init__(self) -> None:
        self.socket = socket.socket(
            socket.AF_NETLINK,
            socket.SOCK_RAW | socket.SOCK_CLOEXEC | socket.SOCK_NONBLOCK,
            _NETLINK_NETFILTER,
        )
        self.socket.bind((0, 0))
        self.socket.setsockopt(_SOL_NETLINK, _NETLINK_ADD_MEMBERSHIP, _NFNLGRP_NFTABLES)

    def deleted(self, table: str) -> bool:
        """Read all there is: whether `table` was deleted, or so much happened that it may have."""
        found = False
        while True:
            try:
                data = self.socket.recv(1 << 17)
            except BlockingIOError:
                return found
            except OSError:
                # ENOBUFS: messages were lost.
                found = True
                continue
            found = found or any(name == table for name in _deleted_tables(data))

    def close(self) -> None:
        """Close the socket."""
        self.socket.close()


def _deleted_tables(data: bytes) -> Iterator[str]:
    offset = 0
    while offset + 20 <= len(data):
        length, kind = struct.unpack_from("=IH", data, offset)
        if length < 16:
            return
        if kind == _DELTABLE:
            for number, value in attributes(data[offset + 20 : offset + length]):
                if number == _NFTA_TABLE_NAME:
                    yield value.rstrip(b"\0").decode(errors="replace")
        offset += (length + 3) & ~3


def attributes(data: bytes) -> Iterator[tuple[int, bytes]]:
    """The attributes of a netlink message: number without its flags, and content (netlink(7))."""
    offset = 0
    while offset + 4 <= len(data):
        length, number = struct.unpack_from("=HH", data, offset)
        if length < 4:
            return
        yield number & 0x3FFF, data[offset + 4 : offset + length]
        offset += (length + 3) & ~3
