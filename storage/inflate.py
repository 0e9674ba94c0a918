"""Decompression in this process: gzip (many members), zstd (many frames), bzip2, xz, or none.

Never by an external program: one found inside an image's own tree was CVE-2026-41567. What is
given out at once is bounded, whatever the input claims.
"""

from __future__ import annotations

import bz2
import io
import lzma
from collections.abc import Callable, Iterable, Iterator
from typing import Any, BinaryIO, Protocol, cast

import zstandard
from isal import igzip, isal_zlib

from ..host.errors import InvalidError
from . import digests

# Its own class, not zlib.error; its stub says it is an instance.
IsalError = cast(type[Exception], isal_zlib.error)

_OUTPUT = 1 << 20
_INPUT = 256 << 10
# Above FREE bytes of output, a stream may not be over RATIO times its input. deflate cannot pass
# 1032, so this only meets zstd, xz and bzip2 bombs.
_RATIO = 1100
_FREE = 4 << 30
# Frames that need more memory than this to decode are refused (`zstd --ultra -22` needs 128 MiB).
_WINDOW = 128 << 20

_GZIP = b"\x1f\x8b"
_ZSTD = b"\x28\xb5\x2f\xfd"
_SKIPPABLE = b"\x2a\x4d\x18"
_BZIP2 = b"BZh"
_XZ = b"\xfd7zXZ\x00"
# `xz -9` wants 65 MiB; a header may ask for 4 GiB.
_XZ_MEMORY = 256 << 20


class Readable(Protocol):
    """Anything with `read(n)`, that gives b"" at the end."""

    def read(self, size: int = -1, /) -> bytes:
        """At most `size` bytes."""


class Source(io.RawIOBase):
    """`read(n)` over an iterable of chunks or a file, counting and showing what passes.

    `head` is its first six bytes, once `inflate` has looked at them.
    """

    def __init__(
        self, origin: Iterable[bytes] | Readable, seen: Callable[[bytes], None] | None = None
    ) -> None:
        self._file = origin if hasattr(origin, "read") else None
        self._chunks = iter(()) if self._file is not None else iter(origin)  # type: ignore[arg-type] # hasattr() above tells the two apart
        self._rest = b""
        self._at = 0
        self._seen = seen
        self.count = 0
        self.head = b""

    def readable(self) -> bool:
        """Always."""
        return True

    def read(self, size: int = -1, /) -> bytes:
        """At most `size` bytes (`_INPUT` when negative), b"" only at the end."""
        size = _INPUT if size < 0 else size
        if self._at == len(self._rest):
            self._rest, self._at = self._next(size), 0
        data = self._rest[self._at : self._at + size]
        self._at += len(data)
        self.count += len(data)
        return data

    def readinto(self, buffer: Any, /) -> int:
        """Fill `buffer` as far as a `read` goes; how many bytes. 0 only at the end."""
        data = self.read(len(buffer))
        buffer[: len(data)] = data
        return len(data)

    def unread(self, data: bytes) -> None:
        """Put `data` back in front; it will be counted again."""
        self._rest, self._at = data + self._rest[self._at :], 0
        self.count -= len(data)

    def _next(self, size: int) -> bytes:
        if self._file is not None:
            data = self._file.read(max(size, _INPUT))
        else:
            data = next((chunk for chunk in self._chunks if chunk), b"")
        if data and self._seen is not None:
            self._seen(data)
        return data


def inflate(source: Source) -> Iterator[bytes]:
    """The decompressed content of `source` in pieces of at most 1 MiB.

    The format is told by its first bytes: media types lie. Raises InvalidError when the stream
    is damaged, ends early, or expands beyond reason.
    """
    head = source.read(6)
    while 0 < len(head) < 6 and (more := source.read(6 - len(head))):
        head += more
    source.unread(head)
    source.head = head
    try:
        yield from _decoder(head)(source)
    except EOFError as error:
        raise InvalidError("the compressed data ends early") from error
    except (OSError, OverflowError, lzma.LZMAError, zstandard.ZstdError, IsalError) as error:
        if isinstance(error, OSError) and error.errno is not None:
            raise
        raise InvalidError(f"the compressed data is damaged: {error}") from error


def is_compressed(head: bytes) -> bool:
    """Whether content that begins so (6 bytes at least) is compressed in a way known here."""
    return _decoder(head) is not _plain


def layer_type(head: bytes) -> str | None:
    """The OCI media type of a layer that begins so; None for a compression OCI has none for."""
    if head.startswith(_GZIP):
        return digests.OCI_LAYER_GZIP
    decoder = _decoder(head)
    if decoder is _plain:
        return digests.OCI_LAYER
    return digests.OCI_LAYER_ZSTD if decoder is _zstd else None


