"""The root of a stage as it is so far, and where a path in it really leads."""

from __future__ import annotations

import os
import stat
from collections.abc import Callable, Sequence
from pathlib import Path

from ...host.errors import InvalidError
from ...storage.lowers import Lowers

# As many as the kernel follows (path_resolution(7)).
_MOST_LINKS = 40


def follow(
    parts: Sequence[bytes], link: Callable[[bytes], bytes | None], top: bytes = b""
) -> bytes:
    """Where the path of these parts really leads, with the folder `top` as its root.

    `link` gives the target of the link at a place (`top` included), None where none is. Raises
    InvalidError for links that go round.
    """
    roots = [top] if top else []
    waiting, done, links = list(parts), list[bytes](), 0
    while waiting:
        part = waiting.pop(0)
        if part == b"..":
            done = done[:-1]
            continue
        target = link(b"/".join([*roots, *done, part]))
        if target is None:
            done.append(part)
            continue
        links += 1
        if links > _MOST_LINKS:
            shown = os.fsdecode(b"/".join([*roots, *parts]))
            raise InvalidError(f"too many links on the way to /{shown}")
        waiting = [one for one in target.split(b"/") if one not in (b"", b".")] + waiting
        if target.startswith(b"/"):
            done = []
    return b"/".join([*roots, *done])


class Below:
    """The layers of a stage, the bottom one first, seen without mounting them."""

    def __init__(self, layers: Sequence[Path]) -> None:
        self._view = Lowers(list(reversed(layers)))
        self._known: dict[bytes, os.stat_result | None] = {}
        self._empty = not layers

    def lstat(self, path: bytes) -> os.stat_result | None:
        """What is at `path` (no links followed), None for nothing."""
        if self._empty:
            return None
        if path not in self._known:
            if len(self._known) > 100_000:
                self._known.clear()
            self._known[path] = self._view.lstat(path)
        return self._known[path]

    def place(self, path: bytes) -> bytes | None:
        """The file on the host that is seen at `path`."""
        if self._empty:
            return None
        places = self._view.places(path)
        return places[0] if places else None

    def is_folder(self, path: bytes) -> bool:
        """Whether there is a folder at `path`."""
        found = self.lstat(path) if path else None
        return not path or (found is not None and stat.S_ISDIR(found.st_mode))

    def real(self, path: bytes) -> bytes:
        """`path` with every link on its way followed, the last one too; parts may be missing.

        Raises InvalidError for links that go round.
        """
        return follow([part for part in path.split(b"/") if part not in (b"", b".")], self.link)

    def link(self, path: bytes) -> bytes | None:
        """The target of the link at `path`, None where none is."""
        found = self.lstat(path)
        if found is None or not stat.S_ISLNK(found.st_mode):
            return None
        place = self.place(path)
        return os.readlink(place) if place is not None else b""
