"""What builds leave for the next one: the layers of their steps, and folders of cache mounts.

A step's row is found by its key, a digest of all that its result depends on. It holds its layer:
that stays although no image has it, until the row is pruned. A cache mount is a folder
`build/mounts/<id>`, made by a row before it is there and gone after it.
"""

from __future__ import annotations

import json
import os
import time
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from .db import Database
from .layers import Layers
from .trash import Trash

_SCHEMA = """
CREATE TABLE build_steps (
    key TEXT PRIMARY KEY, text TEXT NOT NULL, parts TEXT NOT NULL, files BLOB, diff_id TEXT,
    size INT NOT NULL, stamp TEXT NOT NULL, made INT NOT NULL, used INT NOT NULL, uses INT NOT NULL
);
CREATE INDEX build_steps_text ON build_steps (text, used);
CREATE INDEX build_steps_diff_id ON build_steps (diff_id);
CREATE TABLE build_mounts (
    id TEXT PRIMARY KEY, name TEXT NOT NULL, made INT NOT NULL, used INT NOT NULL,
    uses INT NOT NULL
);
"""
_STEP = "key, text, parts, diff_id, size, stamp, made, used, uses"


@dataclass(frozen=True)
class Step:
    """A remembered step. `text` is the instruction; `parts` what the key is made of, by name, for
    telling why another was no hit; `diff_id` its layer, None when it made none (an instruction of
    settings, or a command that wrote nothing). `stamp` is the time it got in the image's history
    (RFC 3339), `made` and `used` ns since 1970.
    """

    key: str
    text: str
    parts: dict[str, Any]
    diff_id: str | None
    size: int
    stamp: str
    made: int
    used: int
    uses: int


@dataclass(frozen=True)
class Mount:
    """A cache mount's folder: `name` is what the Dockerfile calls it."""

    id: str
    name: str
    made: int
    used: int
    uses: int


class BuildCache:
    """The two tables and the folder of mounts. Thread-safe; its methods block."""

    def __init__(self, root: Path, db: Database, layers: Layers, trash: Trash) -> None:
        self._mounts = root / "mounts"
        self._db = db
        self._layers = layers
        self._trash = trash
        root.mkdir(mode=0o700, exist_ok=True)
        self._mounts.mkdir(mode=0o700, exist_ok=True)
        db.migrate("buildcache", [_SCHEMA])

    # --- steps

    def find(self, key: str) -> Step | None:
        """The step of that key, counted as used; None when it or its layer is not here."""
        rows = self._db.execute(f"SELECT {_STEP} FROM build_steps WHERE key=?", key)
        if not rows:
            return None
        step = _step(rows[0])
        if step.diff_id is not None and not self._layers.has(step.diff_id):
            return None
        self._db.execute(
            "UPDATE build_steps SET used=?, uses=uses+1 WHERE key=?", time.time_ns(), key
        )
        return step

    def like(self, text: str, most: int = 50) -> list[Step]:
        """Steps of the same instruction, the last used one first."""
        rows = self._db.execute(
            f"SELECT {_STEP} FROM build_steps WHERE text=? ORDER BY used DESC LIMIT ?", text, most
        )
        return [_step(row) for row in rows]

    def files(self, key: str) -> bytes | None:
        """The list of files that was kept with a step, as `put` got it."""
        rows = self._db.execute("SELECT files FROM build_steps WHERE key=?", key)
        return bytes(rows[0][0]) if rows and rows[0][0] is not None else None

    def put(
        self,
        key: str,
        text: str,
        parts: dict[str, Any],
        diff_id: str | None,
        stamp: str,
        files: bytes | None = None,
    ) -> None:
        """Remember a step that was done."""
        now = time.time_ns()
        with self._db.transaction():
            size = self._layers.info(diff_id).size if diff_id is not None else 0
            self._db.execute(
                "INSERT OR REPLACE INTO build_steps VALUES (?,?,?,?,?,?,?,?,?,0)",
                key,
                text,
                json.dumps(parts, separators=(",", ":")),
                files,
                diff_id,
                size,
                stamp,
                now,
                now,
            )

    def all(self) -> list[Step]:
        """Every step, the one not used for longest first."""
        rows = self._db.execute(f"SELECT {_STEP} FROM build_steps ORDER BY used, made")
        return [_step(row) for row in rows]

    def size(self) -> int:
        """Bytes of all steps' layers."""
        rows = self._db.execute("SELECT coalesce(sum(size), 0) FROM build_steps")
        return int(rows[0][0])

    def forget(self, keys: Iterable[str]) -> list[str]:
        """Delete steps; the layers that they held, for the caller to release."""
        freed: list[str] = []
        with self._db.transaction():
            for key in keys:
                rows = self._db.execute(
                    "DELETE FROM build_steps WHERE key=? RETURNING diff_id", key
                )
                freed += [row[0] for row in rows if row[0] is not None]
        return freed

    def in_images(self) -> set[str]:
        """The layers of steps that an image or a container has as well."""
        rows = self._db.execute(
            "SELECT diff_id FROM build_steps WHERE diff_id IN (SELECT diff_id FROM image_layers"
            " UNION SELECT diff_id FROM snapshot_layers)"
        )
        return {row[0] for row in rows}

    # --- cache mounts

    def mount(self, key: str, name: str) -> tuple[Path, bool]:
        """The folder of a cache mount, and whether it was made just now."""
        now = time.time_ns()
        self._db.execute(
            "INSERT INTO build_mounts VALUES (?,?,?,?,0) ON CONFLICT (id) DO UPDATE SET"
            " used=excluded.used, uses=uses+1",
            key,
            name,
            now,
            now,
        )
        folder = self._mounts / key
        try:
            folder.mkdir(mode=0o755)
        except FileExistsError:
            return folder, False
        os.chmod(folder, 0o755)
        return folder, True

    def mounts(self) -> list[Mount]:
        """Every cache mount, the one not used for longest first."""
        rows = self._db.execute("SELECT id, name, made, used, uses FROM build_mounts ORDER BY used")
        return [Mount(*row) for row in rows]

    def folder(self, key: str) -> Path:
        """Where the files of a cache mount are."""
        return self._mounts / key

    def forget_mount(self, key: str) -> None:
        """Delete a cache mount that nothing uses now."""
        self._db.execute("DELETE FROM build_mounts WHERE id=?", key)
        self._trash.put(self._mounts / key)

    def sweep(self) -> None:
        """At open: drop steps whose layer is gone, and folders without a row."""
        self._db.execute(
            "DELETE FROM build_steps WHERE diff_id IS NOT NULL"
            " AND diff_id NOT IN (SELECT diff_id FROM layers)"
        )
        known = {mount.id for mount in self.mounts()}
        for entry in self._mounts.iterdir():
            if entry.name not in known:
                self._trash.put(entry)


def _step(row: tuple[Any, ...]) -> Step:
    key, text, parts, *rest = row
    return Step(key, text, json.loads(parts), *rest)
