"""Bytes and packets of links: RTM_GETSTATS (linux/if_link.h), 4 µs for one and 0.3 ms for 200.

Packed by hand: decoding 200 answers through message classes takes 6 ms.
"""

from __future__ import annotations

import os
import socket
import struct
import threading
from dataclasses import dataclass, fields

from .nftwatch import attributes

_RTM_NEWSTATS, _RTM_GETSTATS = 92, 94
_REQUEST, _DUMP = 1, 0x300
_ERROR, _DONE = 2, 3
_LINK_64 = 1
_HEADER = struct.Struct("=IHHII")
_STATS = struct.Struct("=BBHII")
# The first eight numbers of struct rtnl_link_stats64.
_NUMBERS = struct.Struct("=8Q")


@dataclass(frozen=True)
class Counters:
    """What a link received and sent since it was made, as the kernel orders it."""

    rx_packets: int = 0
    tx_packets: int = 0
    rx_bytes: int = 0
    tx_bytes: int = 0
    rx_errors: int = 0
    tx_errors: int = 0
    rx_dropped: int = 0
    tx_dropped: int = 0

    @classmethod
    def of(cls, numbers: bytes) -> Counters:
        """Out of the first eight numbers of a struct rtnl_link_stats64."""
        return cls(*_NUMBERS.unpack(numbers))

    def turned(self) -> Counters:
        """The same from the other end of the cable."""
        pairs = {it.name: getattr(self, it.name) for it in fields(self)}
        turn = {"rx": "tx", "tx": "rx"}
        return Counters(**{turn[name[:2]] + name[2:]: value for name, value in pairs.items()})

    def plus(self, other: Counters) -> Counters:
        """The sum, number by number."""
        names = [it.name for it in fields(self)]
        return Counters(**{name: getattr(self, name) + getattr(other, name) for name in names})


class CounterSocket:
    """Reads the counters of the namespace of the thread that makes it; any thread may ask."""

    def __init__(self) -> None:
        self._socket = socket.socket(
            socket.AF_NETLINK, socket.SOCK_RAW | socket.SOCK_CLOEXEC, socket.NETLINK_ROUTE
        )
        self._socket.bind((0, 0))
        self._lock = threading.Lock()

    def close(self) -> None:
        """Close the socket."""
        self._socket.close()

    def one(self, index: int) -> Counters:
        """The counters of the link of that index. Raises OSError ENODEV for none."""
        with self._lock:
            self._send(_REQUEST, index)
            for _, numbers in self._answers()[0]:
                return Counters.of(numbers)
        raise OSError("no answer about a link's counters")

    def all(self) -> dict[int, Counters]:
        """The counters of every link, by index. Raises OSError."""
        return {index: Counters.of(numbers) for index, numbers in self.raw().items()}

    def raw(self) -> dict[int, bytes]:
        """Likewise, each as it came: for who only wants to know whether they are others."""
        with self._lock:
            self._send(_REQUEST | _DUMP, 0)
            found: dict[int, bytes] = {}
            done = False
            while not done:
                answers, done = self._answers()
                found.update(answers)
            return found

    def _send(self, flags: int, index: int) -> None:
        body = _STATS.pack(0, 0, 0, index, 1 << (_LINK_64 - 1))
        self._socket.send(_HEADER.pack(16 + len(body), _RTM_GETSTATS, flags, 1, 0) + body)

    def _answers(self) -> tuple[list[tuple[int, bytes]], bool]:
        """Indexes and numbers of one datagram, and whether it ends the list."""
        data = self._socket.recv(1 << 17)
        found: list[tuple[int, bytes]] = []
        offset, done = 0, False
        while offset + 16 <= len(data):
            length, kind, _, _, _ = _HEADER.unpack_from(data, offset)
            if kind == _ERROR:
                number = -int(struct.unpack_from("=i", data, offset + 16)[0])
                raise OSError(number, os.strerror(number))
            if kind == _RTM_NEWSTATS:
                index = _STATS.unpack_from(data, offset + 16)[3]
                for kind_of, value in attributes(data[offset + 28 : offset + length]):
                    if kind_of == _LINK_64:
                        found.append((index, value[: _NUMBERS.size]))
            done = done or kind == _DONE
            offset += (length + 3) & ~3
        return found, done
