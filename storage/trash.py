"""Removing trees without making anyone wait: rename now, delete in one quiet thread.

Deleting a large tree takes seconds, and on ext4 an unpack right after it is several times
slower, since the kernel then steps over recently deleted inodes one by one.
"""

from __future__ import annotations

import errno
import logging
import os
import queue
import threading
from pathlib import Path

from ..host import removing

log = logging.getLogger(__name__)

# Seconds between two tries at what changes while it is removed.
_TRIES, _PAUSE = 40, 0.05
# What a name begins with that is on its way out beside its neighbours.
GONE = ".gone-"


class Trash:
    """A folder whose content is on its way out. What a dead engine left in it goes too."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        folder.mkdir(mode=0o700, exist_ok=True)
        self._queue: queue.Queue[Path | None] = queue.Queue()
        self._closing = threading.Event()
        for entry in folder.iterdir():
            self._queue.put(entry)
        self._thread = threading.Thread(target=self._work, name="bay-trash", daemon=True)
        self._thread.start()

    def put(self, path: Path) -> None:
        """Make the file or tree disappear now; a missing one is fine. Raises OSError."""
        mark = os.urandom(8).hex()
        target = self._folder / f"{path.name[:80]}.{mark}"
        try:
            try:
                os.rename(path, target)
            except OSError as error:
                if error.errno != errno.EXDEV:
                    raise
                # On a disk of its own, as volumes may be: out of the way where it is.
                target = path.with_name(f"{GONE}{mark}")
                os.rename(path, target)
        except FileNotFoundError:
            return
        self._queue.put(target)

    def drain(self) -> None:
        """Wait until all is deleted."""
        self._queue.join()

    def close(self) -> None:
        """Stop soon, in the middle of a tree too; the rest is found at the next open."""
        self._closing.set()
        while True:
            try:
                self._queue.get_nowait()
                self._queue.task_done()
            except queue.Empty:
                break
        self._queue.put(None)
        self._thread.join()

    def _work(self) -> None:
        while (path := self._queue.get()) is not None:
            try:
                self._remove_all(path)
            except OSError as error:
                log.warning("cannot delete %s, left for the next start: %s", path, error)
            finally:
                self._queue.task_done()
        self._queue.task_done()

    def _remove_all(self, path: Path) -> None:
        """Remove it, though somebody may be writing to it still: what a dead engine had begun."""
        for attempt in range(_TRIES):
            try:
                for rest in removing.remove(path, self._folder, self._closing):
                    self._queue.put(rest)
                return
            except OSError as error:
                if error.errno not in (errno.ENOTEMPTY, errno.ENOENT) or attempt == _TRIES - 1:
                    raise
            if self._closing.wait(_PAUSE):
                return
