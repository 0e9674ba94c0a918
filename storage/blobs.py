"""Content by digest: `blobs/sha256/<hex>`, whole and verified or not there.

Layers are kept unpacked (see layers.py), so what rests here is what is on its way: downloads
that can be resumed, and blobs kept on request.
"""

from __future__ import annotations

import hashlib
import os
from pathlib import Path
from typing import BinaryIO

from ..host import files
from ..host.errors import InvalidError, NotFoundError
from . import digests

_BLOCK = 1 << 20


class Blobs:
    """The folder of blobs. A blob appears by a rename, after its digest was checked."""

    def __init__(self, root: Path) -> None:
        self._root = root
        (root / "sha256").mkdir(mode=0o700, parents=True, exist_ok=True)
        (root / "partial").mkdir(mode=0o700, exist_ok=True)

    def path(self, digest: str) -> Path:
        """Where the blob is, or would be. Raises InvalidError for what is no digest."""
        algorithm, encoded = digests.split(digest)
        return self._root / algorithm / encoded

    def has(self, digest: str) -> bool:
        """Whether the blob is here, whole."""
        return self.path(digest).is_file()

    def size(self, digest: str) -> int:
        """The blob's size in bytes; raises NotFoundError when it is not here."""
        try:
            return self.path(digest).stat().st_size
        except FileNotFoundError:
            raise NotFoundError(f"No such blob: {digest}") from None

    def partial(self, digest: str) -> Path:
        """The file a download of this blob is written to, and resumed from after a crash."""
        algorithm, encoded = digests.split(digest)
        return self._root / "partial" / f"{algorithm}-{encoded}"

    def ingest(self, digest: str, file: Path) -> None:
        """Take the finished `file` (on the same file system) as the blob `digest`.

        The content is read and hashed first. Raises InvalidError, and removes the file, when it
        is something else.
        """
        algorithm, encoded = digests.split(digest)
        with open(file, "rb") as source:
            found = hashlib.file_digest(source, algorithm).hexdigest()
        if found != encoded:
            files.unlink(file)
            raise InvalidError(
                f"content of {digest} is {algorithm}:{found}: the transfer was damaged, try again"
            )
        target = self.path(digest)
        target.parent.mkdir(mode=0o700, exist_ok=True)
        os.rename(file, target)

    def put(self, data: bytes) -> str:
        """Store small `data`; its digest."""
        digest = digests.of(data)
        if not self.has(digest):
            files.write_atomic(self.path(digest), data, 0o600)
        return digest

    def open(self, digest: str) -> BinaryIO:
        """Open the blob for reading; raises NotFoundError."""
        try:
            return open(self.path(digest), "rb", buffering=_BLOCK)
        except FileNotFoundError:
            raise NotFoundError(f"No such blob: {digest}") from None

    def all(self) -> list[str]:
        """The digests of all blobs here, sorted."""
        return sorted(
            f"{folder.name}:{entry.name}"
            for folder in self._root.iterdir()
            if folder.name != "partial"
            for entry in folder.iterdir()
            if digests.is_digest(f"{folder.name}:{entry.name}")
        )

    def partials(self) -> list[tuple[str, int]]:
        """The files of downloads that were cut short: names and bytes."""
        return [(one.name, one.stat().st_size) for one in (self._root / "partial").iterdir()]

    def remove(self, digest: str) -> None:
        """Remove the blob and its partial download, where they are there."""
        files.unlink(self.path(digest))
        files.unlink(self.partial(digest))

    def drop_packed(self) -> None:
        """At open: remove what dead pushes had packed to send, of no use to the next."""
        for entry in (self._root / "partial").iterdir():
            if not digests.is_digest(entry.name.replace("-", ":", 1)):
                files.unlink(entry)

    def sweep(self, before: float) -> int:
        """Remove partial downloads not written to since `before` (seconds since 1970); bytes."""
        freed = 0
        for entry in (self._root / "partial").iterdir():
            found = entry.stat()
            if found.st_mtime < before:
                files.unlink(entry)
                freed += found.st_size
        return freed
