"""The files Docker puts under every container, in a layer of their own.

The runtime needs places to mount `/proc`, `/etc/hosts` and so on. Made in the writable layer
they would show up in `docker diff` and in commits; made in the image they would change it.
Docker has a layer between the two with those the image lacks; so has this.
"""

from __future__ import annotations

import os
import stat
import tempfile
import threading
from collections.abc import Sequence
from pathlib import Path

from .lowers import Lowers
from .trash import Trash

# (path, kind): d folder, f empty file, l link to /proc/mounts. A child comes after its folder.
_WANTED = (
    ("dev", "d"),
    ("dev/pts", "d"),
    ("dev/shm", "d"),
    ("dev/console", "f"),
    ("proc", "d"),
    ("sys", "d"),
    ("etc", "d"),
    ("etc/hosts", "f"),
    ("etc/hostname", "f"),
    ("etc/resolv.conf", "f"),
    ("etc/mtab", "l"),
    (".dockerenv", "f"),
)


class InitLayers:
    """The few variants of it, one for each set of missing files, shared by all containers."""

    def __init__(self, root: Path, trash: Trash) -> None:
        self._root = root
        self._trash = trash
        self._lock = threading.Lock()
        self._known: dict[tuple[str, ...], int] = {}
        root.mkdir(mode=0o700, exist_ok=True)

    def folder(self, lowers: Sequence[Path], chain: tuple[str, ...]) -> Path | None:
        """The layer to put on `lowers` (top first, of that `chain` of DiffIDs), if one is due."""
        with self._lock:
            mask = self._known.get(chain)
        if mask is None:
            mask = _missing(lowers)
            with self._lock:
                self._known[chain] = mask
        if not mask:
            return None
        target = self._root / f"{mask:x}"
        if not target.is_dir():
            with self._lock:
                self._make(target, mask, lowers)
        return target

    def _make(self, target: Path, mask: int, lowers: Sequence[Path]) -> None:
        if target.is_dir():
            return
        temporary = Path(tempfile.mkdtemp(prefix="tmp-", dir=self._root))
        temporary.chmod(0o755)
        for number, (path, kind) in enumerate(_WANTED):
            if not mask >> number & 1:
                continue
            place = temporary / path
            # A folder that the image has is only passed through; its look comes from here.
            if place.parent != temporary:
                _make_folder(place.parent)
            if kind == "d":
                _make_folder(place)
            elif kind == "f":
                place.touch()
                place.chmod(0o755)
            else:
                place.symlink_to("/proc/mounts")
        os.rename(temporary, target)

    def sweep(self) -> None:
        """At open: remove half-made ones."""
        for entry in self._root.iterdir():
            if entry.name.startswith("tmp-"):
                self._trash.put(entry)


def _make_folder(path: Path) -> None:
    path.mkdir(exist_ok=True)
    path.chmod(0o755)


def _missing(lowers: Sequence[Path]) -> int:
    """A bit for each wanted path that the layers lack and have a place for."""
    view = Lowers(lowers)
    mask = 0
    for number, (path, _) in enumerate(_WANTED):
        above = path.rpartition("/")[0]
        if view.lstat(path.encode()) is not None:
            continue
        parent = view.lstat(above.encode()) if above else None
        # `/etc` as a link or a file: leave the image as it is.
        if parent is None or stat.S_ISDIR(parent.st_mode):
            mask |= 1 << number
    return mask
