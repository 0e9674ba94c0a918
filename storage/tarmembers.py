"""Files as members of a tar: what their stat says, their content, and small pieces put together."""

from __future__ import annotations

import os
import stat
from collections.abc import Generator, Iterable, Iterator

from . import tarheader as tar
from .tarheader import Entry
from .tarwriter import END, header, padding

_BLOCK = 1 << 20
# Up to here a file is read at once, and goes with its header.
_SMALL = 64 << 10
KINDS = {
    stat.S_IFREG: tar.REGULAR,
    stat.S_IFDIR: tar.DIRECTORY,
    stat.S_IFLNK: tar.SYMLINK,
    stat.S_IFCHR: tar.CHAR,
    stat.S_IFBLK: tar.BLOCKDEV,
    stat.S_IFIFO: tar.FIFO,
}


def entry_of(name: bytes, found: os.stat_result, xattrs: dict[str, bytes]) -> Entry:
    """The header of what `found` says, of one of KINDS, without a size and a link's target."""
    mode = found.st_mode
    is_device = stat.S_ISCHR(mode) or stat.S_ISBLK(mode)
    return Entry(
        name,
        KINDS[stat.S_IFMT(mode)],
        stat.S_IMODE(mode),
        found.st_uid,
        found.st_gid,
        0,
        found.st_mtime_ns,
        b"",
        os.major(found.st_rdev) if is_device else 0,
        os.minor(found.st_rdev) if is_device else 0,
        xattrs,
    )


def file(entry: Entry, fd: int, size: int) -> Iterator[bytes]:
    """A regular file of `size` bytes, read from `fd`: header, content, padding.

    One that grows or shrinks while it is read is cut, or filled with zeros.
    """
    entry.size = left = size
    head = header(entry)
    if left <= _SMALL:
        data = os.read(fd, left) if left else b""
        yield head + data.ljust(left, b"\0") + padding(left)
        return
    yield head
    while left:
        data = os.read(fd, min(left, _BLOCK)) or bytes(min(left, _BLOCK))
        left -= len(data)
        yield data
    yield padding(size)


def joined(pieces: Iterable[bytes]) -> Generator[bytes, None, None]:
    """The pieces with small ones put together, and the end of the archive after them."""
    buffer: list[bytes] = []
    size = 0
    for piece in pieces:
        buffer.append(piece)
        size += len(piece)
        if size >= _BLOCK:
            yield b"".join(buffer)
            buffer.clear()
            size = 0
    yield b"".join([*buffer, END])
