"""The writable layer of each container: `snapshots/<id>/{diff,work,merged}`.

A snapshot is created over an image's layers, mounted and unmounted any number of times, looked
at, and removed. Its row holds the layers it lies upon, so that they stay as long as it does.
"""

from __future__ import annotations

import errno
import json
import os
import re
import stat
import threading
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

from ..host.errors import ConflictError, InvalidError, NoSpaceError, NotFoundError
from ..host.inroot import below_root
from . import overlay, treetar
from .changes import Change, compare, differs
from .db import Database
from .initlayer import InitLayers
from .layers import Layers
from .lowers import Lowers, visible
from .trash import Trash

_SCHEMA = """
CREATE TABLE snapshots (id TEXT PRIMARY KEY, diff_ids TEXT NOT NULL, created INT NOT NULL);
CREATE TABLE snapshot_layers (
    snapshot TEXT NOT NULL REFERENCES snapshots ON DELETE CASCADE, diff_id TEXT NOT NULL,
    PRIMARY KEY (snapshot, diff_id)
);
CREATE INDEX snapshot_layers_diff_id ON snapshot_layers (diff_id);
"""
_ID = re.compile(r"[a-zA-Z0-9][a-zA-Z0-9_.-]{0,127}")


class Snapshots:
    """The folder `snapshots/` and its tables. Thread-safe."""

    def __init__(self, root: Path, db: Database, layers: Layers, trash: Trash) -> None:
        self._root = root
        self._db = db
        self._layers = layers
        self._trash = trash
        self._lock = threading.Lock()
        root.mkdir(mode=0o700, exist_ok=True)
        self._init = InitLayers(root.parent / "init", trash)
        db.migrate("snapshots", [_SCHEMA])

    def create(self, snapshot: str, diff_ids: Sequence[str]) -> None:
        """Make an empty writable layer upon these layers, the bottom one first.

        Raises InvalidError for a bad id, ConflictError for one in use, NotFoundError when a
        layer is not here, NoSpaceError.
        """
        if not _ID.fullmatch(snapshot):
            raise InvalidError(f"invalid snapshot id: {snapshot[:200]!r}")
        with self._db.transaction():
            for diff_id in diff_ids:
                self._layers.info(diff_id)
            if self._db.execute("SELECT 1 FROM snapshots WHERE id=?", snapshot):
                raise ConflictError(f"snapshot {snapshot} exists already")
            row = (snapshot, json.dumps(list(diff_ids)), time.time_ns())
            self._db.execute("INSERT INTO snapshots VALUES (?,?,?)", *row)
            for diff_id in set(diff_ids):
                self._db.execute("INSERT INTO snapshot_layers VALUES (?,?)", snapshot, diff_id)
        try:
            self._trash.put(self._root / snapshot)
            self._make_folders(snapshot)
        except OSError as error:
            self.remove(snapshot)
            if error.errno in (errno.ENOSPC, errno.EDQUOT):
                raise NoSpaceError("cannot make a writable layer: no space left on disk") from error
            raise

    def _make_folders(self, snapshot: str) -> None:
        folder = self._root / snapshot
        for place in (folder, folder / "work", folder / "merged"):
            place.mkdir(mode=0o700, exist_ok=True)
        # The root of the merged view looks as that of the writable layer does.
        diff = folder / "diff"
        if diff.is_dir():
            return
        diff.mkdir(mode=0o700)
        lowers = self._image_lowers(snapshot)
        like = os.stat(lowers[0]) if lowers else None
        if like is not None:
            os.chown(diff, like.st_uid, like.st_gid)
        os.chmod(diff, stat.S_IMODE(like.st_mode) if like is not None else 0o755)

    def diff_ids(self, snapshot: str) -> list[str]:
        """The layers it lies upon, the bottom one first; raises NotFoundError."""
        rows = self._db.execute("SELECT diff_ids FROM snapshots WHERE id=?", snapshot)
        if not rows:
            raise NotFoundError(f"No such snapshot: {snapshot}")
        found: list[str] = json.loads(rows[0][0])
        return found

    def _image_lowers(self, snapshot: str) -> list[Path]:
        return visible([self._layers.path(d) for d in reversed(self.diff_ids(snapshot))])

    def lowers(self, snapshot: str) -> list[Path]:
        """The folders under the writable layer, the top one first; none for a snapshot gone."""
        try:
            return self._lowers(snapshot)
        except NotFoundError:
            return []

    def _lowers(self, snapshot: str) -> list[Path]:
        """All lower directories, top first, with Docker's files under the writable layer."""
        lowers = self._image_lowers(snapshot)
        init = self._init.folder(lowers, tuple(self.diff_ids(snapshot)))
        # overlayfs wants at least one.
        return [init, *lowers] if init is not None else lowers

    def shows(self, snapshot: str, path: str) -> bool:
        """Whether there is anything at `path` (links on the way are not followed)."""
        view = Lowers([self.upper(snapshot), *self._lowers(snapshot)])
        return view.lstat(os.fsencode(below_root(path))) is not None

    def mount(self, snapshot: str, *, bare: bool = False) -> Path:
        """Mount it, if it is not mounted, and give its merged view. Raises NotFoundError.

        `bare` leaves out what Docker puts under every container: what a build copies from.
        """
        folder = self._root / snapshot
        merged = folder / "merged"
        lowers = self._image_lowers(snapshot) if bare else []
        # overlayfs wants at least one.
        lowers = lowers or self._lowers(snapshot)
        with self._lock:
            if not overlay.is_mounted(merged):
                overlay.mount(lowers, folder / "diff", folder / "work", merged)
        return merged

    def unmount(self, snapshot: str) -> None:
        """Unmount it, if it is mounted; its content stays."""
        self._known(snapshot)
        with self._lock:
            overlay.unmount(self._root / snapshot / "merged")

    def remove(self, snapshot: str) -> None:
        """Unmount and remove it with all that was written; one that is gone is fine."""
        if not _ID.fullmatch(snapshot):
            raise InvalidError(f"invalid snapshot id: {snapshot[:200]!r}")
        with self._lock:
            overlay.unmount(self._root / snapshot / "merged")
        self._db.execute("DELETE FROM snapshots WHERE id=?", snapshot)
        self._trash.put(self._root / snapshot)

    def path(self, snapshot: str) -> Path:
        """The merged view's folder, mounted or not; raises NotFoundError."""
        self._known(snapshot)
        return self._root / snapshot / "merged"

    def upper(self, snapshot: str) -> Path:
        """The folder of what the container wrote; raises NotFoundError."""
        self._known(snapshot)
        return self._root / snapshot / "diff"

    def _known(self, snapshot: str) -> None:
        if not self._db.execute("SELECT 1 FROM snapshots WHERE id=?", snapshot):
            raise NotFoundError(f"No such snapshot: {snapshot}")

    def all(self) -> list[str]:
        """The ids of all snapshots, the oldest first."""
        return [row[0] for row in self._db.execute("SELECT id FROM snapshots ORDER BY created")]

    def size(self, snapshot: str) -> int:
        """Bytes of the files the container wrote; a file with several names counts once."""
        return tree_size(self.upper(snapshot))

    def changes(self, snapshot: str) -> list[Change]:
        """What differs from the image, as `docker diff` lists it, sorted by path."""
        return compare(self.upper(snapshot), self._lowers(snapshot))

    def is_changed(self, snapshot: str) -> bool:
        """Whether `changes` would list anything: told at the first of them."""
        return differs(self.upper(snapshot), self._lowers(snapshot))

    def diff_tar(self, snapshot: str) -> Iterator[bytes]:
        """The writable layer as an OCI layer's tar. Pause the container for a consistent one."""
        return treetar.layer(self.upper(snapshot))

    def sweep(self) -> None:
        """At open: remove folders without a row, make the folders of rows without any."""
        known = set(self.all())
        for entry in self._root.iterdir():
            if entry.name not in known:
                overlay.unmount(entry / "merged")
                self._trash.put(entry)
        for snapshot in known:
            folder = self._root / snapshot
            if not all((folder / name).is_dir() for name in ("diff", "work", "merged")):
                self._make_folders(snapshot)
        self._init.sweep()


def tree_size(root: Path) -> int:
    """Bytes of all files below `root`, each inode once; what vanishes meanwhile is left out."""
    seen: set[tuple[int, int]] = set()
    total = 0
    pending = [os.fsencode(root)]
    while pending:
        try:
            with os.scandir(pending.pop()) as listing:
                entries = list(listing)
        except FileNotFoundError:
            continue
        except OSError as error:
            if error.errno != errno.ENAMETOOLONG:
                raise
            continue  # deeper than any path can name: not worth a walk by descriptors
        for entry in entries:
            if entry.is_dir(follow_symlinks=False):
                pending.append(entry.path)
                continue
            try:
                found = entry.stat(follow_symlinks=False)
            except FileNotFoundError:
                continue
            if found.st_nlink > 1:
                if (found.st_dev, found.st_ino) in seen:
                    continue
                seen.add((found.st_dev, found.st_ino))
            total += found.st_size
    return total
