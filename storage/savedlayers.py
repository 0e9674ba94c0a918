"""Copies of writable layers, to come back to: `snapshots/<container>/saved/<id>/diff`.

A copy is taken while nothing writes to the layer. Its row is written first and says `ready` last,
so that a crash leaves either the whole copy or none; a way back exchanges two folders at once, so
that a crash leaves the layer as it was or as it is to be. Copies lie in their writable layer's
own folder and go with it.
"""

from __future__ import annotations

import json
import os
import re
import secrets
import shutil
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ..host import process, syscalls
from ..host.errors import BayError, ConflictError, InvalidError, NoSpaceError, NotFoundError
from . import since
from .db import Database
from .since import Difference
from .snapshots import Snapshots, tree_size
from .trash import Trash

_SCHEMA = """
CREATE TABLE saved_layers (
    id TEXT PRIMARY KEY, snapshot TEXT NOT NULL REFERENCES snapshots ON DELETE CASCADE,
    name TEXT NOT NULL, comment TEXT NOT NULL, created INT NOT NULL, size INT NOT NULL,
    settings TEXT NOT NULL, ready INT NOT NULL, UNIQUE (snapshot, name)
);
"""
_COLUMNS = "id, snapshot, name, comment, created, size, settings"
_NAME = re.compile(r"[a-zA-Z0-9][a-zA-Z0-9_.-]{0,127}")
_COPY_SECONDS = 6 * 3600


@dataclass(frozen=True)
class Saved:
    """A copy of the writable layer `snapshot`, `created` in ns since 1970, `size` in bytes.

    `settings` is what the caller wants back with it.
    """

    id: str
    snapshot: str
    name: str
    comment: str
    created: int
    size: int
    settings: dict[str, Any]