def _decoder(head: bytes) -> Callable[[Source], Iterator[bytes]]:
    if head.startswith(_GZIP):
        return _gzip
    if head.startswith(_ZSTD) or (head[1:4] == _SKIPPABLE and head[0] & 0xF0 == 0x50):
        return _zstd
    if head.startswith(_BZIP2):
        return lambda source: _members(source, bz2.BZ2Decompressor, _BZIP2)
    if head.startswith(_XZ):
        return lambda source: _members(
            source, lambda: lzma.LZMADecompressor(memlimit=_XZ_MEMORY), _XZ
        )
    return _plain


def _plain(source: Source) -> Iterator[bytes]:
    while data := source.read(_OUTPUT):
        yield data


def _guard(made: int, source: Source) -> None:
    if made > _FREE and made > source.count * _RATIO:
        raise InvalidError(f"a bomb: {source.count} bytes expand to more than {made}")


def _gzip(source: Source) -> Iterator[bytes]:
    """All members, and zeros after the last one, as gzip(1) allows on tapes.

    A header may hold a name of any length; from 512 KiB on it is an OverflowError.
    """
    reader = igzip.IGzipFile(fileobj=cast(BinaryIO, source), mode="rb")
    while piece := reader.read(_OUTPUT):
        yield piece


def _members(source: Source, make: Callable[[], Any], magic: bytes) -> Iterator[bytes]:
    """bzip2's and xz's decoders stop after one member: start another until the input ends."""
    made = 0
    while data := source.read(_INPUT):
        if made and not data.startswith(magic[: len(data)]):
            _padding(data, source)
            return
        decoder = make()
        while True:
            piece = decoder.decompress(data, _OUTPUT)
            made += len(piece)
            _guard(made, source)
            if piece:
                yield piece
            if decoder.eof:
                source.unread(decoder.unused_data)
                break
            data = b""
            if decoder.needs_input and not (data := source.read(_INPUT)):
                raise InvalidError("the compressed data ends early")


def _padding(data: bytes, source: Source) -> None:
    """What follows the last member may only be zeros, as gzip(1) allows on tapes."""
    while data:
        if data.strip(b"\0"):
            raise InvalidError("the compressed data is followed by something else")
        data = source.read(_INPUT)


def _zstd(source: Source) -> Iterator[bytes]:
    """All frames, skippable ones left out; the reader bounds what it gives at once."""
    made = 0
    frames = _Frames(source)
    decoder = zstandard.ZstdDecompressor(max_window_size=_WINDOW)
    with decoder.stream_reader(
        cast(BinaryIO, frames), read_size=_INPUT, read_across_frames=True
    ) as reader:
        while piece := reader.read(_OUTPUT):
            made += len(piece)
            _guard(made, source)
            yield piece
    if not frames.complete:
        raise InvalidError("the compressed data ends early")


class _Frames:
    """Hands zstandard its input, and knows whether it stopped between two frames.

    zstandard's reader takes a cut stream for a finished one. The walk follows RFC 8878, 3.1.
    """

    def __init__(self, source: Source) -> None:
        self._source = source
        self._buffer = bytearray()
        self._skip = 0
        self._checksum = 0
        self._in_frame = False

    @property
    def complete(self) -> bool:
        return not (self._buffer or self._skip or self._in_frame)

    def read(self, size: int = -1, /) -> bytes:
        data = self._source.read(size)
        at = 0
        while at < len(data):
            if self._skip:
                step = min(self._skip, len(data) - at)
                self._skip -= step
            else:
                step = min(self._wanted() - len(self._buffer), len(data) - at)
                self._buffer += data[at : at + step]
                if len(self._buffer) == self._wanted():
                    self._header(bytes(self._buffer))
            at += step
        return data

    def _wanted(self) -> int:
        """How long the header being read is, as far as its first bytes tell."""
        if self._in_frame:
            return 3
        if len(self._buffer) < 5:
            return 5
        if self._buffer[1:4] == _SKIPPABLE:
            return 8
        flags = self._buffer[4]
        single = flags >> 5 & 1
        content = (single, 2, 4, 8)[flags >> 6]
        return 5 + (1 - single) + (0, 1, 2, 4)[flags & 3] + content

    def _header(self, header: bytes) -> None:
        self._buffer.clear()
        if self._in_frame:
            word = int.from_bytes(header, "little")
            # Type 1 is one byte to repeat; its size is that of the output.
            self._skip = 1 if word >> 1 & 3 == 1 else word >> 3
            if word & 1:
                self._skip += self._checksum
                self._in_frame = False
        elif header[1:4] == _SKIPPABLE:
            self._skip = int.from_bytes(header[4:8], "little")
        else:
            self._checksum = 4 if header[4] & 4 else 0
            self._in_frame = True
