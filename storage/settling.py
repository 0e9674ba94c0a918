"""Layers and power cuts: what was not yet on the disk when the power went is not trusted.

Syncing each layer as it is made would double the time of a pull, so the sync comes after it, in
a thread. Until then the layer's row names the boot it was made under; found under another boot,
the layer is read back and compared with its digest.
"""

from __future__ import annotations

import contextlib
import logging
import os
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from ..host import clock, syscalls
from ..host.errors import BayError
from .db import Database

if TYPE_CHECKING:
    from .layers import Layers

log = logging.getLogger(__name__)

# Seconds after which layers are synced although others are still being made.
_PATIENCE = 30.0


class Settling:
    """Syncs the file system after layers were added and marks them as settled (boot = "")."""

    def __init__(self, root: Path, db: Database) -> None:
        self._root = root
        self._db = db
        self.boot = clock.boot_id()
        self._wanted = threading.Event()
        self._closed = False
        self._idle = threading.Condition()
        self._working = 0
        self._thread = threading.Thread(target=self._work, name="bay-settling", daemon=True)
        self._thread.start()

    def request(self) -> None:
        """A layer was added: sync soon."""
        self._wanted.set()

    @contextlib.contextmanager
    def making(self) -> Iterator[None]:
        """While inside, a layer is being made: a sync now would hold it up."""
        with self._idle:
            self._working += 1
        try:
            yield
        finally:
            with self._idle:
                self._working -= 1
                self._idle.notify_all()

    def close(self) -> None:
        """Stop; what is unsettled is synced after the next open."""
        self._closed = True
        self._wanted.set()
        with self._idle:
            self._idle.notify_all()
        self._thread.join()

    def distrusted(self, layers: Layers) -> list[str]:
        """The layers that an earlier boot left unsettled and that do not read back whole."""
        rows = self._db.execute("SELECT diff_id FROM layers WHERE boot NOT IN ('', ?)", self.boot)
        broken = []
        for (diff_id,) in rows:
            try:
                for _ in layers.tar(diff_id):
                    pass
            except BayError as error:
                log.warning("removed after a crash of the host: %s", error)
                broken.append(diff_id)
        self.request()
        return broken

    def _work(self) -> None:
        while True:
            self._wanted.wait()
            with self._idle:
                self._idle.wait_for(lambda: self._closed or not self._working, _PATIENCE)
            self._wanted.clear()
            if self._closed:
                return
            try:
                self._settle()
            except (BayError, OSError) as error:
                # A full disk, for one: what is unsettled stays so until the next layer.
                log.warning("layers in %s are not settled yet: %s", self._root, error)

    def _settle(self) -> None:
        due = self._db.execute("SELECT diff_id FROM layers WHERE boot != ''")
        if not due:
            return
        fd = os.open(self._root, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            syscalls.syncfs(fd)
        finally:
            os.close(fd)
        with self._db.transaction():
            for (diff_id,) in due:
                self._db.execute("UPDATE layers SET boot='' WHERE diff_id=?", diff_id)
