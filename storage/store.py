"""All that lies under the engine's root folder, opened and closed as one."""

from __future__ import annotations

import contextlib
import fcntl
import logging
import os
import time
from collections.abc import Iterable, Iterator
from pathlib import Path

from ..host.errors import ConflictError
from . import gc
from .blobs import Blobs
from .buildcache import BuildCache
from .db import Database
from .images import ImageStore, Removed
from .layers import Layers
from .savedlayers import SavedLayers
from .snapshots import Snapshots
from .trash import Trash
from .volumes import VolumeStore

log = logging.getLogger(__name__)
_LOCK_TRIES, _LOCK_WAIT = 20, 0.05


class Store:
    """Blobs, layers, images, snapshots, volumes and the database of one root.

    Its methods block; the engine calls them in threads. There is one Store per root: it holds a
    lock on it, which the kernel frees when the process dies.
    """

    def __init__(self, root: Path, lock: int) -> None:
        self.root = root
        self._lock = lock
        self.db = Database(root / "bay.db")
        self.trash = Trash(root / "trash")
        self.blobs = Blobs(root / "blobs")
        self.layers = Layers(root / "layers", self.db, self.trash)
        self.images = ImageStore(self.db, self.layers, self._release)
        self.snapshots = Snapshots(root / "snapshots", self.db, self.layers, self.trash)
        self.saved = SavedLayers(root / "snapshots", self.db, self.snapshots, self.trash)
        self.volumes = VolumeStore(root / "volumes", self.db, self.trash)
        self.build_cache = BuildCache(root / "build", self.db, self.layers, self.trash)

    @classmethod
    def open(cls, root: Path) -> Store:
        """Open the store at `root`, made if it is missing, and clear what a crash left.

        Raises ConflictError when another engine has it open.
        """
        root = Path(os.path.abspath(root))
        root.mkdir(mode=0o711, parents=True, exist_ok=True)
        lock = _take_lock(root)
        try:
            store = cls(root, lock)
        except BaseException:
            os.close(lock)
            raise
        store._sweep()
        return store

    def close(self) -> None:
        """Close it. Snapshots stay mounted: their containers run on."""
        self.layers.close()
        self.trash.close()
        self.db.close()
        os.close(self._lock)

    @contextlib.contextmanager
    def reading(self, *diff_ids: str) -> Iterator[None]:
        """While inside, these layers stay; those that lose their last user meanwhile go then."""
        before: set[str] = set()
        try:
            with self.layers.hold(*diff_ids):
                before = self.layers.used().intersection(diff_ids)
                yield
        finally:
            lost = before - self.layers.used()
            if lost:
                self.release(lost)

    def collect(self, keep_seconds: float = gc.KEEP_SECONDS) -> Removed:
        """Remove layers that nothing refers to, and partial downloads, of that age and older."""
        return gc.collect(self.db, self.layers, self.blobs, self.trash, keep_seconds)

    def release(self, diff_ids: Iterable[str]) -> Removed:
        """Remove those of the layers that nothing holds any more."""
        return self._release(diff_ids)

    def _release(self, diff_ids: Iterable[str]) -> Removed:
        return gc.release(self.db, self.layers, self.trash, diff_ids)

    def _sweep(self) -> None:
        for image in self.images.forget_broken(self.layers.sweep()):
            log.warning("image %s lost a layer in a crash and was removed: pull it again", image)
        self.snapshots.sweep()
        self.saved.sweep()
        self.volumes.sweep()
        self.build_cache.sweep()
        self.blobs.drop_packed()
        self.collect()


def _take_lock(root: Path) -> int:
    """An exclusive flock on the root; a process that is just dying may hold it a moment longer."""
    fd = os.open(root / "store.lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    for attempt in range(_LOCK_TRIES):
        try:
            fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
            return fd
        except BlockingIOError:
            if attempt == _LOCK_TRIES - 1:
                break
            time.sleep(_LOCK_WAIT)
    os.close(fd)
    raise ConflictError(f"{root} is in use by another engine: stop it, or choose another --root")
