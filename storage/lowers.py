"""What a stack of lower directories shows, read without mounting it."""

from __future__ import annotations

import os
import stat
from collections.abc import Sequence
from pathlib import Path

from .attributes import OPAQUE
from .rootfd import is_whiteout


def is_opaque(path: str | bytes | Path) -> bool:
    """Whether a folder of a layer hides those below it."""
    try:
        return os.getxattr(path, OPAQUE, follow_symlinks=False) == b"y"
    except OSError:
        return False


def visible(lowers: Sequence[Path]) -> list[Path]:
    """`lowers`, top first, each once, down to one whose root is opaque.

    An image may have a layer twice, which overlayfs refuses (ELOOP): all that the lower one has,
    and all that it hides, the upper one has and hides as well. As for the mark: the kernel looks
    for it when it looks up a name, and nobody looks up the root.
    """
    shown: list[Path] = []
    for path in dict.fromkeys(lowers):
        shown.append(path)
        if is_opaque(path):
            break
    return shown


def _is_folder(place: bytes) -> bool:
    return stat.S_ISDIR(os.lstat(place).st_mode)


class Lowers:
    """A read-only stack of layers, the top one first."""

    def __init__(self, lowers: Sequence[Path]) -> None:
        self._roots = [os.fsencode(path) for path in visible(lowers)]

    def places(self, path: bytes) -> list[bytes]:
        """The folders or the one file that make up `path` (no links followed), top first."""
        found = self._roots
        for part in path.split(b"/") if path else ():
            # A link on the way would lead out of the layers: nothing lies below what is no folder.
            found = self._step([place for place in found if _is_folder(place)], part)
        return found

    def _step(self, folders: list[bytes], name: bytes) -> list[bytes]:
        below: list[bytes] = []
        for folder in folders:
            place = folder + b"/" + name
            try:
                entry = os.lstat(place)
            except (FileNotFoundError, NotADirectoryError):
                continue
            if not stat.S_ISDIR(entry.st_mode):
                # A file ends the stack: it hides what is below, or is hidden by folders above.
                return below or ([] if is_whiteout(entry) else [place])
            below.append(place)
            if is_opaque(place):
                break
        return below

    def lstat(self, path: bytes) -> os.stat_result | None:
        """The stat of what is seen at `path`; None when there is nothing."""
        places = self.places(path)
        return os.lstat(places[0]) if places else None

    def listing(self, path: bytes) -> set[bytes]:
        """The names seen in the folder `path`."""
        seen: dict[bytes, bool] = {}
        for place in self.places(path):
            if not stat.S_ISDIR(os.lstat(place).st_mode):
                break
            for entry in os.scandir(place):
                if entry.name not in seen:
                    seen[entry.name] = not is_whiteout(entry.stat(follow_symlinks=False))
        return {name for name, shown in seen.items() if shown}
