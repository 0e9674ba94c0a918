"""One kept route-netlink socket: messages go out in one datagram, every answer is read.

pyroute2 encodes and decodes; its own sockets are not used, since they fork the process to enter a
namespace and cost 6-40 ms where this costs microseconds (netlink(7), rtnetlink(7)).
"""

from __future__ import annotations

import contextlib
import errno
import fcntl
import os
import socket
import struct
import threading
from collections.abc import Iterator
from typing import Any

from . import messages as m

_HEADER = struct.Struct("IHHII")
_SIOCGIFINDEX = 0x8933


class Netlink:
    """A socket in the network namespace of the thread that makes it, usable from any thread."""

    def __init__(self) -> None:
        self._socket = socket.socket(
            socket.AF_NETLINK, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC, socket.NETLINK_ROUTE
        )
        self._socket.bind((0, 0))
        self._lock = threading.Lock()
        self._sequence = 0

    def close(self) -> None:
        """Close the socket; the namespace it held open may go."""
        self._socket.close()

    def request(self, *batch: Any) -> None:
        """Send the messages at once and read every acknowledgement.

        The kernel carries on behind a message that fails: all are tried. Raises OSError of the
        first that failed.
        """
        with self._lock:
            first = self._sequence + 1
            data = b"".join(self._encode(message, m.NLM_F_ACK) for message in batch)
            self._socket.send(data)
            failure = 0
            waiting = set(range(first, self._sequence + 1))
            while waiting:
                for sequence, code, payload in self._receive():
                    if sequence in waiting and code == m.NLMSG_ERROR:
                        waiting.discard(sequence)
                        failure = failure or -int(struct.unpack_from("i", payload, 0)[0])
        if failure:
            raise OSError(failure, os.strerror(failure))

    def dump(self, message: Any) -> list[Any]:
        """Send a dump request (RTM_GET*) and return the decoded messages of the answer."""
        with self._lock:
            self._socket.send(self._encode(message, m.NLM_F_DUMP))
            expected = self._sequence
            answers: list[Any] = []
            while True:
                for sequence, code, payload in self._receive():
                    if sequence != expected:
                        continue
                    if code == m.NLMSG_DONE:
                        return answers
                    if code == m.NLMSG_ERROR:
                        number = -int(struct.unpack_from("i", payload, 0)[0])
                        raise OSError(number, os.strerror(number))
                    answers.append(_decoded(message, code, sequence, payload))

    def ask(self, message: Any) -> Any:
        """Send a request for one thing and return the decoded answer. Raises OSError."""
        with self._lock:
            self._socket.send(self._encode(message, 0))
            expected = self._sequence
            while True:
                for sequence, code, payload in self._receive():
                    if sequence != expected:
                        continue
                    if code == m.NLMSG_ERROR:
                        number = -int(struct.unpack_from("i", payload, 0)[0])
                        raise OSError(number, os.strerror(number))
                    return _decoded(message, code, sequence, payload)

    def index(self, link: str) -> int:
        """The link's index. Raises OSError ENODEV when there is no such link."""
        request = struct.pack("16sI20x", link.encode(), 0)
        answer = fcntl.ioctl(self._socket, _SIOCGIFINDEX, request)
        return int(struct.unpack_from("I", answer, 16)[0])

    def has(self, link: str) -> bool:
        """Whether there is a link of that name."""
        try:
            self.index(link)
        except OSError as error:
            if error.errno == errno.ENODEV:
                return False
            raise
        return True

    def _encode(self, message: Any, flags: int) -> bytes:
        self._sequence = (self._sequence + 1) & 0x7FFFFFFF
        message["header"]["sequence_number"] = self._sequence
        message["header"]["flags"] |= flags
        message.encode()
        data = bytes(message.data)
        return data + b"\0" * (-len(data) % 4)

    def _receive(self) -> Iterator[tuple[int, int, bytes]]:
        data = self._socket.recv(1 << 17)
        offset = 0
        while offset + 16 <= len(data):
            length, code, _, sequence, _ = _HEADER.unpack_from(data, offset)
            yield sequence, code, data[offset + 16 : offset + length]
            offset += (length + 3) & ~3


def _decoded(request: Any, code: int, sequence: int, payload: bytes) -> Any:
    """An answer, as a message of the class of what was asked."""
    answer = type(request)(_HEADER.pack(len(payload) + 16, code, 0, sequence, 0) + payload)
    answer.decode()
    return answer


def down(netlink: Netlink, link: str) -> None:
    """Take a link down; nothing when it is not there."""
    with ignoring(errno.ENODEV):
        netlink.request(
            m.message(
                m.ifinfmsg,
                m.RTM_NEWLINK,
                0,
                [],
                index=netlink.index(link),
                flags=0,
                change=m.IFF_UP,
            )
        )


def delete(netlink: Netlink, link: str) -> None:
    """Delete a link and wait for it (16-40 ms); nothing when it is not there."""
    with ignoring(errno.ENODEV):
        netlink.request(m.message(m.ifinfmsg, m.RTM_DELLINK, 0, [], index=netlink.index(link)))


@contextlib.contextmanager
def ignoring(*numbers: int) -> Iterator[None]:
    """Carry on after an OSError of one of these errno values."""
    try:
        yield
    except OSError as error:
        if error.errno not in numbers:
            raise
