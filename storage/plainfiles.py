"""Runs of plain files in a layer, which is what most of its members are, with the fewest calls.

Each is done by as `Applier` does, which is left whatever is out of the ordinary. Calls, objects
and checks that repeat would take more time than the kernel does for the file.
"""

from __future__ import annotations

import os
import struct
import zlib
from collections.abc import Callable
from typing import TypeVar

from ..host.errors import BayError
from . import tarheader as tar
from .journal import Journal
from .rootfd import RootFd
from .tarstream import TarStream
from .writing import WORTH

CREATE = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
WHITEOUT = b".wh."
NO_ID = 0xFFFFFFFF
NO_NAMES = (b"", b".", b"..")

T = TypeVar("T")
# The mode to create a file with; owner, group and the mode to set after that, if any.
_Owner = tuple[int, tuple[int, int, int | None] | None]

_KIND = tar.REGULAR[0]
_SPACE = 32
# Name; mode, owner and group; size and what ends it; time; checksum; the rest, from the kind on.
_FIELDS = struct.Struct("100s24s11sB12s8s356s")
_SUMMED_FIRST = 148
# Adler-32's (RFC 1950) lower half is one more than the sum of all bytes, modulo this.
_ADLER = 65521
_LEARNED = 4096


class PlainFiles:
    """Unpacks plain files into the folders that `enter` finds or makes, a descriptor by a path
    as it stands in the archive. `masked` are the mode bits that creat(2) leaves out.

    `size` and `count` sum up the files' bytes and the files.
    """

    def __init__(
        self,
        tree: RootFd,
        journal: Journal,
        enter: Callable[[bytes], int],
        masked: int,
        explain: Callable[[tar.Entry, OSError], BayError],
    ) -> None:
        self._tree = tree
        self._journal = journal
        self._enter = enter
        self._masked = masked
        self._explain = explain
        self.size = 0
        self.count = 0
        # What headers repeat, as it stands there, and what it means: the rest (the prefix of the
        # name is in it) with the sum of its bytes; owners; times; checksums.
        self._tail = b""
        self._prefix = b""
        self._tail_sum = 0
        self._owners: dict[bytes, _Owner] = {}
        self._times: dict[bytes, tuple[int, int]] = {}
        self._sums: dict[bytes, int] = {}

    def run(self, stream: TarStream) -> None:
        """Unpack what comes next, up to the first member that is no plain file or has not arrived.

        Raises what `Applier.apply` does.
        """
        chunk, at, padding = stream.window()
        view = memoryview(chunk)
        end = len(chunk)
        above: bytes | None = None
        folder, place = -1, b""
        total = count = 0
        while (body := (head := at + padding) + tar.BLOCK) <= end:
            name, who, octal, stop, time, stated, tail = _FIELDS.unpack_from(chunk, head)
            if tail != self._tail:
                if tail[0] != _KIND:
                    break
                self._know(chunk[head:body], tail)
                above = None
            try:
                size = int(octal, 8) if octal.isdigit() else WORTH
                if (
                    size >= WORTH
                    or body + size > end
                    or (stop and stop != _SPACE)
                    or (
                        zlib.adler32(view[head : head + _SUMMED_FIRST]) % 65536
                        + self._tail_sum
                        - (self._sums.get(stated) or self._learn_sum(stated))
                    )
                    % _ADLER
                ):
                    break
                mode, owner = self._owners.get(who) or self._learn_owner(who)
                times = self._times.get(time) or self._learn_time(time)
                front, _, base = name.partition(b"\0")[0].rpartition(b"/")
                if base in NO_NAMES or WHITEOUT in base:
                    break
                if front != above:
                    full = self._prefix + b"/" + front if self._prefix else front
                    if WHITEOUT in full:
                        break
                    folder, above = self._enter(full), front
                    place = self._tree.real(folder)
                    place = place + b"/" if place else place
                fd = os.open(base, CREATE, mode, dir_fd=folder)
            except (BayError, OSError, ValueError):
                break  # it meets the same once more, and says so, or replaces what is there
            try:
                at_ = body
                while at_ < body + size:
                    at_ += os.write(fd, view[at_ : body + size])
                if owner is not None:
                    _give(fd, *owner)
                os.utime(fd, times)
            except OSError as error:
                raise self._explain(tar.parse(chunk[head:body]), error) from error
            finally:
                os.close(fd)
            self._journal.file(chunk[at:body], place + base, size)
            total += size
            count += 1
            at = body + size
            padding = -size % tar.BLOCK
        self.size += total
        self.count += count
        stream.go_on(at, padding)

    def _know(self, block: bytes, tail: bytes) -> None:
        self._prefix, self._tail = tar.prefix_of(block), tail
        # Both sums are one too large; the checksum is counted as eight spaces.
        self._tail_sum = zlib.adler32(tail) % 65536 - 2 + 8 * _SPACE

    def _learn_owner(self, raw: bytes) -> _Owner:
        mode, uid, gid = (tar.number(raw[at : at + 8]) for at in (0, 8, 16))
        if not (0 <= uid < NO_ID and 0 <= gid < NO_ID):
            raise ValueError
        mode &= 0o7777
        as_made = not mode & self._masked
        later = None if as_made and not uid and not gid else (uid, gid, None if as_made else mode)
        return _keep(self._owners, raw, (mode if as_made else 0o600, later))

    def _learn_time(self, raw: bytes) -> tuple[int, int]:
        return _keep(self._times, raw, (tar.clamp(tar.number(raw)),) * 2)

    def _learn_sum(self, raw: bytes) -> int:
        return _keep(self._sums, raw, tar.number(raw))


def _keep(known: dict[bytes, T], raw: bytes, meaning: T) -> T:
    if len(known) >= _LEARNED:
        known.clear()
    known[raw] = meaning
    return meaning


def _give(fd: int, uid: int, gid: int, mode: int | None) -> None:
    if uid or gid:
        os.fchown(fd, uid, gid)
    # chown clears set-uid bits, so the mode comes after it.
    if mode is not None:
        os.fchmod(fd, mode)
