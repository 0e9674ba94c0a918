"""The archive a client sends for `docker cp`, moved to where it is to be unpacked."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator

from ..host.errors import InvalidError
from ..host.syscalls import RESOLVE_IN_ROOT, RESOLVE_NO_MAGICLINKS, openat2
from ..storage.rootfd import clean
from ..storage.tarheader import DIRECTORY, HARDLINK, Entry
from ..storage.tarstream import TarStream

_FOLDER = os.O_PATH | os.O_DIRECTORY


class Into(TarStream):
    """The entries of an archive with their names below `folder`, a path under the root `root`.

    A name that leads out of the folder is refused, though it would still be in the container.
    """

    def __init__(
        self,
        chunks: Iterator[bytes],
        root: int,
        folder: bytes,
        no_overwrite: bool,
        owner: tuple[int, int] | None,
    ) -> None:
        super().__init__(chunks)
        self._root = root
        self._folder = folder
        self._no_overwrite = no_overwrite
        self._owner = owner

    def __iter__(self) -> Iterator[Entry]:
        for entry in super().__iter__():
            parts = clean(entry.name)
            if not parts:
                continue  # the folder itself is there, and stays as it is
            entry.name = self._moved(parts)
            if entry.kind == HARDLINK:
                entry.link = self._moved(clean(entry.link))
            if self._owner is not None:
                entry.uid, entry.gid = self._owner
            if self._no_overwrite:
                self._check(entry)
            yield entry

    def _moved(self, parts: list[bytes]) -> bytes:
        return b"/".join([self._folder, *parts] if self._folder else parts)

    def _check(self, entry: Entry) -> None:
        """Raise InvalidError, in moby's words, where a folder and something else would meet."""
        above, _, name = entry.name.rpartition(b"/")
        rule = RESOLVE_IN_ROOT | RESOLVE_NO_MAGICLINKS
        try:
            folder = openat2(self._root, above or b".", _FOLDER, resolve=rule)
        except (FileNotFoundError, NotADirectoryError):
            return  # nothing is there yet
        try:
            there = stat.S_ISDIR(os.stat(name, dir_fd=folder, follow_symlinks=False).st_mode)
        except FileNotFoundError:
            return
        finally:
            os.close(folder)
        shown, incoming = f"/{os.fsdecode(entry.name)}", os.fsdecode(entry.name)
        if there and entry.kind != DIRECTORY:
            raise InvalidError(
                f'cannot overwrite directory "{shown}" with non-directory "{incoming}"'
            )
        if not there and entry.kind == DIRECTORY:
            raise InvalidError(
                f'cannot overwrite non-directory "{shown}" with directory "{incoming}"'
            )
