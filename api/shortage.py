"""What is told of a full disk: which it is, what it lacks, and what makes room on it."""

from __future__ import annotations

import os
from pathlib import Path

from ..host.errors import BayError, NoSpaceError

# Less than this is what a failure leaves; with more, it was another disk that had no room.
_BYTES, _INODES = 64 << 20, 1000


def told(error: BayError, root: Path) -> str:
    """The error's sentence; with no space left, and so little on the disk of `root`, the remedy."""
    if not isinstance(error, NoSpaceError):
        return error.message
    try:
        found = os.statvfs(root)
    except OSError:
        return error.message
    room = found.f_bavail * found.f_frsize
    # File systems without a count of inodes (btrfs) tell zero of zero.
    inodes = bool(found.f_files) and found.f_favail < _INODES
    if room >= _BYTES and not inodes:
        return error.message
    lack = " (it lacks inodes: many small files)" if inodes and room >= _BYTES >> 6 else ""
    disk = "" if str(root) in error.message else f" on the disk of {root}"
    return f"{error.message}: make room{disk}{lack}, with `bay system prune` for one"
