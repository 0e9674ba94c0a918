"""Forgetting connections of UDP ports that lead elsewhere now.

A UDP flow's translation is decided at its first packet and kept while packets come: without this a
client that never pauses keeps talking to the old container, or to nobody, for ever. Messages are
those of linux/netfilter/nfnetlink_conntrack.h.
"""

from __future__ import annotations

import errno
import socket
import struct
from collections.abc import Collection, Iterator

from .nftwatch import attributes

_NETLINK_NETFILTER = 12
_GET, _DELETE = (1 << 8) | 1, (1 << 8) | 2
_REQUEST, _ACK, _DUMP = 1, 4, 0x300
_ERROR, _DONE = 2, 3
_TUPLE_ORIG, _TUPLE_REPLY, _ZONE = 1, 2, 18
_UDP = 17
_HEADER = struct.Struct("=IHHII")


def forget(ports: Collection[int], local: Collection[bytes]) -> int:
    """Delete UDP connections to these `ports` of this host; how many there were. Blocks.

    Those are the ones that were translated, and those to one of the `local` addresses (packed).
    Runs in the calling thread's network namespace. Raises OSError.
    """
    with socket.socket(
        socket.AF_NETLINK, socket.SOCK_RAW | socket.SOCK_CLOEXEC, _NETLINK_NETFILTER
    ) as link:
        link.bind((0, 0))
        count = 0
        for family in (socket.AF_INET, socket.AF_INET6):
            doomed = [
                (original, zone)
                for original, reply, zone in _dump(link, family)
                if _concerns(original, reply, ports, local)
            ]
            for original, zone in doomed:
                count += _delete(link, family, original, zone)
        return count


def _concerns(
    original: bytes, reply: bytes, ports: Collection[int], local: Collection[bytes]
) -> bool:
    protocol, target, port = _destination(original)
    if protocol != _UDP or port not in ports:
        return False
    return target in local or target != _source(reply)


def _dump(link: socket.socket, family: int) -> Iterator[tuple[bytes, bytes, bytes]]:
    """Every connection: both tuples and the zone, as the kernel encodes them."""
    link.send(_message(_GET, _REQUEST | _DUMP, family, b""))
    while True:
        for kind, body in _received(link):
            if kind == _DONE:
                return
            if kind == _ERROR:
                number = -struct.unpack_from("=i", body)[0]
                raise OSError(number, "cannot list connections")
            found = dict(attributes(body[4:]))
            if _TUPLE_ORIG in found and _TUPLE_REPLY in found:
                yield found[_TUPLE_ORIG], found[_TUPLE_REPLY], found.get(_ZONE, b"")


def _delete(link: socket.socket, family: int, original: bytes, zone: bytes) -> int:
    # The tuple goes back as it came, with the flag that marks nested attributes.
    body = _attribute(_TUPLE_ORIG | 0x8000, original)
    if zone:
        body += _attribute(_ZONE, zone)
    link.send(_message(_DELETE, _REQUEST | _ACK, family, body))
    for kind, answer in _received(link):
        if kind == _ERROR:
            number = -struct.unpack_from("=i", answer)[0]
            if number not in (0, errno.ENOENT):
                raise OSError(number, "cannot delete a connection")
            return int(number == 0)
    return 0


def _received(link: socket.socket) -> list[tuple[int, bytes]]:
    data = link.recv(1 << 17)
    messages, offset = [], 0
    while offset + 16 <= len(data):
        length, kind, _, _, _ = _HEADER.unpack_from(data, offset)
        messages.append((kind, data[offset + 16 : offset + length]))
        offset += (length + 3) & ~3
    return messages


def _message(kind: int, flags: int, family: int, body: bytes) -> bytes:
    return (
        _HEADER.pack(20 + len(body), kind, flags, 1, 0) + struct.pack("=BBH", family, 0, 0) + body
    )


def _attribute(number: int, content: bytes) -> bytes:
    padding = b"\0" * (-len(content) % 4)
    return struct.pack("=HH", 4 + len(content), number) + content + padding


def _destination(tuple_: bytes) -> tuple[int, bytes, int]:
    """Protocol, destination address and port of an encoded tuple."""
    parts = dict(attributes(tuple_))
    address = dict(attributes(parts.get(1, b"")))
    protocol = dict(attributes(parts.get(2, b"")))
    port = int.from_bytes(protocol.get(3, b"\0\0"), "big")
    return protocol.get(1, b"\0")[0], address.get(2) or address.get(4) or b"", port


def _source(tuple_: bytes) -> bytes:
    address = dict(attributes(dict(attributes(tuple_)).get(1, b"")))
    return address.get(1) or address.get(3) or b""
