"""Whether an unpacked layer is still what its archive said.

The archive is made again from the disk (journal.py), which proves every byte of every file, and
read as it comes: what each of its headers says is held against the entry on the disk. Whatever
lies in the layer's folder and is in no header is told, too.
"""

from __future__ import annotations

import errno
import os
import stat
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from ..host.errors import BayError
from . import tarheader as tar
from .attributes import OPAQUE, get_xattrs
from .layers import Layers
from .plainfiles import WHITEOUT
from .rootfd import RootFd, clean, is_whiteout
from .tarheader import Entry
from .tarstream import TarStream

_SPECIAL = b".wh..wh."
_OPAQUE_NAME = b".wh..wh..opq"
_KINDS = {
    tar.REGULAR: stat.S_IFREG,
    tar.DIRECTORY: stat.S_IFDIR,
    tar.SYMLINK: stat.S_IFLNK,
    tar.CHAR: stat.S_IFCHR,
    tar.BLOCKDEV: stat.S_IFBLK,
    tar.FIFO: stat.S_IFIFO,
}
# Where every file system keeps times as they are: ext4's first inodes end in 2038.
_TIMES = range(2**31)
_OURS = ("trusted.overlay.", "user.overlay.", "security.selinux", "system.")
_MOST_FAULTS = 100


@dataclass(frozen=True)
class Fault:
    """What is wrong at a path (`/etc/passwd`, or empty for the layer as a whole)."""

    path: str
    detail: str


@dataclass
class Findings:
    """What a check of one layer saw: entries and bytes read, and at most 100 faults."""

    files: int
    size: int
    faults: list[Fault]


def verify(
    layers: Layers,
    diff_id: str,
    on_progress: Callable[[int], None] | None = None,
    settled: bool = True,
) -> Findings:
    """Check one layer; blocks for as long as it takes to read it.

    `settled` is whether an image has it, so that links across layers must be there (oldlinks.py).
    `on_progress` gets the bytes read so far; what it raises ends the check. Raises NotFoundError
    for a layer that is not known.
    """
    found = Findings(0, 0, [])

    def counted() -> Iterator[bytes]:
        for chunk in layers.tar(diff_id):
            found.size += len(chunk)
            if on_progress is not None:
                on_progress(found.size)
            yield chunk

    layers.info(diff_id)
    try:
        with _Expected(layers.path(diff_id), settled) as expected:
            try:
                for entry in TarStream(counted()):
                    expected.entry(entry)
                    found.files += 1
            except (BayError, OSError) as error:
                cause = error.__cause__
                path = getattr(cause, "filename", None) or ""
                found.faults.append(Fault(f"/{path.lstrip('/')}" if path else "", str(error)))
                if isinstance(cause, OSError):
                    # The archive ended early: what is unread is unknown, not superfluous.
                    return found
            found.faults += expected.faults()[:_MOST_FAULTS]
    except OSError as error:
        found.faults.append(Fault("", f"its folder cannot be read: {error.strerror or error}"))
    return found


