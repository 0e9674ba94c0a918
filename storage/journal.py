"""What a layer's tar holds besides its files, so that the very same tar can be made again.

Registries know a layer by the digest of its tar, and two tars of one tree differ in many ways.
Keeping the archive beside the unpacked files would double the disk used; headers and padding
alone are 0.5 MB for 24,000 files. See docs/decisions/0009-layers-by-diff-id.md.

A journal is a zstd stream of records: `R` length bytes, or `P` offset length path-length path:
so many bytes of that file of the layer. A file replaced later in its own archive moves to
`lost/<n>`; `moved` lists (payloads written before that, old path, n).
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import struct
from collections.abc import Generator, Iterator
from pathlib import Path
from typing import BinaryIO

import zstandard

from ..host import syscalls
from ..host.errors import BayError
from .ahead import read_ahead

_RAW = struct.Struct("<cI")
_PAYLOAD = struct.Struct("<cQQH")
# The same records behind their first byte.
_LENGTH = struct.Struct("<I")
_PLACE = struct.Struct("<QQH")
_FLUSH = 256 << 10
_COPY = 1 << 20


class Journal:
    """Writes the journal of one layer while it is unpacked. A context manager."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._file: BinaryIO = (folder / "journal.zst").open("xb")
        self._out = zstandard.ZstdCompressor(level=1).stream_writer(self._file, closefd=False)
        self._raw = bytearray()
        # Pieces of records, and about how many bytes they are.
        self._records: list[bytes] = []
        self._held = 0
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
        self._records += (_PAYLOAD.pack(b"P", offset, length, len(path)), path)
        self._held += len(path)
        self._payloads += 1

    def file(self, raw: bytes, path: bytes, length: int) -> None:
        """`raw`, and then `payload` of a file that begins there; of an empty one nothing."""
        if self._raw or not length:
            self.raw(raw)
            if length:
                self.payload(path, 0, length)
            return
        head, place = _RAW.pack(b"R", len(raw)), _PAYLOAD.pack(b"P", 0, length, len(path))
        self._records += (head, raw, place, path)
        self._held += len(raw) + len(path)
        self._payloads += 1
        if self._held >= _FLUSH:
            self._write()

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
            self._records += (_RAW.pack(b"R", len(self._raw)), bytes(self._raw))
            self._held += len(self._raw)
            self._raw.clear()
            if self._held >= _FLUSH:
                self._write()

    def _flush(self) -> None:
        self._close_raw()
        self._write()

    def _write(self) -> None:
        self._out.write(b"".join(self._records))
        self._records.clear()
        self._held = 0


def replay(folder: Path, diff_id: str) -> Generator[bytes, None, None]:
    """The tar that `folder` was unpacked from, bit by bit, in blocks of about a megabyte.

    A thread reads the files while the caller's hashes. Raises BayError, at the end, when what came
    out is not `diff_id`: the disk was written to.
    """
    hasher = hashlib.sha256()
    try:
        with contextlib.closing(read_ahead(_joined(_records(folder)))) as blocks:
            for block in blocks:
                hasher.update(block)
                yield block
    except (OSError, EOFError, zstandard.ZstdError, struct.error) as error:
        raise BayError(f"layer {diff_id} is damaged on disk ({error}): pull its image again") from (
            error
        )
    if "sha256:" + hasher.hexdigest() != diff_id:
        raise BayError(f"layer {diff_id} was changed on disk: remove its image and pull it again")


def _joined(pieces: Iterator[bytes]) -> Iterator[bytes]:
    """The pieces, small ones put together."""
    parts: list[bytes] = []
    size = 0
    for piece in pieces:
        parts.append(piece)
        size += len(piece)
        if size >= _COPY:
            yield b"".join(parts)
            parts.clear()
            size = 0
    if parts:
        yield b"".join(parts)


def _records(folder: Path) -> Iterator[bytes]:
    moved = _Moved(folder)
    tree = _Tree(folder / "fs")
    try:
        with open(folder / "journal.zst", "rb") as file:
            records = _Records(zstandard.ZstdDecompressor().stream_reader(file))
            count = 0
            while kind := records.kind():
                if kind == b"R":
                    (length,) = _LENGTH.unpack(records.take(4))
                    yield records.take(length)
                    continue
                offset, length, size = _PLACE.unpack(records.take(18))
                path = records.take(size)
                yield from _content(moved, tree, path, count, offset, length)
                count += 1
    finally:
        tree.close()


class _Tree:
    """Opens files below a folder, never through a link."""

    def __init__(self, root: Path) -> None:
        self._root = os.open(root, os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
        # The folder of the last file: the next one mostly lies there too.
        self._path = b""
        self._fd = os.dup(self._root)

    def open(self, path: bytes) -> int:
        """A descriptor to read from; raises OSError."""
        above, _, base = path.rpartition(b"/")
        if above != self._path:
            rule = syscalls.RESOLVE_BENEATH | syscalls.RESOLVE_NO_SYMLINKS
            flags = os.O_PATH | os.O_DIRECTORY
            try:
                fd = syscalls.openat2(self._root, above or b".", flags, resolve=rule)
            except OSError as error:
                raise OSError(error.errno, error.strerror, os.fsdecode(path)) from None
            os.close(self._fd)
            self._path, self._fd = above, fd
        try:
            return os.open(base, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC, dir_fd=self._fd)
        except OSError as error:
            raise OSError(error.errno, error.strerror, os.fsdecode(path)) from None

    def close(self) -> None:
        """Let go of the folders."""
        os.close(self._fd)
        os.close(self._root)


class _Records:
    """The journal's bytes, read in large pieces."""

    def __init__(self, stream: zstandard.ZstdDecompressionReader) -> None:
        self._stream = stream
        self._buffer = b""
        self._at = 0

    def kind(self) -> bytes:
        """The next record's first byte; b"" at the end."""
        if self._at == len(self._buffer):
            self._buffer, self._at = self._stream.read(_FLUSH), 0
        self._at += 1
        return self._buffer[self._at - 1 : self._at]

    def take(self, size: int) -> bytes:
        """The next `size` bytes; raises EOFError when there are fewer."""
        end = self._at + size
        while end > len(self._buffer):
            more = self._stream.read(max(_FLUSH, end - len(self._buffer)))
            if not more:
                raise EOFError("its journal is cut")
            self._buffer = self._buffer[self._at :] + more
            end -= self._at
            self._at = 0
        data = self._buffer[self._at : end]
        self._at = end
        return data


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
    moved: _Moved, tree: _Tree, path: bytes, count: int, offset: int, length: int
) -> Iterator[bytes]:
    lost = moved.find(path, count)
    if lost is not None:
        fd = os.open(lost, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC)
    else:
        fd = tree.open(path)
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
