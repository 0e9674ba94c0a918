"""What may be forgotten: layers nobody refers to, and what a dead engine left half-made.

Rows go first, in one transaction, the files after it and out of the way (trash.py).
"""

from __future__ import annotations

import functools
import time
from collections.abc import Iterable

from .blobs import Blobs
from .db import Database
from .images import Removed
from .layers import Layers
from .trash import Trash

# A pull that was cancelled, or died, goes on from what it had within this time.
KEEP_SECONDS = 24 * 3600


def release(db: Database, layers: Layers, trash: Trash, diff_ids: Iterable[str]) -> Removed:
    """Remove those of the layers that no image, snapshot or lease holds."""
    freed: list[str] = []
    size = 0
    with db.transaction():
        used = layers.used()
        for diff_id in dict.fromkeys(diff_ids):
            rows = db.execute("SELECT size FROM layers WHERE diff_id=?", diff_id)
            if rows and diff_id not in used and not layers.is_leased(diff_id):
                db.execute("DELETE FROM layers WHERE diff_id=?", diff_id)
                freed.append(diff_id)
                size += rows[0][0]
        # A caller's transaction may be undone yet, and the rows with it.
        for diff_id in freed:
            db.after_commit(functools.partial(trash.put, layers.folder(diff_id)))
    return Removed(tuple(freed), size)


def collect(
    db: Database, layers: Layers, blobs: Blobs, trash: Trash, keep_seconds: float = KEEP_SECONDS
) -> Removed:
    """Remove all layers nobody holds, and partial downloads, older than `keep_seconds`."""
    before = time.time() - keep_seconds
    rows = db.execute("SELECT diff_id FROM layers WHERE created<=?", int(before * 1e9))
    cut = blobs.sweep(before)
    removed = release(db, layers, trash, [row[0] for row in rows])
    return Removed(removed.layers, removed.size + cut)
