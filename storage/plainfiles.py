"""Runs of plain files in a layer, which is what most of its members are, with the fewest calls.

Each is done by as `Applier` does, which is left whatever is out of the ordinary. Calls, objects
and checks that repeat would take more time than the kernel does for the file.
"""

from __future__ import annotations

import os
import zlib
from collections.abc import Callable

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
_KIND = tar.REGULAR[0]
_ENDS = b"\0 "


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
        # What headers repeat, as it stands there, and what it means: all from the kind on (the
        # prefix of the name is in it); mode, owner and group; time.
        self._tail = b""
        self._prefix = b""
        self._owners: dict[bytes, tuple[int, int, int]] = {}
        self._time = b""
        self._times = (0, 0)

    def run(self, stream: TarStream) -> None:
        """Unpack what comes next, up to the first member that is no plain file or has not arrived.

        Raises what `Applier.apply` does.
        """
        chunk, at, padding = stream.window()
        view = memoryview(chunk)
        end = len(chunk)
        above: bytes | None = None
        folder, place = -1, b""
        while (body := at + padding + tar.BLOCK) <= end:
            block = chunk[body - tar.BLOCK : body]
            if block[156] != _KIND:
                break
            if (tail := block[156:]) != self._tail:
                self._prefix, self._tail = tar.prefix_of(block), tail
                above = None
            try:
                size = int(block[124:135], 8) if block[124:135].isdigit() else WORTH
                if (
                    size >= WORTH
                    or body + size > end
                    or block[135] not in _ENDS
                    or zlib.adler32(block) & 0xFFFF != tar.stated(block[148:156])[1]
                ):
                    break
                owners = self._owners.get(block[100:124]) or self._learn(block[100:124])
                if (time := block[136:148]) != self._time:
                    self._times, self._time = (tar.time_of(time),) * 2, time
                stop = block.find(0, 0, 100)
                if stop < 0:
                    stop = 100
                cut = block.rfind(b"/", 0, stop)
                base = block[cut + 1 : stop]
                if base in NO_NAMES or WHITEOUT in base:
                    break
                if block[: cut + 1] != above:
                    full = (
                        self._prefix + b"/" + block[: cut + 1] if self._prefix else block[: cut + 1]
                    )
                    if WHITEOUT in full:
                        break
                    folder, above = self._enter(full), block[: cut + 1]
                    place = self._tree.real(folder)
                    place = place + b"/" if place else place
                mode, uid, gid = owners
                as_made = not mode & self._masked
                fd = os.open(base, CREATE, mode if as_made else 0o600, dir_fd=folder)
            except (BayError, OSError, ValueError):
                break  # it meets the same once more, and says so, or replaces what is there
            try:
                at_ = body
                while at_ < body + size:
                    at_ += os.write(fd, view[at_ : body + size])
                # chown clears set-uid bits, so the mode comes after it.
                if uid or gid:
                    os.fchown(fd, uid, gid)
                if not as_made:
                    os.fchmod(fd, mode)
                os.utime(fd, ns=self._times)
            except OSError as error:
                raise self._explain(tar.parse(block), error) from error
            finally:
                os.close(fd)
            self._journal.file(chunk[at:body], place + base, size)
            self.size += size
            self.count += 1
            at = body + size
            padding = -size % tar.BLOCK
        stream.go_on(at, padding)

    def _learn(self, raw: bytes) -> tuple[int, int, int]:
        mode, uid, gid = (tar.number(raw[at : at + 8]) for at in (0, 8, 16))
        if not (0 <= uid < NO_ID and 0 <= gid < NO_ID) or len(self._owners) > 1000:
            raise ValueError
        self._owners[raw] = found = (mode & 0o7777, uid, gid)
        return found