class _Expected:
    """What should be in a layer's folder, entry by entry. A context manager."""

    def __init__(self, root: Path, settled: bool) -> None:
        self._settled = settled
        # Files of the layers below that were copied up for hard links to them.
        self._copied: set[bytes] = set()
        self._tree = RootFd(os.fsencode(root))
        self._root = os.fsencode(root)
        self._entries: dict[bytes, Entry] = {}
        self._whiteouts: set[bytes] = set()
        self._opaque: set[bytes] = set()
        self._missing: dict[bytes, None] = {}

    def __enter__(self) -> _Expected:
        return self

    def __exit__(self, *_: object) -> None:
        self._tree.__exit__()

    def entry(self, entry: Entry) -> None:
        """Note what the next header says; the rules are those of applier.py."""
        parts = clean(entry.name)
        if not parts:
            if entry.kind == tar.DIRECTORY:
                self._entries[b""] = entry
            return
        base = parts.pop()
        if any(part.startswith(_SPECIAL) for part in parts):
            return
        folder = self._folder(parts)
        if base == _OPAQUE_NAME:
            self._opaque.add(folder)
        elif base.startswith(_SPECIAL):
            return
        elif base.startswith(WHITEOUT):
            self._whiteouts.add(_join(folder, base[len(WHITEOUT) :]))
        else:
            self._place(_join(folder, base), entry)

    def _folder(self, parts: list[bytes], *, needed: bool = True) -> bytes:
        """The folder's path with links resolved; as it is written when it is not there."""
        path = b"/".join(parts)
        try:
            return self._tree.real(self._tree.folder(path))
        except OSError:
            if needed:
                self._missing[path] = None
            return path

    def _place(self, path: bytes, entry: Entry) -> None:
        before = self._entries.get(path)
        if entry.kind == tar.HARDLINK:
            target = clean(entry.link)
            name = target.pop()
            linked = _join(self._folder(target, needed=False), name)
            if linked not in self._entries:
                self._copied.add(linked)
            entry = self._entries.get(linked, entry)
        elif before is not None and before.kind == tar.DIRECTORY:
            if entry.kind == tar.DIRECTORY:
                entry.xattrs = {**before.xattrs, **entry.xattrs}
            else:
                for below in [one for one in self._entries if one.startswith(path + b"/")]:
                    del self._entries[below]
        self._entries[path] = entry

    def faults(self) -> list[Fault]:
        """Compare all that was noted with the disk, and the disk with all that was noted."""
        found = [
            Fault(_shown(path), "this folder is missing")
            for path in self._missing
            if self._lstat(path) is None
        ]
        inodes: dict[int, int] = {}
        holds_user = _holds_user_attributes(self._root)
        for path, entry in self._entries.items():
            status = self._lstat(path)
            waits = entry.kind == tar.HARDLINK and not self._settled
            wrong = "is missing" if status is None and not waits else None
            if status is not None:
                wrong = self._wrong(path, entry, status, holds_user)
                # Names of one file in the archive are names of one file here.
                if wrong is None and inodes.setdefault(id(entry), status.st_ino) != status.st_ino:
                    wrong = "is a file of its own instead of a hard link"
            if wrong is not None:
                found.append(Fault(_shown(path), wrong))
        found += self._marks()
        found += self._strangers()
        return found

    def _lstat(self, path: bytes) -> os.stat_result | None:
        try:
            above, _, name = path.rpartition(b"/")
            folder = self._tree.folder(above)
            return self._tree.lstat(folder, name) if name else os.fstat(self._tree.fd)
        except OSError as error:
            if error.errno in (errno.ENOENT, errno.ENOTDIR, errno.ELOOP):
                return None
            raise

    def _wrong(
        self, path: bytes, entry: Entry, status: os.stat_result, holds_user: bool
    ) -> str | None:
        kind = _KINDS.get(entry.kind)
        if kind is None:
            return None  # a hard link to something that no header described
        if stat.S_IFMT(status.st_mode) != kind:
            return "is of another kind"
        if kind == stat.S_IFREG and status.st_size != entry.real_size:
            return f"has {status.st_size} bytes instead of {entry.real_size}"
        if kind != stat.S_IFLNK and stat.S_IMODE(status.st_mode) != entry.mode & 0o7777:
            return f"has mode {stat.S_IMODE(status.st_mode):04o} instead of {entry.mode:04o}"
        if (status.st_uid, status.st_gid) != (entry.uid, entry.gid):
            return f"belongs to {status.st_uid}:{status.st_gid}, not {entry.uid}:{entry.gid}"
        is_device = kind in (stat.S_IFCHR, stat.S_IFBLK)
        if is_device and status.st_rdev != os.makedev(entry.major, entry.minor):
            return "is another device"
        seconds = entry.mtime // 1_000_000_000
        if seconds in _TIMES and status.st_mtime_ns // 1_000_000_000 != seconds:
            return "was modified at another time"
        place = _join(self._root, path)
        if kind == stat.S_IFLNK and os.readlink(place) != entry.link:
            return "points elsewhere"
        return _wrong_attributes(place, entry, holds_user)

    def _marks(self) -> Iterator[Fault]:
        for path in self._whiteouts:
            status = self._lstat(path)
            if status is None:
                yield Fault(_shown(path), "its mark of removal (whiteout) is missing")
            elif path not in self._entries and not is_whiteout(status):
                # A folder that the layer makes at the same place hides what was there instead.
                if stat.S_ISDIR(status.st_mode) and self._is_opaque(path):
                    continue
                yield Fault(_shown(path), "its mark of removal (whiteout) was replaced")
        for path in self._opaque:
            status = self._lstat(path)
            if status is not None and stat.S_ISDIR(status.st_mode) and not self._is_opaque(path):
                yield Fault(_shown(path), "this folder does not hide those below it any more")

    def _is_opaque(self, path: bytes) -> bool:
        try:
            return os.getxattr(_join(self._root, path), OPAQUE) == b"y"
        except OSError:
            return False

    def _strangers(self) -> Iterator[Fault]:
        """What is in the folder and in no header."""
        known = set(self._entries) | self._whiteouts | self._opaque | self._copied
        for path in list(known):
            while (cut := path.rfind(b"/")) > 0:
                path = path[:cut]
                if path in known:
                    break
                known.add(path)
        waiting = [b""]
        while waiting:
            folder = waiting.pop()
            try:
                with os.scandir(_join(self._root, folder)) as listing:
                    rows = [(one.name, one.is_dir(follow_symlinks=False)) for one in listing]
            except OSError as error:
                if error.errno == errno.ENAMETOOLONG:
                    continue  # deeper than a path can name
                raise
            for name, is_folder in rows:
                path = _join(folder, name)
                if path not in known:
                    yield Fault(_shown(path), "is not part of the layer")
                elif is_folder:
                    waiting.append(path)


def _wrong_attributes(place: bytes, entry: Entry, holds_user: bool) -> str | None:
    try:
        actual = get_xattrs(place)
    except OSError as error:
        if error.errno == errno.ENAMETOOLONG:
            return None
        raise
    wanted = {key: value for key, value in entry.xattrs.items() if not key.startswith(_OURS)}
    for key, value in wanted.items():
        if key not in actual:
            # `user.*` is for files and folders alone, and not on every file system.
            if key.startswith("user.") and (
                not holds_user or entry.kind not in (tar.REGULAR, tar.DIRECTORY)
            ):
                continue
            return f"lacks the attribute {key}"
        if actual[key] != value:
            return f"has another value of the attribute {key}"
    for key in actual:
        if key not in wanted and not key.startswith(_OURS):
            return f"has an attribute {key} of its own"
    return None


def _holds_user_attributes(root: bytes) -> bool:
    try:
        os.getxattr(root, "user.bay")
    except OSError as error:
        return error.errno != errno.EOPNOTSUPP
    return True


def _join(folder: bytes, name: bytes) -> bytes:
    return folder + b"/" + name if folder and name else folder or name


def _shown(path: bytes) -> str:
    return "/" + os.fsdecode(path)
