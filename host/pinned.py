"""A program seen through a read-only mount of its own.

crun and runc copy or mount themselves anew in each call, so that no container can write to the
host's program through /proc/PID/exe (CVE-2019-5736), and then start again: half of what a short
call costs. On a read-only mount they find that done already (crun, cloned_binary.c).
"""

from __future__ import annotations

import contextlib
import errno
import logging
import os
from pathlib import Path

from .syscalls import MNT_DETACH, MS_BIND, MS_RDONLY, MS_REMOUNT, UMOUNT_NOFOLLOW, mount, umount

_log = logging.getLogger(__name__)


class Pinned:
    """`program` mounted read-only at `place`, from `open` to `close`."""

    def __init__(self, program: str, place: Path) -> None:
        self.program = program
        self._place = place
        self._inode: tuple[int, int] | None = None

    @property
    def path(self) -> str:
        """What to run: the mount, or the program itself where there is none or it is another now.

        A package that is upgraded puts another file at `program`; the mount has the old one.
        """
        return str(self._place) if self._inode == _inode(self.program) else self.program

    def open(self) -> None:
        """Mount it; what an engine that was killed left there goes first. Without one is fine.

        The program is run as it is where it can't be mounted, or an older mount can't be undone.
        """
        try:
            self.close()
        except OSError as error:
            why = error.strerror
            _log.warning("%s cannot be unmounted (%s): %s is run itself", self._place, why,
                         self.program)  # fmt: skip
            return
        try:
            self._place.touch(mode=0o600)
            mount(self.program, str(self._place), "", MS_BIND)
            mount("", str(self._place), "", MS_BIND | MS_REMOUNT | MS_RDONLY)
            self._inode = _inode(self.program)
        except OSError as error:
            _log.debug("%s is not pinned: %s", self.program, error)
            with contextlib.suppress(OSError):
                self.close()

    def close(self) -> None:
        """Unmount it. Who runs it goes on. Raises OSError."""
        self._inode = None
        while True:
            try:
                umount(str(self._place), MNT_DETACH | UMOUNT_NOFOLLOW)
            except OSError as error:
                if error.errno not in (errno.EINVAL, errno.ENOENT):
                    raise
                break
        with contextlib.suppress(FileNotFoundError):
            self._place.unlink()


def _inode(path: str) -> tuple[int, int] | None:
    try:
        found = os.stat(path)
    except FileNotFoundError:
        return None
    return found.st_dev, found.st_ino
