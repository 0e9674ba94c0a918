"""The rules in a container's namespace that lead 127.0.0.11:53 to its name server's ports.

Sent as nfnetlink messages (linux/netfilter/nf_tables.h) and not through libnftables: that waits
with select(2), which ends the whole process at descriptor 1024, and an engine that holds a thousand
ports has no lower one to offer.
"""

from __future__ import annotations

import errno
import os
import socket
import struct

_NETLINK_NETFILTER = 12
_TABLE, _CHAIN = b"bay_dns\0", b"out\0"
_IPV4 = 2
_BATCH_BEGIN, _BATCH_END = 0x10, 0x11
_SUBSYSTEM = 10
_NEWTABLE, _DELTABLE, _NEWCHAIN, _NEWRULE = (_SUBSYSTEM << 8 | kind for kind in (0, 2, 3, 6))
_REQUEST, _ACK, _CREATE, _APPEND, _EXCL = 1, 4, 0x400, 0x800, 0x200
_ERROR = 2
_NESTED = 0x8000
_LOCAL_OUT, _PRIORITY, _ACCEPT = 3, -100, 1
_HEADER = struct.Struct("=IHHII")


def lead(address: str, datagram: int, stream: int) -> None:
    """Lead port 53 of `address` to these ports, for UDP and TCP, in this thread's namespace.

    A transaction that deletes makes the kernel wait 6-14 ms when the connection is closed, so what
    an engine before this one left is only deleted where it is. Raises OSError.
    """
    rules = [
        (_NEWTABLE, _CREATE | _EXCL, _attribute(1, _TABLE)),
        (_NEWCHAIN, _CREATE, _chain()),
        (_NEWRULE, _CREATE | _APPEND, _rule(address, socket.IPPROTO_UDP, datagram)),
        (_NEWRULE, _CREATE | _APPEND, _rule(address, socket.IPPROTO_TCP, stream)),
    ]
    with socket.socket(
        socket.AF_NETLINK, socket.SOCK_RAW | socket.SOCK_CLOEXEC, _NETLINK_NETFILTER
    ) as link:
        link.bind((0, 0))
        failure = _transaction(link, rules)
        if failure == errno.EEXIST:
            failure = _transaction(link, [(_DELTABLE, 0, _attribute(1, _TABLE)), *rules])
    if failure:
        raise OSError(failure, f"port 53 cannot be led to the name server: {os.strerror(failure)}")


def _transaction(link: socket.socket, messages: list[tuple[int, int, bytes]]) -> int:
    """Send all or nothing; the errno of the first that failed, or 0."""
    data = _message(_BATCH_BEGIN, _REQUEST, 0, b"", 0, _SUBSYSTEM)
    for number, (kind, flags, body) in enumerate(messages, 1):
        data += _message(kind, _REQUEST | _ACK | flags, number, body, _IPV4, 0)
    link.send(data + _message(_BATCH_END, _REQUEST, 0, b"", 0, _SUBSYSTEM))
    waiting = set(range(1, len(messages) + 1))
    failure = 0
    while waiting:
        answer = link.recv(1 << 16)
        offset = 0
        while offset + 20 <= len(answer):
            length, kind, _, sequence, _ = _HEADER.unpack_from(answer, offset)
            if kind == _ERROR:
                failure = failure or -int(struct.unpack_from("=i", answer, offset + 16)[0])
                waiting.discard(sequence)
                if not sequence:  # the batch as a whole: nothing else will come
                    return failure
            offset += (length + 3) & ~3
    return failure


def _chain() -> bytes:
    hook = _number(1, _LOCAL_OUT) + _attribute(2, struct.pack("!i", _PRIORITY))
    return (
        _attribute(1, _TABLE)
        + _attribute(3, _CHAIN)
        + _attribute(4 | _NESTED, hook)
        + _number(5, _ACCEPT)
        + _attribute(7, b"nat\0")
    )


def _rule(address: str, protocol: int, port: int) -> bytes:
    """ip daddr ADDRESS PROTOCOL dport 53 dnat to ADDRESS:PORT."""
    packed = socket.inet_aton(address)
    expressions = [
        _payload(1, 16, 4),
        _compare(packed),
        _expression(b"meta\0", _number(1, 1) + _number(2, 16)),  # the transport protocol
        _compare(bytes([protocol])),
        _payload(2, 2, 2),
        _compare(struct.pack("!H", 53)),
        _immediate(1, packed),
        _immediate(2, struct.pack("!H", port)),
        _expression(b"nat\0", _number(1, 1) + _number(2, _IPV4) + _number(3, 1) + _number(5, 2)),
    ]
    return (
        _attribute(1, _TABLE)
        + _attribute(2, _CHAIN)
        + _attribute(4 | _NESTED, b"".join(expressions))
    )


def _payload(base: int, offset: int, length: int) -> bytes:
    """Load bytes of the network (1) or transport (2) header into register 1."""
    fields = _number(1, 1) + _number(2, base) + _number(3, offset) + _number(4, length)
    return _expression(b"payload\0", fields)


def _compare(value: bytes) -> bytes:
    """Go on when register 1 equals `value`."""
    data = _attribute(3 | _NESTED, _attribute(1, value))
    return _expression(b"cmp\0", _number(1, 1) + _number(2, 0) + data)


def _immediate(register: int, value: bytes) -> bytes:
    data = _attribute(2 | _NESTED, _attribute(1, value))
    return _expression(b"immediate\0", _number(1, register) + data)


def _expression(name: bytes, fields: bytes) -> bytes:
    return _attribute(1 | _NESTED, _attribute(1, name) + _attribute(2 | _NESTED, fields))


def _number(kind: int, value: int) -> bytes:
    return _attribute(kind, struct.pack("!I", value))


def _attribute(kind: int, content: bytes) -> bytes:
    return struct.pack("=HH", 4 + len(content), kind) + content + b"\0" * (-len(content) % 4)


def _message(
    kind: int, flags: int, sequence: int, body: bytes, family: int, resource: int
) -> bytes:
    return (
        _HEADER.pack(20 + len(body), kind, flags, sequence, 0)
        + struct.pack("!BBH", family, 0, resource)
        + body
    )
