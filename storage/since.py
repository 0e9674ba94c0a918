"""What a writable layer has that a copy of it, taken earlier, has not, and the other way round.

Both lie upon the same lower layers; what is compared is what a container sees. Only what either
of the two holds is looked at, so that an image of any size costs nothing.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from .attributes import get_xattrs
from .changes import ADDED, DELETED, MODIFIED, explained
from .lowers import Lowers, is_opaque

# File systems stamp times by the tick of the kernel's clock, at most 10 ms long.
_TICK = 10_000_000
_BLOCK = 1 << 20


@dataclass(frozen=True)
class Difference:
    """One path (`/etc/passwd`) that was added, modified or deleted since (see changes.py).

    `mode` is the file's now, of what was deleted its earlier one. `size` are its bytes now,
    `before` those it had; a deleted folder counts with all that was in it, `held` entries.
    """

    kind: int
    path: str
    mode: int
    size: int
    before: int
    held: int = 0


def compare(earlier: Path, now: Path, lowers: Sequence[Path], taken: int) -> list[Difference]:
    """What changed from the writable layer `earlier` to `now`, sorted by path; blocks.

    `lowers` are the folders under both, the top one first; `taken` (ns) is when `earlier` was
    copied. A folder that only leads to a change is left out. What vanishes while this looks is
    left out, too. Raises BayError for a tree deeper than paths can name.
    """
    with explained():
        walk = _Walk(earlier, now, lowers, taken)
        walk.folder(b"", False, False)
    return sorted(walk.found, key=lambda one: one.path)


class _View:
    """One side: an upper folder over the lowers. A file of several names counts once."""

    def __init__(self, upper: Path, lowers: Sequence[Path]) -> None:
        self.upper = os.fsencode(upper)
        self.stack = Lowers([upper, *lowers])
        self._seen: set[tuple[int, int]] = set()

    def own(self, path: bytes) -> bytes:
        """Where the upper folder has `path`, if it does."""
        return self.upper + b"/" + path if path else self.upper

    def lstat(self, path: bytes) -> os.stat_result | None:
        try:
            return self.stack.lstat(path)
        except FileNotFoundError:
            return None

    def listing(self, path: bytes) -> set[bytes]:
        try:
            return self.stack.listing(path)
        except FileNotFoundError:
            return set()

    def own_names(self, path: bytes) -> set[bytes]:
        """The names in the upper's folder alone, whiteouts included."""
        try:
            return {entry.name for entry in os.scandir(self.own(path))}
        except (FileNotFoundError, NotADirectoryError):
            return set()

    def size(self, found: os.stat_result | None) -> int:
        """Bytes of a file, 0 for what is none or was counted under another name."""
        if found is None or not stat.S_ISREG(found.st_mode):
            return 0
        if found.st_nlink > 1:
            key = (found.st_dev, found.st_ino)
            if key in self._seen:
                return 0
            self._seen.add(key)
        return found.st_size


