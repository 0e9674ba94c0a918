"""DNS messages as far as a resolver of names and addresses needs them (RFC 1035, EDNS: RFC 6891).

Whatever is not understood here is forwarded as it came, byte for byte.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv6Address, ip_address

A, PTR, AAAA, OPT = 1, 12, 28, 41
NOERROR, FORMERR, SERVFAIL, NXDOMAIN, REFUSED = 0, 1, 2, 3, 5

_HEADER = struct.Struct("!6H")
_PLAIN_LIMIT = 512
# RFC 9715's advice for UDP: it passes every link without fragments.
_EDNS_LIMIT = 1232


class MalformedError(ValueError):
    """The bytes are no query of one question."""


@dataclass(frozen=True)
class Query:
    """One question: `name` in lower case without its last dot; `raw` is the message it came in."""

    id: int
    name: str
    kind: int
    recursion: bool
    question: bytes
    edns: int
    raw: bytes

    @property
    def limit(self) -> int:
        """Bytes an answer by UDP may have."""
        return max(_PLAIN_LIMIT, min(self.edns, _EDNS_LIMIT))


def parse(data: bytes) -> Query:
    """Read a query. Raises MalformedError."""
    if len(data) < 17:
        raise MalformedError("too short")
    key, flags, questions, _, _, additional = _HEADER.unpack_from(data)
    if flags & 0x8000 or flags & 0x7800 or questions != 1:
        raise MalformedError("not a query with one question")
    labels, offset = _labels(data, 12)
    if offset + 4 > len(data):
        raise MalformedError("question cut off")
    kind, _ = struct.unpack_from("!2H", data, offset)
    end = offset + 4
    return Query(
        id=key,
        name=b".".join(labels).decode("ascii", "replace").lower(),
        kind=kind,
        recursion=bool(flags & 0x0100),
        question=data[12:end],
        edns=_edns_size(data, end) if additional else 0,
        raw=data,
    )


def answer(
    query: Query, records: list[str], ttl: int, *, limit: int = 65535, code: int = NOERROR
) -> bytes:
    """A reply: `records` are addresses for A and AAAA, a name for PTR; cut to `limit` bytes.

    A reply that is cut says so (TC), and the client asks again by TCP.
    """
    encoded = [_record(query.kind, text, ttl) for text in records]
    tail = b"\0" + struct.pack("!HHIH", OPT, _EDNS_LIMIT, 0, 0) if query.edns else b""
    size = _HEADER.size + len(query.question) + len(tail)
    kept = []
    for record in encoded:
        size += len(record)
        if size > limit:
            break
        kept.append(record)
    flags = 0x8080 | (0x0100 if query.recursion else 0) | code
    flags |= 0x0200 if len(kept) < len(encoded) else 0
    header = _HEADER.pack(query.id, flags, 1, len(kept), 0, 1 if tail else 0)
    return header + query.question + b"".join(kept) + tail


def failure(data: bytes, code: int) -> bytes:
    """A reply without a question to a message that cannot be read; b"" when it has no id."""
    if len(data) < 2:
        return b""
    return data[:2] + struct.pack("!5H", 0x8080 | code, 0, 0, 0, 0)


def with_id(data: bytes, key: int) -> bytes:
    """The same message under another id."""
    return struct.pack("!H", key) + data[2:]


def is_reply_to(data: bytes, query: Query, key: int) -> bool:
    """Whether this is the answer to `query` sent under id `key`: same id, same question."""
    if len(data) < _HEADER.size:
        return False
    got, flags, questions, _, _, _ = _HEADER.unpack_from(data)
    if got != key or not flags & 0x8000:
        return False
    # A server that refuses or fails may leave the question out.
    asked = data[12 : 12 + len(query.question)]
    return questions == 0 or asked.lower() == query.question.lower()


def code_of(data: bytes) -> int:
    """The response code of a message."""
    return data[3] & 15


def is_truncated(data: bytes) -> bool:
    """Whether the message was cut to fit UDP."""
    return bool(data[2] & 2)


def reverse_address(name: str) -> str | None:
    """The address a PTR query is about; None for a name that is not of that kind."""
    try:
        if name.endswith(".in-addr.arpa"):
            return str(IPv4Address(".".join(reversed(name.split(".")[:-2]))))
        if name.endswith(".ip6.arpa"):
            digits = "".join(reversed(name.split(".")[:-2]))
            return str(IPv6Address(int(digits, 16))) if len(digits) == 32 else None
    except ValueError:
        return None
    return None


def _labels(data: bytes, offset: int) -> tuple[list[bytes], int]:
    labels: list[bytes] = []
    while True:
        if offset >= len(data):
            raise MalformedError("name cut off")
        length = data[offset]
        offset += 1
        if length == 0:
            return labels, offset
        if length > 63 or offset + length > len(data):
            raise MalformedError("bad label")
        labels.append(data[offset : offset + length])
        offset += length


def _edns_size(data: bytes, offset: int) -> int:
    if offset + 11 <= len(data) and data[offset] == 0:
        kind, size = struct.unpack_from("!2H", data, offset + 1)
        return size if kind == OPT else 0
    return 0


def _record(kind: int, text: str, ttl: int) -> bytes:
    data = _encode_name(text) if kind == PTR else ip_address(text).packed
    # 0xc00c points to the name in the question.
    return struct.pack("!HHHIH", 0xC00C, kind, 1, ttl, len(data)) + data


def _encode_name(name: str) -> bytes:
    labels = [label.encode("ascii", "replace")[:63] for label in name.strip(".").split(".")]
    return b"".join(bytes([len(label)]) + label for label in labels) + b"\0"
