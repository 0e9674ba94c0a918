"""What a writable layer changes, as `docker diff` tells it."""

from __future__ import annotations

import contextlib
import os
import stat
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from ..host.errors import BayError
from .lowers import Lowers, is_opaque
from .rootfd import is_whiteout

MODIFIED, ADDED, DELETED = 0, 1, 2


@dataclass(frozen=True)
class Change:
    """One changed path (`/etc/passwd`); `kind` as Docker's API numbers them."""

    kind: int
    path: str


def compare(upper: Path, lowers: Sequence[Path]) -> list[Change]:
    """The changes that `upper` makes to `lowers` (top first), sorted by path.

    A folder counts as modified when its own look changed or something in it did, as Docker has
    it; a file that was copied up and is as before does not count. Raises BayError for a tree
    that is deeper than paths can name.
    """
    found: dict[bytes, int] = {}
    with explained():
        _folder(os.fsencode(upper), b"", Lowers(lowers), found)
    return [Change(kind, os.fsdecode(b"/" + path)) for path, kind in sorted(found.items())]


def differs(upper: Path, lowers: Sequence[Path]) -> bool:
    """Whether `compare` would find any change. Raises BayError as it does."""
    with explained():
        try:
            _folder(os.fsencode(upper), b"", Lowers(lowers), _First())
        except _FoundError:
            return True
    return False


class _FoundError(Exception):
    """There is a change."""


class _First(dict[bytes, int]):
    """Takes the first change for an answer."""

    def __setitem__(self, path: bytes, kind: int) -> None:
        raise _FoundError


@contextlib.contextmanager
def explained() -> Iterator[None]:
    """Inside, a tree that is too deep or cannot be read is a BayError."""
    try:
        yield
    except RecursionError:
        raise BayError("the container's file system is too deep to be compared") from None
    except OSError as error:
        raise BayError(f"cannot compare the container's files: {error.strerror}") from error


def _folder(upper: bytes, path: bytes, view: Lowers | None, found: dict[bytes, int]) -> bool:
    """Compare a folder's entries; True when one of them changed."""
    changed = False
    place = upper + b"/" + path if path else upper
    names = set()
    for entry in os.scandir(place):
        names.add(entry.name)
        try:
            now = entry.stat(follow_symlinks=False)
        except FileNotFoundError:
            continue  # the container removed it meanwhile
        child = path + b"/" + entry.name if path else entry.name
        changed |= _entry(upper, child, now, view, found)
    if view is not None and is_opaque(place):
        for name in view.listing(path) - names:
            found[path + b"/" + name if path else name] = DELETED
            changed = True
    return changed


def _entry(
    upper: bytes, path: bytes, now: os.stat_result, view: Lowers | None, found: dict[bytes, int]
) -> bool:
    """Compare one entry; without a `view` there is nothing below it: its folder is new."""
    before = view.lstat(path) if view is not None else None
    if is_whiteout(now):
        if before is not None:
            found[path] = DELETED
        return before is not None
    is_folder = stat.S_ISDIR(now.st_mode)
    was_folder = before is not None and stat.S_ISDIR(before.st_mode)
    below = is_folder and _folder(upper, path, view if was_folder else None, found)
    if before is None:
        found[path] = ADDED
    elif below or _looks_different(before, now):
        found[path] = MODIFIED
    else:
        return False
    return True


def _looks_different(before: os.stat_result, now: os.stat_result) -> bool:
    if (before.st_mode, before.st_uid, before.st_gid) != (now.st_mode, now.st_uid, now.st_gid):
        return True
    if stat.S_ISDIR(now.st_mode):
        return False  # its size and time tell of its entries
    old = (before.st_mtime_ns, before.st_size, before.st_rdev)
    return old != (now.st_mtime_ns, now.st_size, now.st_rdev)
