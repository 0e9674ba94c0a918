"""The files Docker puts under every container, in a layer of their own.

The runtime needs places to mount `/proc`, `/etc/hosts` and so on. Made in the writable layer
they would show up in `docker diff` and in commits; made in the image they would change it.
Docker has a layer between the two with those the image lacks; so has this. A folder of the image
that is only passed through looks as in the image: overlayfs shows the mode and owner of the
topmost layer that has it.
"""

from __future__ import annotations

import os
import stat
import tempfile
import threading
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from .lowers import Lowers
from .trash import Trash

_USUAL = 0o755
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


@dataclass(frozen=True)
class _Variant:
    """What one lacks: a bit of `mask` for each wanted path, and the looks (mode, uid, gid) of the
    image's own folders that the missing ones lie in.
    """

    mask: int
    looks: tuple[tuple[str, int, int, int], ...]

    @property
    def name(self) -> str:
        """Its folder's name; the usual look is not spelled out."""
        shown = [
            f"{path}-{mode:o}-{uid}-{gid}"
            for path, mode, uid, gid in self.looks
            if (mode, uid, gid) != (_USUAL, 0, 0)
        ]
        return ".".join([f"{self.mask:x}", *shown])


class InitLayers:
    """The few variants of it, shared by all containers."""

    def __init__(self, root: Path, trash: Trash) -> None:
        self._root = root
        self._trash = trash
        self._lock = threading.Lock()
        self._known: dict[tuple[str, ...], _Variant] = {}
        root.mkdir(mode=0o700, exist_ok=True)

    def folder(self, lowers: Sequence[Path], chain: tuple[str, ...]) -> Path | None:
        """The layer to put on `lowers` (top first, of that `chain` of DiffIDs), if one is due."""
        with self._lock:
            variant = self._known.get(chain)
        if variant is None:
            variant = _missing(lowers)
            with self._lock:
                self._known[chain] = variant
        if not variant.mask:
            return None
        target = self._root / variant.name
        if not target.is_dir():
            with self._lock:
                self._make(target, variant)
        return target

    def _make(self, target: Path, variant: _Variant) -> None:
        if target.is_dir():
            return
        temporary = Path(tempfile.mkdtemp(prefix="tmp-", dir=self._root))
        temporary.chmod(_USUAL)
        for number, (path, kind) in enumerate(_WANTED):
            if not variant.mask >> number & 1:
                continue
            place = temporary / path
            if place.parent != temporary:
                _make_folder(place.parent)
            if kind == "d":
                _make_folder(place)
            elif kind == "f":
                place.touch()
                place.chmod(_USUAL)
            else:
                place.symlink_to("/proc/mounts")
        for path, mode, uid, gid in variant.looks:
            os.chown(temporary / path, uid, gid)
            # After chown(2), which takes set-ids away.
            (temporary / path).chmod(mode)
        os.rename(temporary, target)

    def sweep(self) -> None:
        """At open: remove half-made ones."""
        for entry in self._root.iterdir():
            if entry.name.startswith("tmp-"):
                self._trash.put(entry)


def _make_folder(path: Path) -> None:
    path.mkdir(exist_ok=True)
    path.chmod(_USUAL)


def _missing(lowers: Sequence[Path]) -> _Variant:
    """The wanted paths that the layers lack and have a place for."""
    view = Lowers(lowers)
    mask = 0
    looks: dict[str, tuple[str, int, int, int]] = {}
    for number, (path, _) in enumerate(_WANTED):
        above = path.rpartition("/")[0]
        if view.lstat(path.encode()) is not None:
            continue
        parent = view.lstat(above.encode()) if above else None
        # `/etc` as a link or a file: leave the image as it is.
        if parent is None or stat.S_ISDIR(parent.st_mode):
            mask |= 1 << number
        if parent is not None and stat.S_ISDIR(parent.st_mode):
            mode = stat.S_IMODE(parent.st_mode)
            looks[above] = (above, mode, parent.st_uid, parent.st_gid)
    return _Variant(mask, tuple(looks.values()))
