"""Paths inside a folder that can never lead out of it, whatever links lie on the way.

Every folder is opened by openat2(2) with RESOLVE_IN_ROOT: the kernel resolves `..` and symbolic
links as if the folder were `/`, atomically, so that a race cannot lead out either. Last
components are always used with the folder's descriptor and never followed.
"""

from __future__ import annotations

import errno
import os
import stat

from ..host import syscalls
from ..host.errors import InvalidError

_CACHED = 192
_FOLDER = os.O_PATH | os.O_DIRECTORY
_RULE = syscalls.RESOLVE_IN_ROOT | syscalls.RESOLVE_NO_MAGICLINKS


def clean(name: bytes) -> list[bytes]:
    """The components of `name` below the root, `.` and `..` resolved by their text.

    Raises InvalidError when `name` leads above the root or holds a NUL.
    """
    parts: list[bytes] = []
    for part in name.split(b"/"):
        if part == b"..":
            if not parts:
                shown = repr(name[:200].decode("utf-8", "backslashreplace"))
                raise InvalidError(f"{shown} is outside of the root")
            parts.pop()
        elif part and part != b".":
            parts.append(part)
    if b"\0" in name:
        raise InvalidError("a name in the archive holds a NUL")
    return parts


class RootFd:
    """A folder, by path or by a descriptor that stays the caller's, and descriptors of the
    folders in it. A context manager."""

    def __init__(self, root: bytes | int) -> None:
        if isinstance(root, int):
            self.fd = os.dup(root)
        else:
            self.fd = os.open(root, _FOLDER | os.O_NOFOLLOW | os.O_CLOEXEC)
        shown = os.readlink(f"/proc/self/fd/{self.fd}")
        # Of the root of another mount namespace it is just a slash.
        self._prefix = len(os.fsencode(shown).rstrip(b"/")) + 1
        # In order of last use: dicts keep insertion order.
        self._cache: dict[bytes, int] = {}
        self._real: dict[int, bytes] = {self.fd: b""}

    def __enter__(self) -> RootFd:
        return self

    def __exit__(self, *_: object) -> None:
        self.forget()
        os.close(self.fd)

    def forget(self) -> None:
        """Drop the cached descriptors: a folder or a link on some path was replaced."""
        self.forget_except(-1)

    def forget_except(self, kept: int) -> None:
        """`forget`, but leave the descriptor `kept`, which the caller still uses, open."""
        for path, fd in list(self._cache.items()):
            if fd != kept:
                self._close(path)
        # A folder above may have moved.
        self._real = {self.fd: b""}

    def _close(self, path: bytes) -> None:
        fd = self._cache.pop(path)
        self._real.pop(fd, None)
        os.close(fd)

    def folder(self, path: bytes) -> int:
        """A descriptor (O_PATH) of the folder; valid until two more calls. Raises OSError."""
        if not path:
            return self.fd
        fd = self._cache.pop(path, -1)
        if fd < 0:
            fd = syscalls.openat2(self.fd, path, _FOLDER, resolve=_RULE)
            if len(self._cache) >= _CACHED:
                self._close(next(iter(self._cache)))
        self._cache[path] = fd
        return fd

    def real(self, fd: int) -> bytes:
        """The path of a folder's descriptor below the root, links resolved; b"" for the root."""
        path = self._real.get(fd)
        if path is None:
            path = os.fsencode(os.readlink(f"/proc/self/fd/{fd}"))[self._prefix :]
            self._real[fd] = path
        return path

    def lstat(self, folder: int, name: bytes) -> os.stat_result | None:
        """The entry's own stat; None when there is none."""
        try:
            return os.stat(name, dir_fd=folder, follow_symlinks=False)
        except FileNotFoundError:
            return None


def proc_path(folder: int, name: bytes = b"") -> bytes:
    """A path for calls that take no descriptor (setxattr): no link but the last can be in it."""
    return b"/proc/self/fd/%d/%s" % (folder, name) if name else b"/proc/self/fd/%d" % folder


def is_whiteout(found: os.stat_result) -> bool:
    """Whether this is overlayfs' mark of a deleted entry: character device 0:0."""
    return stat.S_ISCHR(found.st_mode) and found.st_rdev == 0


# What the content of an archive can cause, as opposed to what is wrong with this host.
CONTENT_ERRNOS = frozenset(
    (
        errno.ENAMETOOLONG,
        errno.ELOOP,
        errno.ENOTDIR,
        errno.EEXIST,
        errno.EISDIR,
        errno.EINVAL,
        errno.ENOENT,
        errno.EMLINK,
        errno.ERANGE,
        errno.E2BIG,
        errno.EFBIG,
        errno.ENXIO,
        errno.EXDEV,
        errno.EPERM,
    )
)
