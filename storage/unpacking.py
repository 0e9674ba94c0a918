"""Unpacking one layer's archive, compressed or not, into a folder of its own."""

from __future__ import annotations

import contextlib
import hashlib
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from ..host.errors import InvalidError
from . import oldlinks
from .ahead import read_ahead
from .applier import Applier
from .inflate import Readable, Source, inflate, is_compressed
from .journal import Journal
from .tarstream import TarStream


@dataclass(frozen=True)
class Unpacked:
    """What came out of an archive: its digests, its sizes in bytes, its first bytes."""

    diff_id: str
    blob_digest: str
    blob_size: int
    size: int
    tar_size: int
    head: bytes

    def verify(self, diff_id: str | None, blob_digest: str | None) -> None:
        """Raise InvalidError unless both digests, where given, are those found."""
        if blob_digest is not None and blob_digest != self.blob_digest:
            raise InvalidError(
                f"layer verification failed for digest {blob_digest}: got {self.blob_digest}"
            )
        if diff_id is not None and diff_id != self.diff_id:
            raise InvalidError(
                f"wrong diff id calculated on extraction: {self.diff_id} instead of {diff_id}"
            )


def unpack(
    folder: Path,
    chunks: Iterable[bytes] | Readable,
    on_progress: Callable[[int], None] | None,
    *,
    ahead: bool = True,
) -> Unpacked:
    """Unpack an archive into `folder`/fs, with its journal beside it.

    `on_progress` gets the count of bytes read so far; what it raises aborts. With `ahead`, two
    more threads inflate and hash, for one archive on several cores; without, one thread does all.
    Raises InvalidError for a damaged or a hostile archive, NoSpaceError.
    """
    blob_hash, tar_hash = hashlib.sha256(), hashlib.sha256()
    blob_size = tar_size = 0

    def seen(data: bytes) -> None:
        nonlocal blob_size
        blob_hash.update(data)
        blob_size += len(data)
        if on_progress is not None:
            on_progress(blob_size)

    def tapped(inflated: Iterator[bytes]) -> Iterator[bytes]:
        nonlocal tar_size
        for piece in inflated:
            tar_size += len(piece)
            # An uncompressed tar is hashed as it comes in.
            if is_compressed(source.head):
                tar_hash.update(piece)
            yield piece

    source = Source(chunks, seen)
    root = folder / "fs"
    root.mkdir()
    root.chmod(0o755)
    with Journal(folder) as journal, contextlib.ExitStack() as stack:
        applier = stack.enter_context(Applier(root, journal=journal))
        inflated: Iterator[bytes] = inflate(source)
        if ahead:
            inflated = stack.enter_context(contextlib.closing(read_ahead(inflated)))
        pieces = tapped(inflated)
        if ahead:
            pieces = stack.enter_context(contextlib.closing(read_ahead(pieces)))
        applier.apply(TarStream(pieces, journal))
        stack.close()
        journal.finish()
    if applier.waiting:
        oldlinks.keep(folder, applier.waiting)
    for _ in iter(lambda: source.read(1 << 20), b""):
        pass
    if not is_compressed(source.head):
        tar_hash = blob_hash
    return Unpacked(
        "sha256:" + tar_hash.hexdigest(),
        "sha256:" + blob_hash.hexdigest(),
        blob_size,
        applier.size,
        tar_size,
        source.head,
    )
