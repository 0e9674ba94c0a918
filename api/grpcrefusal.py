"""The one answer of a gRPC server that serves nothing: why, on every call.

BuildKit's clients show what a call was refused with, and never the body of an HTTP error: to be
told anything, they must be let in. HTTP/2 (RFC 9113) as far as it takes: a call's headers are
not even read, and headers are answered uncompressed (RFC 7541, 6.2.2).
"""

from __future__ import annotations

import struct
from urllib.parse import quote

_PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
_DATA, _HEADERS, _SETTINGS, _PING, _GOAWAY = 0, 1, 4, 6, 7
_ACK = _END_STREAM = 1
_END_HEADERS = 4
# RFC 9113, 4.2: more was never allowed to the client.
_LARGEST = 16384
_STATUS_OK = b"\x88"
_UNIMPLEMENTED = "12"


class Refusal:
    """One connection: `take` what the client sent, send what that gives; None ends it."""

    def __init__(self, sentence: str) -> None:
        # gRPC over HTTP/2, "Status-Message": percent-encoded.
        message = quote(sentence, safe=" !\"#$&'()*+,-./:;<=>?@[]^_`{|}~")
        self._answer = _STATUS_OK + b"".join(
            (
                _field("content-type", "application/grpc"),
                _field("grpc-status", _UNIMPLEMENTED),
                _field("grpc-message", message),
            )
        )
        self._buffer = b""
        self._preface = len(_PREFACE)
        self._started = False

    def take(self, data: bytes) -> bytes | None:
        """The answer to these bytes; None when the client speaks something else, or is done."""
        self._buffer += data
        out = b""
        if self._preface:
            if not _PREFACE.startswith(self._buffer[: self._preface]):
                return None
            if len(self._buffer) < self._preface:
                return b""
            self._buffer = self._buffer[self._preface :]
            self._preface = 0
            out += _frame(_SETTINGS, 0, 0)
        while len(self._buffer) >= 9:
            length = int.from_bytes(self._buffer[:3], "big")
            kind, flags, stream = struct.unpack(">BBL", self._buffer[3:9])
            if length > _LARGEST or kind == _GOAWAY:
                return None
            if len(self._buffer) < 9 + length:
                break
            payload, self._buffer = self._buffer[9 : 9 + length], self._buffer[9 + length :]
            if kind in (_SETTINGS, _PING) and not flags & _ACK:
                out += _frame(kind, _ACK, 0, payload if kind == _PING else b"")
            elif kind == _HEADERS:
                out += _frame(_HEADERS, _END_STREAM | _END_HEADERS, stream, self._answer)
        return out


def _frame(kind: int, flags: int, stream: int, payload: bytes = b"") -> bytes:
    head = len(payload).to_bytes(3, "big") + struct.pack(">BBL", kind, flags, stream & 0x7FFFFFFF)
    return head + payload


def _field(name: str, value: str) -> bytes:
    return b"\0" + _text(name) + _text(value)


def _text(text: str) -> bytes:
    """A string literal: its length as an integer with a prefix of 7 bits (RFC 7541, 5.1)."""
    data = text.encode("ascii")
    size = len(data)
    if size < 127:
        return bytes([size]) + data
    size -= 127
    out = bytearray([127])
    while size >= 128:
        out.append(size & 127 | 128)
        size >>= 7
    out.append(size)
    return bytes(out) + data
