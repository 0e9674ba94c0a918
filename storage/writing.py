"""Putting a member's content into a file, its holes left out."""

from __future__ import annotations

import os

from .tarheader import Entry
from .tarstream import TarStream

# Runs of zeros are looked for in blocks of this size, in files worth it.
_HOLE = 64 << 10
_ZEROS = bytes(_HOLE)
WORTH = 256 << 10


def write_payload(fd: int, entry: Entry, stream: TarStream) -> None:
    """Write the member to the empty file `fd`, sparse where it is sparse. Raises OSError."""
    if entry.sparse is not None:
        for offset, length in entry.sparse:
            os.lseek(fd, offset, os.SEEK_SET)
            for piece in stream.take(length):
                _write(fd, piece)
        os.ftruncate(fd, entry.real_size)
    elif entry.size < WORTH:
        whole = stream.whole()
        if whole is not None:
            _write(fd, whole)
            return
        for piece in stream.payload():
            _write(fd, piece)
    else:
        for piece in stream.payload():
            _write_with_holes(fd, piece)
        os.ftruncate(fd, entry.size)


def _write(fd: int, view: memoryview) -> None:
    while view:
        view = view[os.write(fd, view) :]


def _write_with_holes(fd: int, view: memoryview) -> None:
    """Write the piece, seeking over blocks of zeros.

    Comparing costs a copy, so only blocks that begin and end with a zero are compared.
    """
    start = 0
    for at in range(0, len(view) - _HOLE + 1, _HOLE):
        end = at + _HOLE
        if view[at] or view[end - 1] or bytes(view[at:end]) != _ZEROS:
            continue
        if start < at:
            _write(fd, view[start:at])
        os.lseek(fd, _HOLE, os.SEEK_CUR)
        start = end
    if start < len(view):
        _write(fd, view[start:])