class SavedLayers:
    """The table and the folders. Thread-safe; its methods block."""

    def __init__(self, root: Path, db: Database, snapshots: Snapshots, trash: Trash) -> None:
        self._root = root
        self._db = db
        self._snapshots = snapshots
        self._trash = trash
        db.migrate("saved_layers", [_SCHEMA])

    def take(self, snapshot: str, name: str, comment: str, settings: dict[str, Any]) -> Saved:
        """Copy a writable layer that nobody writes to meanwhile; `snap0`, … without a name.

        On return it is on the disk. Raises NotFoundError, InvalidError for a bad name,
        ConflictError for one that is taken, NoSpaceError.
        """
        upper = self._snapshots.upper(snapshot)
        key = secrets.token_hex(32)
        with self._db.transaction():
            name = name or self._free_name(snapshot)
            if not _NAME.fullmatch(name):
                raise InvalidError(
                    f"Invalid snapshot name ({name[:200]}), only [a-zA-Z0-9][a-zA-Z0-9_.-] are"
                    " allowed, at most 128 of them"
                )
            taken = "SELECT 1 FROM saved_layers WHERE snapshot=? AND name=?"
            if self._db.execute(taken, snapshot, name):
                raise ConflictError(
                    f"the container has a snapshot called {name} already: choose another name, or"
                    " remove that one"
                )
            row = (key, snapshot, name, comment, time.time_ns(), 0, json.dumps(settings), 0)
            self._db.execute("INSERT INTO saved_layers VALUES (?,?,?,?,?,?,?,?)", *row)
        folder = self._folder(snapshot, key)
        try:
            folder.mkdir(mode=0o700, parents=True)
            _copy(upper, folder / "diff")
            size = tree_size(folder / "diff")
            _sync(folder)
            done = "UPDATE saved_layers SET ready=1, size=? WHERE id=?"
            self._db.execute(done, size, key)
        except BaseException:
            self._forget(snapshot, key)
            raise
        return self.get(key)

    def _free_name(self, snapshot: str) -> str:
        rows = self._db.execute("SELECT name FROM saved_layers WHERE snapshot=?", snapshot)
        taken = {row[0] for row in rows}
        return next(name for number in range(10**6) if (name := f"snap{number}") not in taken)

    def get(self, key: str) -> Saved:
        """The copy of that id; raises NotFoundError."""
        found = self._select("AND id=?", key)
        if not found:
            raise NotFoundError(f"No such snapshot: {key}")
        return found[0]

    def find(self, snapshot: str, text: str) -> Saved:
        """One of a writable layer's copies by name, id or the start of an id (4 digits at least).

        Raises NotFoundError, InvalidError when several ids start so.
        """
        known = self.of(snapshot)
        found = [one for one in known if one.name == text]
        # A single letter is more likely a wrong name than the start of an id.
        if not found and len(text) >= 4:
            found = [one for one in known if one.id.startswith(text)]
        if not found:
            raise NotFoundError(f"No such snapshot: {text}")
        if len(found) > 1:
            raise InvalidError(f"snapshot id {text} is ambiguous: give more of its digits")
        return found[0]

    def of(self, snapshot: str) -> list[Saved]:
        """The copies of one writable layer, the oldest first."""
        return self._select("AND snapshot=?", snapshot)

    def all(self) -> list[Saved]:
        """The copies of all, the oldest first."""
        return self._select("")

    def _select(self, condition: str, *args: str) -> list[Saved]:
        rows = self._db.execute(
            f"SELECT {_COLUMNS} FROM saved_layers WHERE ready=1 {condition} ORDER BY created", *args
        )
        return [
            Saved(key, layer, name, comment, created, size, json.loads(settings))
            for key, layer, name, comment, created, size, settings in rows
        ]

    def changed_since(self, key: str) -> list[Difference]:
        """What a way back to the copy `key` would take away or bring back, sorted by path.

        Blocks. The layer may be written to meanwhile. Raises NotFoundError, BayError.
        """
        saved = self.get(key)
        return since.compare(
            self._folder(saved.snapshot, key) / "diff",
            self._snapshots.upper(saved.snapshot),
            self._snapshots.lowers(saved.snapshot),
            saved.created,
        )

    def restore(self, key: str, snapshot: str) -> None:
        """Make the writable layer `snapshot`, which is not mounted, equal to the copy `key`.

        Either may be of another layer, upon the same lower ones. Raises NotFoundError,
        NoSpaceError; then it is as it was.
        """
        saved = self.get(key)
        upper = self._snapshots.upper(snapshot)
        fresh = upper.with_name("diff.new")
        self._trash.put(fresh)
        try:
            _copy(self._folder(saved.snapshot, key) / "diff", fresh)
            _sync(fresh)
            syscalls.exchange(str(fresh), str(upper))
        finally:
            self._trash.put(fresh)

    def remove(self, key: str) -> None:
        """Remove a copy; raises NotFoundError."""
        self._forget(self.get(key).snapshot, key)

    def _forget(self, snapshot: str, key: str) -> None:
        self._db.execute("DELETE FROM saved_layers WHERE id=?", key)
        self._trash.put(self._folder(snapshot, key))

    def _folder(self, snapshot: str, key: str) -> Path:
        return self._root / snapshot / "saved" / key

    def sweep(self) -> None:
        """At open: remove what a crash left half-made."""
        self._db.execute("DELETE FROM saved_layers WHERE ready=0")
        known = {(one.snapshot, one.id) for one in self.all()}
        for layer in self._root.iterdir():
            self._trash.put(layer / "diff.new")
            folder = layer / "saved"
            for entry in folder.iterdir() if folder.is_dir() else ():
                if (layer.name, entry.name) not in known:
                    self._trash.put(entry)
        for snapshot, key in known:
            if not (self._folder(snapshot, key) / "diff").is_dir():
                self._forget(snapshot, key)


def _copy(source: Path, target: Path) -> None:
    """Copy a writable layer with all it has: whiteouts, overlayfs' marks, links, holes, times.

    Blocks are shared where the file system can. Raises NoSpaceError, BayError.
    """
    target.mkdir(mode=0o700)
    argv = ["cp", "-a", "--reflink=auto", "--sparse=auto", "--", f"{source}/.", str(target)]
    if shutil.which("setpriv", path=process.PATH):
        # Not to write on where the next engine has long cleared away (prctl(2), PR_SET_PDEATHSIG).
        argv = ["setpriv", "--pdeathsig", "KILL", "--", *argv]
    done = process.run(argv, timeout=_COPY_SECONDS)
    if done.code == 0:
        return
    words = (done.stderr.strip() or f"cp ended with {done.code}").splitlines()[-1]
    if "No space left" in words or "quota" in words:
        raise NoSpaceError("cannot copy the writable layer: no space left on disk")
    raise BayError(f"cannot copy the writable layer: {words}")


def _sync(folder: Path) -> None:
    fd = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        syscalls.syncfs(fd)
    finally:
        os.close(fd)
