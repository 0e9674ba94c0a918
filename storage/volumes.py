"""Volumes: named folders that outlive containers, `volumes/<name>/_data`."""

from __future__ import annotations

import errno
import json
import logging
import os
import re
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ..host.errors import ConflictError, InvalidError, NoSpaceError, NotFoundError
from . import overlay
from .db import Database
from .trash import GONE, Trash
from .volumemount import mount_options

_SCHEMA = """
CREATE TABLE volumes (
    name TEXT PRIMARY KEY, labels TEXT NOT NULL, options TEXT NOT NULL, anonymous INT NOT NULL,
    created INT NOT NULL
);
"""
# Says that it is on its way out: a crash in the middle of a removal is followed by its end.
_REMOVING = "ALTER TABLE volumes ADD COLUMN removing INT NOT NULL DEFAULT 0"
_COLUMNS = "name, labels, options, anonymous, created"
_log = logging.getLogger(__name__)
_NAME = re.compile(r"[a-zA-Z0-9][a-zA-Z0-9_.-]+")


@dataclass(frozen=True)
class Volume:
    """A volume: `path` of its content, `created` in ns, `options` as Docker's local driver's."""

    name: str
    path: Path
    created: int
    labels: dict[str, str]
    anonymous: bool
    options: dict[str, str]


class VolumeStore:
    """The folder `volumes/` and its table. Thread-safe."""

    def __init__(self, root: Path, db: Database, trash: Trash) -> None:
        self._root = root
        self._db = db
        self._trash = trash
        root.mkdir(mode=0o711, exist_ok=True)
        db.migrate("volumes", [_SCHEMA, _REMOVING])

    def create(
        self,
        name: str | None = None,
        labels: Mapping[str, str] | None = None,
        driver_opts: Mapping[str, str] | None = None,
        *,
        anonymous: bool = False,
    ) -> Volume:
        """Make a volume; without a name an anonymous one. One of that name is given as it is.

        `anonymous` makes one of a name that the caller has chosen. Raises InvalidError for a bad
        name or bad options, ConflictError for a volume of that name with other options,
        NoSpaceError.
        """
        anonymous = anonymous or not name
        name = name or os.urandom(32).hex()
        options = dict(driver_opts or {})
        if not _NAME.fullmatch(name) or len(name) > 255:
            raise InvalidError(
                f'create {name}: "{name}" includes invalid characters for a local volume name, only'
                ' "[a-zA-Z0-9][a-zA-Z0-9_.-]" are allowed. If you intended to pass a host'
                " directory, use absolute path"
            )
        mount_options(name, options)
        with self._db.transaction():
            rows = self._db.execute("SELECT options FROM volumes WHERE name=?", name)
            if rows:
                if options and json.loads(rows[0][0]) != options:
                    raise ConflictError(f"volume {name} exists with other options")
                return self.get(name)
            self._insert(name, dict(labels or {}), options, anonymous, time.time_ns())
        try:
            self._make(name)
        except OSError as error:
            # A row without its folder would be given to whoever asks for the name next.
            self._db.execute("DELETE FROM volumes WHERE name=?", name)
            self._trash.put(self._root / name)
            if error.errno in (errno.ENOSPC, errno.EDQUOT):
                raise NoSpaceError(f"cannot make volume {name}: no space left on disk") from error
            raise
        return self.get(name)

    def _insert(self, name: str, labels: Any, options: Any, anonymous: bool, created: int) -> None:
        self._db.execute(
            f"INSERT INTO volumes ({_COLUMNS}) VALUES (?,?,?,?,?)",
            name,
            json.dumps(labels),
            json.dumps(options),
            int(anonymous),
            created,
        )

    def _make(self, name: str) -> None:
        folder = self._root / name
        folder.mkdir(mode=0o701, exist_ok=True)
        data = folder / "_data"
        if not data.is_dir():
            data.mkdir()
            data.chmod(0o755)

    def get(self, name: str) -> Volume:
        """The volume of that name; raises NotFoundError."""
        rows = self._db.execute(f"SELECT {_COLUMNS} FROM volumes WHERE name=?", name)
        if not rows:
            raise NotFoundError(f"get {name}: no such volume")
        return self._volume(*rows[0])

    def all(self) -> list[Volume]:
        """All volumes, by name."""
        rows = self._db.execute(f"SELECT {_COLUMNS} FROM volumes ORDER BY name")
        return [self._volume(*row) for row in rows]

    def _volume(self, name: str, labels: str, options: str, anonymous: int, created: int) -> Volume:
        path = self._root / name / "_data"
        return Volume(name, path, created, json.loads(labels), bool(anonymous), json.loads(options))

    def mount(self, name: str) -> Path:
        """The folder to bind into a container; what the options name is mounted there first.

        Idempotent. Raises NotFoundError, and BayError when it cannot be mounted.
        """
        volume = self.get(name)
        wanted = mount_options(name, volume.options)
        if wanted is not None and not overlay.is_mounted(volume.path):
            wanted.mount(volume.path)
        return volume.path

    def unmount(self, name: str) -> None:
        """Take what `mount` mounted away again; the last container that used it has gone."""
        volume = self.get(name)
        if volume.options:
            overlay.unmount(volume.path)

    def remove(self, name: str) -> None:
        """Remove the volume with its content; raises NotFoundError.

        The caller has made sure that no container uses it.
        """
        self.unmount(name)
        folder = self._root / name
        if overlay.is_mounted(folder / "_data"):
            raise ConflictError(f"remove {name}: something is mounted on it, unmount it first")
        # A folder without a row would be taken for a volume that a power cut took the row of.
        self._db.execute("UPDATE volumes SET removing=1 WHERE name=?", name)
        try:
            self._trash.put(folder)
        except OSError:  # it is whole, and stays: the next engine must not end what failed
            self._keep(name)
            raise
        self._db.execute("DELETE FROM volumes WHERE name=?", name)

    def _keep(self, name: str) -> None:
        self._db.execute("UPDATE volumes SET removing=0 WHERE name=?", name)

    def sweep(self) -> None:
        """At open: make folders and rows agree, never by removing data but what was begun.

        A power cut may take the last rows with it, so a folder without a row is a volume.
        """
        for (name,) in self._db.execute("SELECT name FROM volumes WHERE removing"):
            try:
                self._trash.put(self._root / name)
            except OSError as error:
                _log.warning("volume %s cannot be removed, so it stays: %s", name, error)
                self._keep(name)
            else:
                self._db.execute("DELETE FROM volumes WHERE name=?", name)
        rows = {volume.name for volume in self.all()}
        for entry in list(self._root.iterdir()):
            if entry.name.startswith(GONE):
                self._trash.put(entry)
            elif entry.name not in rows and _NAME.fullmatch(entry.name) and entry.is_dir():
                # Whether it was anonymous is lost with the row: prune must not take it then.
                self._insert(entry.name, {}, {}, False, entry.stat().st_mtime_ns)
                rows.add(entry.name)
        for name in rows:
            self._make(name)
