"""What a layer's tar holds besides its files, so that the very same tar can be made again.

Registries know a layer by the digest of its tar, and two tars of one tree differ in many ways.
Keeping the archive beside the unpacked files would double the disk used; headers and padding
alone are 0.5 MB for 24,000 files. See docs/decisions/0009-layers-by-diff-id.md.

A journal is a zstd stream of records: `R` length bytes, or `P` offset length path-length path:
so many bytes of that file of the layer. A file replaced later in its own archive moves to
`lost/<n>`; `moved` lists (payloads written before that, old path, n).
"""

from __future__ import annotations

import hashlib
import json
import os
import struct
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

import zstandard

from ..host import syscalls
from ..host.errors import BayError

_RAW = struct.Struct("<cI")
_PAYLOAD = struct.Struct("<cQQH")
_FLUSH = 256 << 10
_COPY = 1 << 20


class Journal:
    """Writes the journal of one layer while it is unpacked. A context manager."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._file: BinaryIO = (folder / "journal.zst").open("xb")
        self._out = zstandard.ZstdCompressor(level=1).stream_writer(self._file, closefd=False)
        self._raw = bytearray()
        self._records = bytearray()
        self._payloads = 0
        self._moved: list[tuple[int, str, int]] = []

    def __enter__(self) -> Journal:
        return self

    def __exit__(self, *_: object) -> None:
        self._file.close()

    def raw(self, data: bytes) -> None:
        """The next bytes of the archive are these."""
        self._raw += data
        if len(self._raw) >= _FLUSH:
            self._flush()

    def payload(self, path: bytes, offset: int, length: int) -> None:
        """The next `length` bytes of the archive are those of `path` (in the layer) there."""
        self._close_raw()
        self._records += _PAYLOAD.pack(b"P", offset, length, len(path))
        self._records += path
        self._payloads += 1

    def displace(self, path: bytes) -> Path:
        """Where to move what was unpacked at `path`, which a later entry replaces."""
        lost = self._folder / "lost"
        lost.mkdir(exist_ok=True)
        number = len(self._moved)
        self._moved.append((self._payloads, os.fsdecode(path), number))
        return lost / str(number)

    def finish(self) -> None:
        """Write what is pending; the journal is whole then."""
        self._flush()
        self._out.flush(zstandard.FLUSH_FRAME)
        if self._moved:
            (self._folder / "moved").write_text(json.dumps(self._moved), encoding="ascii")

    def _close_raw(self) -> None:
        if self._raw:
            self._records += _RAW.pack(b"R", len(self._raw))
            self._records += self._raw
            self._raw.clear()
            if len(self._records) >= _FLUSH:
                self._write()

    def _flush(self) -> None:
        self._close_raw()
        self._write()

    def _write(self) -> None:
        self._out.write(bytes(self._records))
        self._records.clear()


def replay(folder: Path, diff_id: str) -> Iterator[bytes]:
    """The tar that `folder` was unpacked from, bit by bit.

    Raises BayError, at the end, when what came out is not `diff_id`: the disk was written to.
    """
    hasher = hashlib.sha256()
    try:
        for chunk in _records(folder):
            hasher.update(chunk)
            yield chunk
    except (OSError, EOFError, zstandard.ZstdError, struct.error) as error:
        raise BayError(f"layer {diff_id} is damaged on disk ({error}): pull its image again") from (
            error
        )
    if "sha256:" + hasher.hexdigest() != diff_id:
        raise BayError(f"layer {diff_id} was changed on disk: remove its image and pull it again")


def _records(folder: Path) -> Iterator[bytes]:
    moved = _Moved(folder)
    tree = os.open(folder / "fs", os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        with open(folder / "journal.zst", "rb") as file:
            stream = zstandard.ZstdDecompressor().stream_reader(file)
            count = 0
            while kind := stream.read(1):
                if kind == b"R":
                    (length,) = struct.unpack("<I", _exactly(stream, 4))
                    yield _exactly(stream, length)
                    continue
                offset, length, size = struct.unpack("<QQH", _exactly(stream, 18))
                path = _exactly(stream, size)
                yield from _content(moved, tree, path, count, offset, length)
                count += 1
    finally:
        os.close(tree)


class _Moved:
    """Finds a payload among those moved out of the tree."""

    def __init__(self, folder: Path) -> None:
        self._lost = os.fsencode(folder / "lost")
        try:
            rows = json.loads((folder / "moved").read_text(encoding="ascii"))
        except FileNotFoundError:
            rows = []
        self._rows = [(limit, os.fsencode(path), number) for limit, path, number in rows]

    def find(self, path: bytes, count: int) -> bytes | None:
        for limit, old, number in self._rows:
            if count < limit and (path == old or path.startswith(old + b"/")):
                return self._lost + b"/%d" % number + path[len(old) :]
        return None


def _content(
    moved: _Moved, tree: int, path: bytes, count: int, offset: int, length: int
) -> Iterator[bytes]:
    lost = moved.find(path, count)
    if lost is not None:
        fd = os.open(lost, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC)
    else:
        rule = syscalls.RESOLVE_BENEATH | syscalls.RESOLVE_NO_SYMLINKS
        fd = syscalls.openat2(tree, path, os.O_RDONLY | os.O_NOFOLLOW, resolve=rule)
    try:
        while length:
            chunk = os.pread(fd, min(length, _COPY), offset)
            if not chunk:
                raise EOFError(f"{os.fsdecode(path)} is too short")
            offset += len(chunk)
            length -= len(chunk)
            yield chunk
    finally:
        os.close(fd)


def _exactly(stream: BinaryIO | zstandard.ZstdDecompressionReader, size: int) -> bytes:
    data = stream.read(size)
    while len(data) < size:
        more = stream.read(size - len(data))
        if not more:
            raise EOFError("its journal is cut")
        data += more
    return data
