"""The layer store: each layer unpacked once, under the digest of its tar (DiffID).

Images share layers whatever they lie upon, and nothing is kept twice: `layers/<hex>/fs` is an
overlayfs lower directory, `layers/<hex>/journal.zst` what else it takes to make the tar again.
A layer is in the table only when it is whole and both its digests were verified.
"""

from __future__ import annotations

import contextlib
import itertools
import os
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from ..host import syscalls
from ..host.errors import ConflictError, NotFoundError
from . import digests, oldlinks
from .db import Database
from .growing import Growing
from .inflate import Readable, layer_type
from .journal import replay
from .settling import Settling
from .trash import Trash
from .unpackers import Unpackers
from .unpacking import Unpacked

_SCHEMA = """
CREATE TABLE layers (
    diff_id TEXT PRIMARY KEY, size INT NOT NULL, tar_size INT NOT NULL, created INT NOT NULL,
    boot TEXT NOT NULL
);
CREATE TABLE layer_blobs (
    diff_id TEXT NOT NULL REFERENCES layers ON DELETE CASCADE, digest TEXT NOT NULL,
    size INT NOT NULL, media_type TEXT NOT NULL, PRIMARY KEY (diff_id, digest)
);
CREATE INDEX layer_blobs_digest ON layer_blobs (digest);
"""

_BLOCK = 1 << 20


@dataclass(frozen=True)
class BlobInfo:
    """A compressed form of a layer, as some registry has it; `size` in bytes."""

    digest: str
    size: int
    media_type: str


@dataclass(frozen=True)
class LayerInfo:
    """A layer: `size` of its files and `tar_size` of its archive in bytes, `created` in ns.

    `blob` is the compressed form it was last made from, if it came compressed.
    """

    diff_id: str
    size: int
    tar_size: int
    created: int
    blob: BlobInfo | None


