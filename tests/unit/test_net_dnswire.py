"""DNS messages: what is written can be read, and no bytes from outside bring the reader down."""

from __future__ import annotations

import contextlib
import struct

import pytest
from bayplan.netns import dnswire
from hypothesis import example, given
from hypothesis import strategies as st

LABEL = st.text("abcdefghijklmnopqrstuvwxyz0123456789-_", min_size=1, max_size=63)


def query(name: str, kind: int = dnswire.A, edns: int = 0) -> bytes:
    labels = b"".join(bytes([len(part)]) + part.encode() for part in name.split("."))
    header = struct.pack("!6H", 0x1234, 0x0100, 1, 0, 0, 1 if edns else 0)
    extra = b"\0" + struct.pack("!HHIH", 41, edns, 0, 0) if edns else b""
    return header + labels + b"\0" + struct.pack("!2H", kind, 1) + extra


@given(st.lists(LABEL, min_size=1, max_size=3), st.integers(1, 255), st.sampled_from([0, 1232]))
def test_a_query_is_read_as_it_was_written(labels: list[str], kind: int, edns: int) -> None:
    read = dnswire.parse(query(".".join(labels), kind, edns))
    assert (read.name, read.kind, read.edns, read.id) == (".".join(labels), kind, edns, 0x1234)


@given(st.binary(max_size=80))
@example(query("a.b")[:-1])
@example(query("a")[:12] + b"\xc0\x0c" + b"\0\1\0\1")
def test_any_bytes_are_read_or_refused(data: bytes) -> None:
    with contextlib.suppress(dnswire.MalformedError):
        dnswire.parse(data)
    assert dnswire.failure(data, dnswire.FORMERR)[:2] == (data[:2] if len(data) > 1 else b"")


def test_an_answer_has_the_question_and_all_addresses() -> None:
    read = dnswire.parse(query("Web"))
    reply = dnswire.answer(read, ["10.0.0.1", "10.0.0.2"], 10)
    assert struct.unpack_from("!4H", reply) == (0x1234, 0x8180, 1, 2)
    assert reply[12:].startswith(b"\3Web\0")
    assert reply.endswith(bytes([10, 0, 0, 2]))
    assert dnswire.is_reply_to(reply, read, 0x1234)
    assert not dnswire.is_reply_to(reply, read, 0x1235)


def test_an_answer_that_does_not_fit_says_so() -> None:
    addresses = [f"10.0.{n}.1" for n in range(100)]
    small = dnswire.parse(query("web"))
    reply = dnswire.answer(small, addresses, 10, limit=small.limit)
    assert len(reply) <= 512 and dnswire.is_truncated(reply)
    large = dnswire.parse(query("web", edns=4096))
    reply = dnswire.answer(large, addresses, 10, limit=large.limit)
    assert 512 < len(reply) <= 1232 and dnswire.is_truncated(reply)
    assert not dnswire.is_truncated(dnswire.answer(large, addresses, 10))


@pytest.mark.parametrize(
    ("name", "address"),
    [
        ("4.3.2.1.in-addr.arpa", "1.2.3.4"),
        (".".join(reversed("fd00" + "0" * 27 + "9")) + ".ip6.arpa", "fd00::9"),
        ("3.2.1.in-addr.arpa", None),
        ("x.ip6.arpa", None),
        ("example.com", None),
    ],
)
def test_reverse_names(name: str, address: str | None) -> None:
    assert dnswire.reverse_address(name) == address
