"""Hard links to files of the layers below, as images of aufs' time have them.

The image specification has hard links stay inside a layer. aufs linked across layers, and its
images are still served. Layers are unpacked in any order, so such a link waits in the layer's
file `links` until its image is put together: then its target is copied up, as overlayfs itself
does for link(2), and linked. A layer with such links is thus made for the first image that has
it; no other base has ever been seen under one.
"""

from __future__ import annotations

import errno
import json
import os
import stat
from collections.abc import Sequence
from pathlib import Path

from ..host import files
from ..host.errors import InvalidError, NoSpaceError
from .attributes import get_xattrs, set_xattrs
from .lowers import Lowers, is_opaque
from .rootfd import RootFd, is_whiteout, proc_path

Link = tuple[bytes, bytes]
_CREATE = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
_CHUNK = 1 << 20


def keep(folder: Path, links: Sequence[Link]) -> None:
    """Remember the links (path, target) of the layer in `folder` that wait for what is below."""
    rows = [[os.fsdecode(path), os.fsdecode(target)] for path, target in links]
    (folder / "links").write_text(json.dumps(rows), encoding="ascii")


def settle(folder: Path, lowers: Sequence[Path]) -> None:
    """Make the links that wait, if any, from `lowers` (top first). May be repeated after a crash.

    Raises InvalidError for a target that no layer has, NoSpaceError.
    """
    try:
        rows = json.loads((folder / "links").read_text(encoding="ascii"))
    except FileNotFoundError:
        return
    with RootFd(os.fsencode(folder / "fs")) as tree:
        for path, target in rows:
            try:
                _Copy(tree, Lowers(lowers)).link(os.fsencode(path), os.fsencode(target))
            except OSError as error:
                if error.errno in (errno.ENOSPC, errno.EDQUOT):
                    raise NoSpaceError(
                        f"cannot unpack {path!r}: no space left on the disk"
                    ) from error
                raise
    files.unlink(folder / "links")


class _Copy:
    """One link."""

    def __init__(self, tree: RootFd, lowers: Lowers) -> None:
        self._tree = tree
        self._lowers = lowers

    def link(self, path: bytes, target: bytes) -> None:
        above, _, base = path.rpartition(b"/")
        try:
            folder = os.dup(self._tree.folder(above))
        except (FileNotFoundError, NotADirectoryError):
            return  # a later entry took its place
        try:
            if self._tree.lstat(folder, base) is not None:
                return
            source, name = self._up(target, path)
            before = os.stat(proc_path(folder))
            os.link(name, base, src_dir_fd=source, dst_dir_fd=folder, follow_symlinks=False)
            os.utime(proc_path(folder), ns=(before.st_mtime_ns, before.st_mtime_ns))
        finally:
            os.close(folder)

    def _up(self, target: bytes, path: bytes) -> tuple[int, bytes]:
        """The target in this layer, copied up from below if need be: its folder and name."""
        above, _, name = target.rpartition(b"/")
        parts = above.split(b"/") if above else []
        hidden = False
        for depth in range(len(parts) + 1):
            place = b"/".join(parts[:depth])
            if depth:
                self._folder(place, target, path, hidden)
            hidden = hidden or is_opaque(proc_path(self._tree.folder(place)) + b"/.")
        folder = self._tree.folder(above)
        found = self._tree.lstat(folder, name)
        if found is None and not hidden:
            self._copy(folder, name, target, path)
        elif found is None or is_whiteout(found) or stat.S_ISDIR(found.st_mode):
            raise _missing(path, target)
        return folder, name

    def _folder(self, place: bytes, target: bytes, path: bytes, hidden: bool) -> None:
        above, _, name = place.rpartition(b"/")
        folder = self._tree.folder(above)
        found = self._tree.lstat(folder, name)
        if found is not None and stat.S_ISDIR(found.st_mode):
            return
        below = None if found is not None or hidden else self._lowers.lstat(place)
        if below is None or not stat.S_ISDIR(below.st_mode):
            raise _missing(path, target)
        os.mkdir(name, 0o700, dir_fd=folder)
        own = proc_path(self._tree.folder(place))
        _describe(own, below, self._lowers.places(place)[0])

    def _copy(self, folder: int, name: bytes, target: bytes, path: bytes) -> None:
        places = self._lowers.places(target)
        below = os.lstat(places[0]) if places else None
        if below is None or not (stat.S_ISREG(below.st_mode) or stat.S_ISLNK(below.st_mode)):
            raise _missing(path, target)
        before = os.stat(proc_path(folder))
        if stat.S_ISLNK(below.st_mode):
            os.symlink(os.readlink(places[0]), name, dir_fd=folder)
            os.chown(name, below.st_uid, below.st_gid, dir_fd=folder, follow_symlinks=False)
            times = (below.st_mtime_ns, below.st_mtime_ns)
            os.utime(name, ns=times, dir_fd=folder, follow_symlinks=False)
        else:
            # Under another name first: half a file is not to be taken for the target.
            half = b".bay-up-%d" % below.st_ino
            if self._tree.lstat(folder, half) is not None:
                os.unlink(half, dir_fd=folder)
            fd = os.open(half, _CREATE, 0o600, dir_fd=folder)
            try:
                with open(places[0], "rb") as source:
                    while chunk := source.read(_CHUNK):
                        # A disk that fills up takes a part first, and says so only at the next.
                        view = memoryview(chunk)
                        while view:
                            view = view[os.write(fd, view) :]
                _describe(fd, below, places[0])
            finally:
                os.close(fd)
            os.rename(half, name, src_dir_fd=folder, dst_dir_fd=folder)
        os.utime(proc_path(folder), ns=(before.st_mtime_ns, before.st_mtime_ns))


def _describe(own: int | bytes, below: os.stat_result, place: bytes) -> None:
    """Owner, mode, xattrs and time of what lies below at `place`."""
    os.chown(own, below.st_uid, below.st_gid)
    os.chmod(own, stat.S_IMODE(below.st_mode))
    set_xattrs(own, get_xattrs(place))
    os.utime(own, ns=(below.st_mtime_ns, below.st_mtime_ns))


def _missing(path: bytes, target: bytes) -> InvalidError:
    shown, to = (repr(name[:200].decode("utf-8", "backslashreplace")) for name in (path, target))
    return InvalidError(
        f"cannot unpack {shown}: a hard link to {to}, which is neither in this layer nor in one"
        " below"
    )
