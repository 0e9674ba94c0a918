"""Where the members of an archive that ADD unpacks really go."""

from __future__ import annotations

from collections.abc import Sequence

from .below import Below, follow


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
            self._known[key] = follow(key, self._link, self.top)
        return self._known[key]

    def _link(self, place: bytes) -> bytes | None:
        link = self._put[place] if place in self._put else self._below.link(place)
        if link is not None:
            self._followed.add(place)
        return link