class Layers:
    """The folder `layers/` and its tables. Thread-safe."""

    def __init__(self, root: Path, db: Database, trash: Trash) -> None:
        self._root = root
        self._db = db
        self._trash = trash
        self._lock = threading.Lock()
        self._held: Counter[str] = Counter()
        # Leases and layers made while there are any, numbered: the host's clock may be set back.
        self._count = itertools.count()
        self._starts: list[int] = []
        self._made: dict[str, int] = {}
        self._busy: dict[str, tuple[threading.Lock, int]] = {}
        root.mkdir(mode=0o700, exist_ok=True)
        db.migrate("layers", [_SCHEMA])
        self.settling = Settling(root, db)
        self._unpackers = Unpackers(root)

    def close(self) -> None:
        """Stop what works in the background."""
        self.settling.close()
        self._unpackers.close()

    def expect(self, count: int) -> None:
        """So many large layers are about to come: be ready for as many of them at once as pays."""
        self._unpackers.warm(min(count, os.cpu_count() or 1))

    def path(self, diff_id: str) -> Path:
        """The unpacked folder, an overlayfs lower directory: never write to it."""
        return self.folder(diff_id) / "fs"

    def folder(self, diff_id: str) -> Path:
        """The layer's own folder, with `fs` and the journal."""
        return self._root / digests.split(diff_id)[1]

    def has(self, diff_id: str) -> bool:
        """Whether the layer is here, whole."""
        return bool(self._db.execute("SELECT 1 FROM layers WHERE diff_id=?", diff_id))

    def info(self, diff_id: str) -> LayerInfo:
        """What is known of the layer; raises NotFoundError."""
        rows = self._db.execute(
            "SELECT diff_id, size, tar_size, created FROM layers WHERE diff_id=?", diff_id
        )
        if not rows:
            raise NotFoundError(f"No such layer: {diff_id}")
        blobs = self.blobs(diff_id)
        (name, size, tar_size, created), *_ = rows
        return LayerInfo(name, size, tar_size, created, blobs[-1] if blobs else None)

    def all(self) -> list[str]:
        """The DiffIDs of all layers here."""
        return [row[0] for row in self._db.execute("SELECT diff_id FROM layers ORDER BY created")]

    def blobs(self, diff_id: str) -> list[BlobInfo]:
        """The compressed forms known for the layer, the last one learnt last."""
        rows = self._db.execute(
            "SELECT digest, size, media_type FROM layer_blobs WHERE diff_id=? ORDER BY rowid",
            diff_id,
        )
        return [BlobInfo(*row) for row in rows]

    def by_blob(self, digest: str) -> str | None:
        """The DiffID of the layer that was made from the blob `digest`, if it is here."""
        rows = self._db.execute("SELECT diff_id FROM layer_blobs WHERE digest=?", digest)
        return rows[0][0] if rows else None

    def add_blob(self, diff_id: str, blob: BlobInfo) -> None:
        """Remember a compressed form of the layer, verified by the caller."""
        self._db.execute(
            "INSERT OR REPLACE INTO layer_blobs VALUES (?,?,?,?)",
            diff_id,
            blob.digest,
            blob.size,
            blob.media_type,
        )

    def apply(
        self,
        diff_id: str | None,
        source: Iterable[bytes] | Readable | Growing,
        media_type: str | None = None,
        *,
        blob_digest: str | None = None,
        on_progress: Callable[[int], None] | None = None,
        ahead: bool = True,
    ) -> LayerInfo:
        """Unpack a layer from its tar, compressed or not, and keep it.

        Both digests are verified before the layer can be seen; `diff_id` None takes what comes.
        `media_type` is what a manifest calls the blob, by default what its bytes show it to be.
        `on_progress` gets the count of compressed bytes read so far; what it raises aborts. A
        layer that is here already is not read again. What is large is unpacked by another
        process; `ahead` False has it use a single thread, where there is more to do at once.
        Blocks for as long as it takes; a second call for the same layer waits for the first.
        Raises InvalidError for a bad archive or a wrong digest, NoSpaceError.
        """
        with self._one_at_a_time(diff_id), self.settling.making():
            if diff_id is not None and self.has(diff_id):
                return self.info(diff_id)
            temporary = Path(tempfile.mkdtemp(prefix="tmp-", dir=self._root))
            try:
                if isinstance(source, Growing):
                    unpacked = self._unpackers.unpack(temporary, source, on_progress, ahead=ahead)
                else:
                    unpacked = self._unpackers.feed(temporary, _chunks(source), on_progress)
                unpacked.verify(diff_id, blob_digest)
                self._commit(temporary, unpacked, _blob(unpacked, media_type))
            finally:
                if temporary.exists():
                    self._trash.put(temporary)
            return self.info(unpacked.diff_id)

    def settle_links(self, diff_ids: Sequence[str]) -> None:
        """Make the hard links across layers of an image, given by its layers, lowest first.

        Raises InvalidError for a link to nothing, NoSpaceError.
        """
        for number, diff_id in enumerate(diff_ids):
            if (self.folder(diff_id) / "links").exists():
                with self._one_at_a_time(diff_id):
                    below = [self.path(one) for one in reversed(diff_ids[:number])]
                    oldlinks.settle(self.folder(diff_id), below)

    def renew(self, diff_id: str, chunks: Iterable[bytes], media_type: str | None) -> None:
        """Unpack a layer that is here once more, in the place of what is on the disk.

        No container may have it mounted. Raises as `apply` does; then all is as it was.
        """
        with self._one_at_a_time(diff_id), self.lease(diff_id):
            self.info(diff_id)
            temporary = Path(tempfile.mkdtemp(prefix="tmp-", dir=self._root))
            try:
                unpacked = self._unpackers.feed(temporary, iter(chunks), None)
                unpacked.verify(diff_id, None)
                # As a new layer: until it is on the disk, a power cut makes it suspect.
                changed = "UPDATE layers SET boot=?, size=?, tar_size=? WHERE diff_id=?"
                sizes = (unpacked.size, unpacked.tar_size)
                self._db.execute(changed, self.settling.boot, *sizes, diff_id)
                target = self.folder(diff_id)
                if target.exists():
                    syscalls.exchange(str(temporary), str(target))
                else:
                    os.rename(temporary, target)
                blob = _blob(unpacked, media_type)
                if blob is not None:
                    self.add_blob(diff_id, blob)
            finally:
                if temporary.exists():
                    self._trash.put(temporary)
        self.settling.request()

    def strays(self) -> list[str]:
        """Folders that no row speaks of, but for those being made."""
        present = {one.name for one in self._root.iterdir() if not one.name.startswith("tmp-")}
        # The rows after the folders: a layer's folder comes first, and both in one transaction.
        return sorted(present - {digests.split(diff_id)[1] for diff_id in self.all()})

    def _commit(self, temporary: Path, unpacked: Unpacked, blob: BlobInfo | None) -> None:
        with self._lock:
            # Before anybody can see it, and also when another was faster.
            if self._starts:
                self._made[unpacked.diff_id] = next(self._count)
        with self._db.transaction():
            if not self.has(unpacked.diff_id):
                target = self.folder(unpacked.diff_id)
                # Left by a crash between the rename and the row.
                self._trash.put(target)
                # A full disk takes the row away again: the folder goes with it, before another,
                # who was asked for no digest either, puts the same layer there.
                self._db.after_undo(lambda: self._trash.put(target))
                os.rename(temporary, target)
                sizes = (unpacked.size, unpacked.tar_size)
                row = (unpacked.diff_id, *sizes, time.time_ns(), self.settling.boot)
                self._db.execute("INSERT INTO layers VALUES (?,?,?,?,?)", *row)
            if blob is not None:
                self.add_blob(unpacked.diff_id, blob)
        self.settling.request()

    @contextlib.contextmanager
    def _one_at_a_time(self, diff_id: str | None) -> Iterator[None]:
        if diff_id is None:
            yield
            return
        digests.split(diff_id)
        with self._lock:
            lock, users = self._busy.get(diff_id, (threading.Lock(), 0))
            self._busy[diff_id] = lock, users + 1
        try:
            with lock:
                yield
        finally:
            with self._lock:
                _, users = self._busy.pop(diff_id)
                # Whoever waits for it has it in hand: the next to come must meet the same one.
                if users > 1:
                    self._busy[diff_id] = lock, users - 1

    def tar(self, diff_id: str) -> Iterator[bytes]:
        """The layer's uncompressed tar, bit by bit what `diff_id` is the digest of.

        Raises NotFoundError, and BayError at the end when the disk holds something else.
        """
        self.info(diff_id)
        return replay(self.folder(diff_id), diff_id)

    @contextlib.contextmanager
    def lease(self, *diff_ids: str) -> Iterator[None]:
        """While inside, the garbage collector spares these layers, here already or not yet.

        It spares all that are made meanwhile, too: their DiffIDs may not be known before.
        """
        with self.hold(*diff_ids):
            with self._lock:
                start = next(self._count)
                self._starts.append(start)
            try:
                yield
            finally:
                with self._lock:
                    self._starts.remove(start)
                    if not self._starts:
                        self._made.clear()

    @contextlib.contextmanager
    def hold(self, *diff_ids: str) -> Iterator[None]:
        """While inside, the garbage collector spares these layers and no others: for a reader."""
        with self._lock:
            self._held.update(diff_ids)
        try:
            yield
        finally:
            with self._lock:
                self._held.subtract(diff_ids)
                self._held += Counter()

    def is_leased(self, diff_id: str) -> bool:
        """Whether a lease spares the layer."""
        with self._lock:
            made = self._made.get(diff_id, -1)
            return diff_id in self._held or any(made > start for start in self._starts)

    def remove(self, diff_id: str) -> None:
        """Remove a layer nobody uses; raises NotFoundError, or ConflictError when it is used."""
        with self._db.transaction():
            self.info(diff_id)
            if self.is_leased(diff_id) or diff_id in self.used():
                raise ConflictError(f"layer {diff_id} is in use")
            self._db.execute("DELETE FROM layers WHERE diff_id=?", diff_id)
            self._db.after_commit(lambda: self._trash.put(self.folder(diff_id)))

    def used(self) -> set[str]:
        """The layers that images, snapshots or the build cache refer to."""
        return {
            row[0]
            for row in self._db.execute(
                "SELECT diff_id FROM image_layers UNION SELECT diff_id FROM snapshot_layers"
                " UNION SELECT diff_id FROM build_steps WHERE diff_id IS NOT NULL"
            )
        }

    def sweep(self) -> list[str]:
        """At open: make folders and rows agree again. The DiffIDs of rows that had to go."""
        present = {entry.name for entry in self._root.iterdir()}
        gone = [diff_id for diff_id in self.all() if digests.split(diff_id)[1] not in present]
        gone += self.settling.distrusted(self)
        for diff_id in gone:
            self._db.execute("DELETE FROM layers WHERE diff_id=?", diff_id)
        kept = {digests.split(diff_id)[1] for diff_id in self.all()}
        for name in present - kept:
            self._trash.put(self._root / name)
        return gone


def _chunks(source: Iterable[bytes] | Readable) -> Iterator[bytes]:
    read = getattr(source, "read", None)
    return iter(source) if read is None else iter(lambda: read(_BLOCK), b"")  # type: ignore[arg-type] # getattr() above tells the two apart


def _blob(unpacked: Unpacked, media_type: str | None) -> BlobInfo | None:
    """The compressed form it came in; None when it came uncompressed, or as no layer may."""
    media_type = media_type or layer_type(unpacked.head)
    if unpacked.blob_digest == unpacked.diff_id or media_type is None:
        return None
    return BlobInfo(unpacked.blob_digest, unpacked.blob_size, media_type)
