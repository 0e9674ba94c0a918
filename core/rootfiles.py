"""Looking at the files of a root folder: a folder's entries, a file's content.

Every path is resolved by the kernel inside the root (openat2(2), RESOLVE_IN_ROOT): whatever links
are in it, and whoever changes them meanwhile, nothing of the host is seen.
"""

from __future__ import annotations

import errno
import os
import stat
from pathlib import Path

from ..host import clock
from ..host.errors import BayError, InvalidError, NotFoundError
from ..host.inroot import read_inside
from ..host.syscalls import RESOLVE_IN_ROOT, RESOLVE_NO_MAGICLINKS, openat2
from ..storage.layertree import KINDS
from .types import Json

ENTRIES = 5000
CONTENT = 1 << 20
MOST_CONTENT = 16 << 20
_RULE = RESOLVE_IN_ROOT | RESOLVE_NO_MAGICLINKS
_NAMES_LIMIT = 1 << 20


def folder(root: int, path: str, what: str, limit: int = ENTRIES) -> Json:
    """The entries of the folder at `path` below the descriptor `root`, or the one that is there.

    `what` says whose root it is ("container web"). Raises NotFoundError, BayError; blocks.
    """
    try:
        fd = openat2(root, "/" + path, os.O_PATH, resolve=_RULE)
    except OSError as error:
        raise _explained(error, path, what) from error
    try:
        shown = _real(root, fd)
        names = _Names(root)
        if not stat.S_ISDIR(os.fstat(fd).st_mode):
            above, _, name = shown.rpartition("/")
            parent = openat2(root, above or "/", os.O_PATH | os.O_DIRECTORY, resolve=_RULE)
            try:
                rows = [_row(root, parent, name, above, names)]
            finally:
                os.close(parent)
            return {"Path": shown, "Total": 1, "Entries": [row for row in rows if row]}
        place = f"/proc/self/fd/{fd}"
        with os.scandir(place) as listing:
            found = [(not one.is_dir(follow_symlinks=False), one.name) for one in listing]
        found.sort()
        rows = [_row(root, fd, name, shown, names) for _, name in found[:limit]]
        return {"Path": shown, "Total": len(found), "Entries": [row for row in rows if row]}
    except OSError as error:
        raise _explained(error, path, what) from error
    finally:
        os.close(fd)


def content(root: int, path: str, what: str, offset: int, limit: int) -> tuple[bytes, int]:
    """At most `limit` bytes of the regular file at `path` from `offset` on, and its whole size.

    Raises NotFoundError, InvalidError for what is no regular file; blocks.
    """
    if offset < 0 or not 0 <= limit <= MOST_CONTENT:
        raise InvalidError(f"invalid offset or limit: at most {MOST_CONTENT} bytes can be read")
    try:
        # O_NONBLOCK: a FIFO must not wait for its writer; a device is refused before it is opened.
        fd = openat2(root, "/" + path, os.O_PATH, resolve=_RULE)
        try:
            if not stat.S_ISREG(os.fstat(fd).st_mode):
                kind = KINDS.get(stat.S_IFMT(os.fstat(fd).st_mode), "special file")
                raise InvalidError(f"cannot read {path} in {what}: it is a {kind}, not a file")
            reading = os.open(f"/proc/self/fd/{fd}", os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
        finally:
            os.close(fd)
        with open(reading, "rb", buffering=0) as file:
            size = os.fstat(reading).st_size
            data = b""
            while len(data) < limit:
                more = os.pread(file.fileno(), limit - len(data), offset + len(data))
                if not more:
                    break
                data += more
            return data, size
    except OSError as error:
        raise _explained(error, path, what) from error


def _explained(error: OSError, path: str, what: str) -> BayError:
    if error.errno in (errno.ENOENT, errno.ENOTDIR):
        return NotFoundError(f"Could not find the file {path} in {what}")
    return BayError(f"{path} in {what}: {error.strerror or error}")


def _real(root: int, fd: int) -> str:
    """The path of a descriptor below the root."""
    start = os.readlink(f"/proc/self/fd/{root}").rstrip("/")
    return os.readlink(f"/proc/self/fd/{fd}")[len(start) :] or "/"


def _row(root: int, parent: int, name: str, above: str, names: _Names) -> Json | None:
    try:
        found = os.stat(name, dir_fd=parent, follow_symlinks=False)
        target = os.readlink(name, dir_fd=parent) if stat.S_ISLNK(found.st_mode) else ""
    except FileNotFoundError:
        return None  # removed meanwhile
    path = f"{above.rstrip('/')}/{name}"
    return {
        "Name": name,
        "Path": path,
        "Type": KINDS.get(stat.S_IFMT(found.st_mode), "file"),
        "Mode": stat.S_IMODE(found.st_mode),
        "Uid": found.st_uid,
        "Gid": found.st_gid,
        "User": names.users.get(found.st_uid, ""),
        "Group": names.groups.get(found.st_gid, ""),
        "Size": found.st_size,
        "Modified": clock.from_ns(found.st_mtime_ns),
        "Target": target,
        "TargetType": _target_type(root, path) if target else "",
    }


def _target_type(root: int, path: str) -> str:
    try:
        fd = openat2(root, path, os.O_PATH, resolve=_RULE)
    except OSError:
        return ""
    try:
        return KINDS.get(stat.S_IFMT(os.fstat(fd).st_mode), "")
    finally:
        os.close(fd)


class _Names:
    """The root's own names of users and groups."""

    def __init__(self, root: int) -> None:
        self.users = _numbers(root, "/etc/passwd")
        self.groups = _numbers(root, "/etc/group")


def _numbers(root: int, path: str) -> dict[int, str]:
    try:
        data = read_inside(Path(f"/proc/self/fd/{root}"), path, _NAMES_LIMIT) or b""
    except OSError:
        return {}
    found: dict[int, str] = {}
    for line in data.decode(errors="replace").splitlines():
        parts = line.split(":")
        if len(parts) > 2 and parts[2].isdecimal() and len(parts[2]) < 20:
            found.setdefault(int(parts[2]), parts[0])
    return found
