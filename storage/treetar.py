"""Folders as tars: a writable layer for a commit, any tree for an export.

Names come sorted, so that one tree gives one tar.
"""

from __future__ import annotations

import contextlib
import errno
import os
import stat
from collections.abc import Generator, Iterator
from pathlib import Path

from ..host.errors import BayError
from . import tarheader as tar
from .attributes import get_xattrs
from .lowers import is_opaque
from .rootfd import is_whiteout
from .tarheader import Entry
from .tarmembers import KINDS, entry_of, file, joined
from .tarwriter import header

_DEPTH = 400
# What open(2) and readlink(2) say of an entry that became a link, a socket or a file.
_REPLACED = (errno.ELOOP, errno.ENXIO, errno.EINVAL)
_FOLDER = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC


def layer(upper: Path) -> Iterator[bytes]:
    """An overlayfs upper directory as the tar of an OCI layer, deletions as whiteouts.

    What the format has no way to say is left out: sockets, and names that begin with `.wh.`.
    """
    return joined(_Walk(os.fsencode(upper), layer=True).run())


def tree(root: Path, prefix: bytes = b"", *, top: bool = True) -> Generator[bytes, None, None]:
    """Any folder as a tar, as it is; names begin with `prefix` (`b"etc/"`).

    Without `top` the folder itself, "./", is left out: as Docker exports.
    """
    return joined(_Walk(os.fsencode(root), layer=False, prefix=prefix, top=top).run())


def member(folder: int, name: bytes, shown: bytes) -> Generator[bytes, None, None]:
    """What is called `name` in a folder's descriptor as a tar, in which it is called `shown`.

    A folder comes with all that is in it. Raises OSError (ENOENT) at the first step.
    """
    found = os.stat(name, dir_fd=folder, follow_symlinks=False)
    yield from joined(_Walk(b"", layer=False).member(folder, name, shown, found))


class _Walk:
    """One walk over a tree. Paths are relative to the root; folders are held by descriptor, so
    that nobody can redirect the walk through a link."""

    def __init__(self, root: bytes, *, layer: bool, prefix: bytes = b"", top: bool = True) -> None:
        self._root = root
        self._layer = layer
        self._prefix = prefix
        self._top = top and not layer
        self._links: dict[tuple[int, int], bytes] = {}

    def run(self) -> Iterator[bytes]:
        fd = os.open(self._root, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            if self._prefix or self._top:
                found = os.fstat(fd)
                yield header(entry_of(self._prefix or b"./", found, get_xattrs(fd)))
            yield from self._below(os.dup(fd), self._prefix)
        finally:
            os.close(fd)

    def member(self, fd: int, name: bytes, path: bytes, found: os.stat_result) -> Iterator[bytes]:
        """One entry of a folder, with what is below it."""
        if not stat.S_ISDIR(found.st_mode):
            yield from self._leaf(fd, name, path, found)
            return
        inner = os.open(name, _FOLDER, dir_fd=fd)
        yield header(entry_of(path + b"/", found, get_xattrs(inner)))
        yield from self._below(inner, path + b"/")

    def _below(self, fd: int, path: bytes) -> Iterator[bytes]:
        """All in a folder, whose descriptor this takes over."""
        # A stack of our own: Python's ends at a depth that a container can make in a second.
        stack = [(fd, path, self._names(fd))]
        try:
            yield from self._opaque_mark(fd, path)
            while stack:
                fd, path, names = stack[-1]
                name = next(names, None)
                if name is None:
                    os.close(stack.pop()[0])
                    continue
                try:
                    found = os.stat(name, dir_fd=fd, follow_symlinks=False)
                    if not stat.S_ISDIR(found.st_mode):
                        yield from self._leaf(fd, name, path + name, found)
                        continue
                    inner = os.open(name, _FOLDER, dir_fd=fd)
                except (FileNotFoundError, NotADirectoryError):
                    continue  # removed or replaced meanwhile
                path += name + b"/"
                stack.append((inner, path, self._names(inner)))
                if len(stack) > _DEPTH:
                    raise BayError(f"{os.fsdecode(path[:100])}… is over {_DEPTH} folders deep")
                yield header(entry_of(path, found, get_xattrs(inner)))
                yield from self._opaque_mark(inner, path)
        finally:
            for fd, _, _ in stack:
                os.close(fd)

    def _names(self, fd: int) -> Iterator[bytes]:
        names = sorted(map(os.fsencode, os.listdir(fd)))
        return iter([n for n in names if not n.startswith(b".wh.")] if self._layer else names)

    def _opaque_mark(self, fd: int, path: bytes) -> Iterator[bytes]:
        if self._layer and is_opaque(b"/proc/self/fd/%d/." % fd):
            yield _mark(path + b".wh..wh..opq")

    def _leaf(self, fd: int, name: bytes, path: bytes, found: os.stat_result) -> Iterator[bytes]:
        mode = found.st_mode
        if self._layer and is_whiteout(found):
            # The kernel makes all whiteouts one inode, so this comes before links.
            yield _mark(path[: -len(name)] + b".wh." + name)
            return
        if stat.S_IFMT(mode) not in KINDS:
            return  # a socket
        key = (found.st_dev, found.st_ino)
        if found.st_nlink > 1 and key in self._links:
            yield header(self._link(path, found, self._links[key]))
            return
        if stat.S_ISREG(mode):
            yield from self._file(fd, name, path)
            return
        entry = entry_of(path, found, get_xattrs(b"/proc/self/fd/%d/%s" % (fd, name)))
        if stat.S_ISLNK(mode):
            with _replaced():
                entry.link = os.readlink(name, dir_fd=fd)
        self._remember(path, found)
        yield header(entry)

    def _remember(self, path: bytes, found: os.stat_result) -> None:
        if found.st_nlink > 1:
            self._links[found.st_dev, found.st_ino] = path

    def _file(self, folder: int, name: bytes, path: bytes) -> Iterator[bytes]:
        flags = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
        with _replaced():
            fd = os.open(name, flags, dir_fd=folder)
        try:
            found = os.fstat(fd)
            if not stat.S_ISREG(found.st_mode):
                return
            self._remember(path, found)
            yield from file(entry_of(path, found, get_xattrs(fd)), fd, found.st_size)
        finally:
            os.close(fd)

    def _link(self, path: bytes, found: os.stat_result, target: bytes) -> Entry:
        entry = entry_of(path, found, {})
        entry.kind, entry.link = tar.HARDLINK, target
        return entry


@contextlib.contextmanager
def _replaced() -> Iterator[None]:
    """Inside, an entry that is not what it was is one that is gone: FileNotFoundError."""
    try:
        yield
    except OSError as error:
        if error.errno not in _REPLACED:
            raise
        raise FileNotFoundError(errno.ENOENT, "replaced meanwhile") from error


def _mark(path: bytes) -> bytes:
    return header(Entry(path, tar.REGULAR, 0o600, 0, 0, 0, 0, b"", 0, 0))
