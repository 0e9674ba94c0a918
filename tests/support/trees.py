"""A digest of a whole tree: content, modes, owners, times, links and extended attributes."""

from __future__ import annotations

import hashlib
import os
import stat
from pathlib import Path


def tree_digest(top: Path) -> str:
    """Hex sha256 over everything below `top` that a container could change."""
    digest = hashlib.sha256()
    for folder, folders, files in os.walk(top):
        folders.sort()
        for name in sorted([*folders, *files]):
            path = os.path.join(folder, name)
            digest.update(_entry(path, os.path.relpath(path, top)))
    return digest.hexdigest()


def _entry(path: str, name: str) -> bytes:
    status = os.lstat(path)
    told = [name, status.st_mode, status.st_uid, status.st_gid, status.st_mtime_ns, status.st_rdev]
    if stat.S_ISLNK(status.st_mode):
        told.append(os.readlink(path))
    elif stat.S_ISREG(status.st_mode):
        with open(path, "rb") as file:
            told.append(hashlib.file_digest(file, "sha256").hexdigest())
    if not stat.S_ISLNK(status.st_mode):
        names = sorted(os.listxattr(path, follow_symlinks=False))
        told += [(one, os.getxattr(path, one, follow_symlinks=False)) for one in names]
    return repr(told).encode("utf-8", "surrogateescape")