class _Walk:
    def __init__(self, earlier: Path, now: Path, lowers: Sequence[Path], taken: int) -> None:
        self._old = _View(earlier, lowers)
        self._new = _View(now, lowers)
        self._taken = taken
        self.found: list[Difference] = []

    def folder(self, path: bytes, old_hides: bool, new_hides: bool) -> None:
        """Compare a folder that both have. `…_hides`: an opaque one above hides the lowers."""
        old_hides = old_hides or is_opaque(self._old.own(path))
        new_hides = new_hides or is_opaque(self._new.own(path))
        if old_hides == new_hides:
            names = self._old.own_names(path) | self._new.own_names(path)
        else:
            names = self._old.listing(path) | self._new.listing(path)
        for name in sorted(names):
            self._entry(path + b"/" + name if path else name, old_hides, new_hides)

    def _entry(self, path: bytes, old_hides: bool, new_hides: bool) -> None:
        before, after = self._old.lstat(path), self._new.lstat(path)
        if before is None and after is None:
            return
        if before is None and after is not None:
            self._added(path, after)
        elif after is None and before is not None:
            self._add(DELETED, path, before.st_mode, 0, *self._whole(path, before))
        elif before is not None and after is not None:
            were, are = stat.S_ISDIR(before.st_mode), stat.S_ISDIR(after.st_mode)
            if were and are:
                if _ownership(before) != _ownership(after) or self._attributes_differ(path, after):
                    self._add(MODIFIED, path, after.st_mode, 0, 0)
                self.folder(path, old_hides, new_hides)
            elif were or are:
                whole = self._whole(path, before)
                self._add(MODIFIED, path, after.st_mode, self._new.size(after), *whole)
                if are:
                    self._all_added(path)
            elif self._differs(path, before, after):
                sizes = self._new.size(after), self._old.size(before)
                self._add(MODIFIED, path, after.st_mode, *sizes)

    def _add(
        self, kind: int, path: bytes, mode: int, size: int, before: int, held: int = 0
    ) -> None:
        shown = "/" + os.fsdecode(path)
        self.found.append(Difference(kind, shown, mode, size, before, held))

    def _added(self, path: bytes, found: os.stat_result) -> None:
        self._add(ADDED, path, found.st_mode, self._new.size(found), 0)
        if stat.S_ISDIR(found.st_mode):
            self._all_added(path)

    def _all_added(self, path: bytes) -> None:
        for name in sorted(self._new.listing(path)):
            child = path + b"/" + name
            found = self._new.lstat(child)
            if found is not None:
                self._added(child, found)

    def _whole(self, path: bytes, found: os.stat_result) -> tuple[int, int]:
        """Bytes of an earlier file or folder, and how many entries were below it."""
        if not stat.S_ISDIR(found.st_mode):
            return self._old.size(found), 0
        size = held = 0
        for name in self._old.listing(path):
            child = path + b"/" + name
            look = self._old.lstat(child)
            if look is not None:
                inner, below = self._whole(child, look)
                size, held = size + inner, held + below + 1
        return size, held

    def _differs(self, path: bytes, before: os.stat_result, after: os.stat_result) -> bool:
        if (before.st_dev, before.st_ino) == (after.st_dev, after.st_ino):
            return False  # a lower layer's, seen by both
        if _look(before) != _look(after):
            return True
        if after.st_ctime_ns < self._taken - _TICK:
            return False  # nobody touched it since
        # Written to with its time put back; or a copy that a rollback made.
        old, new = self._old.stack.places(path)[:1], self._new.stack.places(path)[:1]
        if not old or not new:
            return False
        if get_xattrs(old[0]) != get_xattrs(new[0]):
            return True
        if stat.S_ISLNK(after.st_mode):
            return os.readlink(old[0]) != os.readlink(new[0])
        return stat.S_ISREG(after.st_mode) and not _same_content(old[0], new[0])

    def _attributes_differ(self, path: bytes, after: os.stat_result) -> bool:
        if after.st_ctime_ns < self._taken - _TICK:
            return False
        old, new = self._old.stack.places(path)[:1], self._new.stack.places(path)[:1]
        return bool(old and new) and old != new and get_xattrs(old[0]) != get_xattrs(new[0])


def _ownership(found: os.stat_result) -> tuple[int, int, int]:
    return found.st_mode, found.st_uid, found.st_gid


def _look(found: os.stat_result) -> tuple[int, ...]:
    return (*_ownership(found), found.st_mtime_ns, found.st_size, found.st_rdev)


def _same_content(one: bytes, other: bytes) -> bool:
    flags = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
    try:
        with open(os.open(one, flags), "rb", 0) as old, open(os.open(other, flags), "rb", 0) as new:
            while piece := old.read(_BLOCK):
                if new.read(_BLOCK) != piece:
                    return False
            return not new.read(1)
    except FileNotFoundError:
        return False
