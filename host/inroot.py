"""Files below a folder that someone else fills: links in it never lead out of it (openat2(2))."""

from __future__ import annotations

import contextlib
import errno
import os
import posixpath
import stat
from pathlib import Path

from .syscalls import RESOLVE_IN_ROOT, RESOLVE_NO_MAGICLINKS, openat2

# As many as the kernel follows (path_resolution(7)).
_MOST_LINKS = 40
_RESOLVE = RESOLVE_IN_ROOT | RESOLVE_NO_MAGICLINKS


def below_root(path: str) -> str:
    """`path` as seen from the root folder, without `.`, `..` and a slash before it; "" is the root.

    posixpath.normpath keeps two slashes at the front, as POSIX allows (4.13, pathname resolution).
    """
    return posixpath.normpath("/" + path).lstrip("/")


def open_inside(root: Path, path: str, flags: int) -> int:
    """Open `path` as a process with `root` as its root folder would; the caller closes the fd.

    Raises OSError as open(2) does.
    """
    folder = os.open(root, os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        return openat2(folder, path or "/", flags, resolve=_RESOLVE)
    finally:
        os.close(folder)


def read_inside(root: Path, path: str, limit: int) -> bytes | None:
    """The regular file `path` below `root`; None when there is none, or no regular one.

    Raises OSError (EFBIG) when it has more than `limit` bytes.
    """
    try:
        found = open_inside(root, path, os.O_PATH)
    except (FileNotFoundError, NotADirectoryError):
        return None
    try:
        # Looked at before it is opened: opening a device is an act, of a watchdog a fatal one.
        if not stat.S_ISREG(os.fstat(found).st_mode):
            return None
        fd = os.open(f"/proc/self/fd/{found}", os.O_RDONLY | os.O_CLOEXEC)
    finally:
        os.close(found)
    with open(fd, "rb", buffering=0) as file:
        data = file.read(limit + 1) or b""
        while len(data) <= limit and (more := file.read(limit + 1 - len(data))):
            data += more
    if len(data) > limit:
        raise OSError(errno.EFBIG, f"over {limit} bytes", path)
    return data


def make_folders_inside(root: Path, path: str, mode: int = 0o755) -> None:
    """mkdir -p of `path` below `root`, links resolved inside `root`, those to nowhere included.

    Raises OSError (ENOTDIR) when a part of it is something else than a folder, ELOOP for links
    that go round.
    """
    waiting, done, links = _parts(path), "", 0
    while waiting:
        name = waiting.pop(0)
        parent = open_inside(root, done, os.O_PATH | os.O_DIRECTORY)
        try:
            target = _make_folder(parent, name, mode)
        finally:
            os.close(parent)
        if target is None:
            done = f"{done}/{name}"
            continue
        links += 1
        if links > _MOST_LINKS:
            raise OSError(errno.ELOOP, os.strerror(errno.ELOOP), path)
        # Its own target is made first, from the root or from where the link is.
        waiting = [*_parts(target), *waiting]
        done = "" if target.startswith("/") else done
    os.close(open_inside(root, done, os.O_PATH | os.O_DIRECTORY))


def make_mount_point(root: Path, path: str, *, folder: bool) -> int:
    """An O_PATH descriptor of `path` below `root`, made where it is missing: a folder or an empty
    file, mode 0755 as runc makes them (crun: 01755 and 0700).

    The caller closes it. Raises OSError.
    """
    try:
        return open_inside(root, path, os.O_PATH)
    except FileNotFoundError:
        pass
    above, _, name = path.rstrip("/").rpartition("/")
    make_folders_inside(root, path if folder else above)
    if not folder:
        parent = open_inside(root, above, os.O_PATH | os.O_DIRECTORY)
        try:
            flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC
            made = os.open(name, flags, 0o755, dir_fd=parent)
        finally:
            os.close(parent)
        os.fchmod(made, 0o755)
        os.close(made)
    return open_inside(root, path, os.O_PATH)


def _make_folder(parent: int, name: str, mode: int) -> str | None:
    """Make one folder; None when it is there now, else the target of the link that is there."""
    try:
        os.mkdir(name, mode, dir_fd=parent)
    except FileExistsError:
        try:
            return os.readlink(name, dir_fd=parent)
        except OSError as error:
            # EINVAL: no link. Whether it is a folder shows when the next one is made in it.
            if error.errno != errno.EINVAL:
                raise
        return None
    # mkdir(2) applies the umask; the caller's mode is meant as it is. By descriptor: whoever
    # fills the folder may have put a link in its place, which chmod(2) would follow.
    with contextlib.suppress(FileNotFoundError, NotADirectoryError):
        made = openat2(parent, name, os.O_PATH | os.O_DIRECTORY | os.O_NOFOLLOW)
        try:
            # A set-gid folder hands that down, which is kept.
            inherited = os.fstat(made).st_mode & stat.S_ISGID
            os.chmod(f"/proc/self/fd/{made}", mode | inherited)
        finally:
            os.close(made)
    return None


def _parts(path: str) -> list[str]:
    return [part for part in path.split("/") if part not in ("", ".")]
