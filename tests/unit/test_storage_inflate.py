"""Compressed streams come out whole, whatever their members and pieces, or are refused."""

from __future__ import annotations

import bz2
import gzip
import io
import itertools
import lzma
from collections.abc import Callable

import pytest
import zstandard
from bayplan.host.errors import InvalidError
from bayplan.storage import digests
from bayplan.storage.ahead import read_ahead
from bayplan.storage.inflate import Source, inflate, is_compressed, layer_type
from hypothesis import given, settings
from hypothesis import strategies as st

CODECS: dict[str, Callable[[bytes], bytes]] = {
    "gzip": lambda data: gzip.compress(data, 1),
    "zstd": lambda data: zstandard.ZstdCompressor(write_checksum=True).compress(data),
    "bzip2": bz2.compress,
    "xz": lzma.compress,
    "none": lambda data: b"plain." + data,
}
SKIPPABLE = b"\x50\x2a\x4d\x18\x03\x00\x00\x00abc"


def chunks(data: bytes, step: int) -> list[bytes]:
    return [data[at : at + step] for at in range(0, len(data), step)]


def whole(data: bytes, step: int = 1 << 20) -> bytes:
    return b"".join(inflate(Source(chunks(data, step))))


@pytest.mark.parametrize("codec", CODECS)
@settings(max_examples=40, deadline=None)
@given(parts=st.lists(st.binary(max_size=3000), min_size=1, max_size=4), step=st.integers(1, 999))
def test_members_are_joined(codec: str, parts: list[bytes], step: int) -> None:
    packed = [CODECS[codec](part) for part in parts]
    expected = b"".join(packed if codec == "none" else parts)
    assert whole(b"".join(packed), step) == expected


def test_a_large_stream_comes_in_bounded_pieces() -> None:
    data = bytes(9_000_000) + b"end"
    for codec in CODECS:
        pieces = list(inflate(Source([CODECS[codec](data)])))
        assert max(map(len, pieces)) <= 1 << 20
        assert b"".join(pieces).endswith(data)


def test_skippable_frames_are_skipped() -> None:
    frames = SKIPPABLE + zstandard.compress(b"a") + SKIPPABLE + zstandard.compress(b"b") + SKIPPABLE
    for step in (1, 3, 1000):
        assert whole(frames, step) == b"ab"


@pytest.mark.parametrize("codec", [name for name in CODECS if name != "none"])
def test_a_cut_stream_is_refused_wherever_it_is_cut(codec: str) -> None:
    packed = CODECS[codec](bytes(range(256)) * 20)
    for size in range(7, len(packed), max(1, len(packed) // 50)):
        with pytest.raises(InvalidError):
            whole(packed[:size])


@pytest.mark.parametrize("codec", ["gzip", "zstd", "bzip2", "xz"])
def test_a_flipped_bit_is_found(codec: str) -> None:
    packed = bytearray(CODECS[codec](bytes(range(256)) * 20))
    packed[len(packed) // 2] ^= 0x10
    with pytest.raises(InvalidError):
        whole(bytes(packed))


def test_padding_after_gzip_is_allowed_and_garbage_is_not() -> None:
    packed = gzip.compress(b"x")
    assert whole(packed + bytes(10_000)) == b"x"
    for garbage in (b"x", b"x" * 20):
        with pytest.raises(InvalidError, match=r"ends early|Not a gzipped file"):
            whole(packed + bytes(10) + garbage)


def test_a_gzip_header_without_end_takes_no_memory() -> None:
    """Its file name may be of any length: a hostile one is refused, not collected."""
    begun = b"\x1f\x8b\x08\x08" + bytes(6)
    pieces = itertools.chain([begun], itertools.repeat(b"x" * 100_000, 1000))
    with pytest.raises(InvalidError, match="header exceeds"):
        list(inflate(Source(pieces)))
    assert sum(map(len, pieces)) > 90_000_000


def test_the_media_type_is_that_of_the_bytes() -> None:
    found = {name: layer_type(pack(b"x" * 10)[:6]) for name, pack in CODECS.items()}
    assert found == {
        "gzip": digests.OCI_LAYER_GZIP,
        "zstd": digests.OCI_LAYER_ZSTD,
        "bzip2": None,
        "xz": None,
        "none": digests.OCI_LAYER,
    }
    assert is_compressed(SKIPPABLE[:6])


def test_a_source_reads_files_and_counts_what_was_used() -> None:
    seen: list[int] = []
    source = Source(io.BytesIO(b"0123456789"), lambda data: seen.append(len(data)))
    assert source.read(4) == b"0123"
    source.unread(b"23")
    assert source.count == 2
    assert source.read(100) + source.read(100) == b"23456789"
    assert source.read(1) == b""
    assert (source.count, seen) == (10, [10])


def test_reading_ahead_passes_errors_and_stops_when_closed() -> None:
    def endless() -> object:
        while True:
            made.append(1)
            yield b"x"

    def failing() -> object:
        yield b"x"
        raise InvalidError("broken")

    made: list[int] = []
    pieces = read_ahead(endless())  # type: ignore[arg-type] # a generator of bytes
    assert next(pieces) == b"x"
    pieces.close()
    count = len(made)
    assert count < 20
    with pytest.raises(InvalidError, match="broken"):
        list(read_ahead(failing()))  # type: ignore[arg-type] # likewise
    assert len(made) == count
