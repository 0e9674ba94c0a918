"""Where the members of an archive that ADD unpacks really go."""

from __future__ import annotations

import os
import stat
from collections.abc import Sequence

from ...host.errors import InvalidError
from .below import Below

# As many as the kernel follows (path_resolution(7)).
_MOST_LINKS = 40


class Inner:
    """The folder `top` (real) of a stage as the root of an archive: links in it, the stage's and
    the archive's own, lead nowhere else, as if it were unpacked under chroot(2) there.
    """

    def __init__(self, below: Below, top: bytes) -> None:
        self.top = top
        self._below = below
        # What the archive has put there: a link's target, None for anything else.
        self._put: dict[bytes, bytes | None] = {}
        self._known: dict[tuple[bytes, ...], bytes] = {}
        self._followed: set[bytes] = set()

    def put(self, place: bytes, link: bytes | None) -> None:
        """The archive puts something at the real `place`: a link to `link`, or what is none."""
        if link is not None or place in self._followed:
            self._known.clear()
        self._put[place] = link

    def real(self, parts: Sequence[bytes]) -> bytes:
        """The place in the stage of a path of the archive, every link followed.

        Raises InvalidError for links that go round.
        """
        key = tuple(parts)
        if key not in self._known:
            self._known[key] = self._follow(list(parts))
        return self._known[key]

    def _follow(self, waiting: list[bytes]) -> bytes:
        done: list[bytes] = []
        links = 0
        while waiting:
            part = waiting.pop(0)
            if part == b"..":
                done = done[:-1]
                continue
            place = b"/".join([self.top, *done, part]) if self.top else b"/".join([*done, part])
            link = self._link(place)
            if link is None:
                done.append(part)
                continue
            self._followed.add(place)
            links += 1
            if links > _MOST_LINKS:
                raise InvalidError(f"too many links on the way to /{os.fsdecode(place)}")
            waiting = [one for one in link.split(b"/") if one not in (b"", b".")] + waiting
            if link.startswith(b"/"):
                done = []
        return b"/".join([self.top, *done]) if self.top else b"/".join(done)

    def _link(self, place: bytes) -> bytes | None:
        if place in self._put:
            return self._put[place]
        found = self._below.lstat(place)
        if found is None or not stat.S_ISLNK(found.st_mode):
            return None
        host = self._below.place(place)
        return os.readlink(host) if host is not None else None
