"""Hearing what others do to nftables: `nft flush ruleset` takes everybody's tables, ours too.

Without our table the containers are open to the network, so the engine puts it back at once. New
chains are heard of for Docker's sake, see `netns.forwarding`; iptables of the legacy kind says
nothing. Messages are those of linux/netfilter/nf_tables.h, group NFNLGRP_NFTABLES.
"""

from __future__ import annotations

import socket
import struct
from collections.abc import Iterator
from dataclasses import dataclass, field

_NETLINK_NETFILTER = 12
_SOL_NETLINK = 270
_NETLINK_ADD_MEMBERSHIP = 1
_NFNLGRP_NFTABLES = 7
_DELTABLE = (10 << 8) | 2
_NEWCHAIN = (10 << 8) | 3
_NFTA_TABLE_NAME = 1
_NFTA_CHAIN_NAME = 3


@dataclass
class Changes:
    """Names of the tables that were deleted and of chains that are new or have changed.

    `lost`: so much happened that anything else may have, too.
    """

    deleted: set[str] = field(default_factory=set)
    chains: set[str] = field(default_factory=set)
    lost: bool = False


class NftWatch:
    """A socket that is readable when nftables changed; `read` says how."""

    def __init__(self) -> None:
        self.socket = socket.socket(
            socket.AF_NETLINK,
            socket.SOCK_RAW | socket.SOCK_CLOEXEC | socket.SOCK_NONBLOCK,
            _NETLINK_NETFILTER,
        )
        self.socket.bind((0, 0))
        self.socket.setsockopt(_SOL_NETLINK, _NETLINK_ADD_MEMBERSHIP, _NFNLGRP_NFTABLES)

    def read(self) -> Changes:
        """Read all there is."""
        changes = Changes()
        while True:
            try:
                data = self.socket.recv(1 << 17)
            except BlockingIOError:
                return changes
            except OSError:
                # ENOBUFS: messages were lost.
                changes.lost = True
                continue
            for kind, body in _messages(data):
                if kind == _DELTABLE:
                    changes.deleted |= _names(body, _NFTA_TABLE_NAME)
                elif kind == _NEWCHAIN:
                    changes.chains |= _names(body, _NFTA_CHAIN_NAME)

    def close(self) -> None:
        """Close the socket."""
        self.socket.close()


def _messages(data: bytes) -> Iterator[tuple[int, bytes]]:
    offset = 0
    while offset + 20 <= len(data):
        length, kind = struct.unpack_from("=IH", data, offset)
        if length < 16:
            return
        yield kind, data[offset + 20 : offset + length]
        offset += (length + 3) & ~3


def _names(body: bytes, wanted: int) -> set[str]:
    return {
        value.rstrip(b"\0").decode(errors="replace")
        for number, value in attributes(body)
        if number == wanted
    }


def attributes(data: bytes) -> Iterator[tuple[int, bytes]]:
    """The attributes of a netlink message: number without its flags, and content (netlink(7))."""
    offset = 0
    while offset + 4 <= len(data):
        length, number = struct.unpack_from("=HH", data, offset)
        if length < 4:
            return
        yield number & 0x3FFF, data[offset + 4 : offset + length]
        offset += (length + 3) & ~3
