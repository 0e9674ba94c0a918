"""Multiplexed streams come apart the same however the network cuts them."""

from __future__ import annotations

import pytest
from bayplan.client.frames import STDERR, STDOUT, Demultiplexer
from hypothesis import given
from hypothesis import strategies as st

FRAMES = st.lists(st.tuples(st.sampled_from([STDOUT, STDERR]), st.binary(max_size=40)), max_size=12)


def encode(frames: list[tuple[int, bytes]]) -> bytes:
    return b"".join(bytes([s, 0, 0, 0]) + len(d).to_bytes(4, "big") + d for s, d in frames)


def joined(pieces: list[tuple[int, bytes]]) -> dict[int, bytes]:
    out: dict[int, bytes] = {}
    for stream, data in pieces:
        out[stream] = out.get(stream, b"") + data
    return {stream: data for stream, data in out.items() if data}


@given(FRAMES, st.data())
def test_any_cut_gives_the_same_streams(
    frames: list[tuple[int, bytes]], data: st.DataObject
) -> None:
    raw = encode(frames)
    decoder = Demultiplexer()
    got: list[tuple[int, bytes]] = []
    while raw:
        size = data.draw(st.integers(1, len(raw)))
        got += decoder.feed(raw[:size])
        raw = raw[size:]
    assert joined(got) == joined(frames)


def test_a_frame_is_passed_on_before_it_is_complete() -> None:
    raw = encode([(STDOUT, b"abcdef")])
    decoder = Demultiplexer()
    assert decoder.feed(raw[:10]) == [(STDOUT, b"ab")]
    assert decoder.feed(raw[10:]) == [(STDOUT, b"cdef")]


@pytest.mark.parametrize("raw", [b"hello wo", b"\x09\0\0\0\0\0\0\1", b"\1\0\1\0\0\0\0\1"])
def test_what_is_no_frame_is_refused(raw: bytes) -> None:
    with pytest.raises(ValueError, match="not a multiplexed stream"):
        Demultiplexer().feed(raw)
