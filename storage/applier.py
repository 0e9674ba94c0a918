"""Unpacking one layer's tar into an overlayfs lower directory.

The rules are the OCI image specification's, layer.md: whiteouts `.wh.<name>` and the opaque mark
`.wh..wh..opq` become overlayfs' own (character device 0:0, `trusted.overlay.opaque`). Nothing is
ever created, changed or removed outside the folder: see rootfd.py.
"""

from __future__ import annotations

import errno
import os
import stat
from collections.abc import Callable
from pathlib import Path

from ..host import files
from ..host.errors import BayError, InvalidError, NoSpaceError
from . import tarheader as tar
from .attributes import OPAQUE, set_xattrs
from .journal import Journal
from .plainfiles import CREATE, NO_ID, NO_NAMES, WHITEOUT, PlainFiles
from .rootfd import CONTENT_ERRNOS, RootFd, clean, is_whiteout, proc_path
from .tarstream import TarStream
from .writing import write_payload

_SPECIAL = b".wh..wh."
_OPAQUE_NAME = b".wh..wh..opq"
_REMEMBERED = 4096


class Applier:
    """Applies the entries of one archive to one folder, given by path or by descriptor. A context
    manager.

    `whiteouts` False takes `.wh.` names for plain names, as for `docker cp`. With a journal,
    what a later entry replaces is moved aside instead of removed. `size` and `count` sum up the
    files' bytes and the entries.
    """

    def __init__(self, root: Path | int, *, journal: Journal | None = None, whiteouts: bool = True):
        self._tree = RootFd(root if isinstance(root, int) else os.fsencode(root))
        self._journal = journal
        self._whiteouts = whiteouts
        # Folder times come last, since filling a folder changes them: path -> ns.
        self._times: dict[bytes, int] = {}
        # Folders as archives spell them, cleaned: most entries have the one before's.
        self._cleaned: dict[bytes, bytes] = {}
        # Mode bits that creat(2) leaves out; all of them once some folder passes on a group
        # (set-gid) or a default ACL to what is made in it.
        self._masked = process_umask() | 0o7000
        self._inherits = journal is None or self._passes_on()
        self.size = 0
        self.count = 0
        # Hard links (path, target) to what this archive does not have: see oldlinks.py.
        self.waiting: list[tuple[bytes, bytes]] = []

    def __enter__(self) -> Applier:
        return self

    def __exit__(self, *_: object) -> None:
        self._tree.__exit__()

    def _passes_on(self) -> bool:
        """Whether the folder itself gives what is made in it a group or an ACL."""
        own = proc_path(self._tree.fd)
        return bool(os.stat(own).st_mode & stat.S_ISGID or os.listxattr(own))

    def apply(self, stream: TarStream) -> None:
        """Unpack all of `stream`.

        Raises InvalidError for an archive that is damaged or wants out of the folder,
        NoSpaceError for a full disk, BayError for a failing one.
        """
        plain: PlainFiles | None = None
        if self._journal is not None:
            plain = PlainFiles(
                self._tree,
                self._journal,
                lambda above: self._parent(self._clean(above)),
                self._masked,
                _explain,
            )
        for entry in stream:
            try:
                self._entry(entry, stream)
            except OSError as error:
                raise _explain(entry, error) from error
            except (OverflowError, ValueError) as error:
                raise InvalidError(f"cannot unpack {entry.shown}: {error}") from error
            self.count += 1
            if plain is not None and not self._inherits:
                plain.run(stream)
        if plain is not None:
            self.size += plain.size
            self.count += plain.count
        self._finish()

    def _entry(self, entry: tar.Entry, stream: TarStream) -> None:
        if not 0 <= entry.uid < NO_ID or not 0 <= entry.gid < NO_ID:
            raise InvalidError(f"cannot unpack {entry.shown}: no such user or group number")
        if entry.kind == tar.REGULAR and WHITEOUT not in entry.name:
            above, _, name = entry.name.rpartition(b"/")
            if name not in NO_NAMES:
                folder_path = self._clean(above)
                self._file(entry, stream, self._parent(folder_path), name)
                return
        parts = clean(entry.name)
        if not parts:
            # The root itself can only be described, not replaced.
            if entry.kind == tar.DIRECTORY:
                self._describe_folder(entry, self._tree.fd, b"")
            return
        base = parts.pop()
        if self._whiteouts and WHITEOUT in entry.name and self._is_mark(entry, parts, base):
            return
        folder_path = b"/".join(parts)
        folder = self._parent(folder_path)
        kind = entry.kind
        if kind == tar.REGULAR:
            self._file(entry, stream, folder, base)
        elif kind == tar.DIRECTORY:
            self._folder(entry, folder, folder_path, base)
        elif kind == tar.SYMLINK:
            self._make(folder, base, lambda: os.symlink(entry.link, base, dir_fd=folder))
            self._describe(entry, folder, base)
        elif kind == tar.HARDLINK:
            self._hardlink(entry, folder_path, base)
        elif kind in (tar.CHAR, tar.BLOCKDEV, tar.FIFO):
            self._node(entry, folder, base)
        else:
            shown = kind.decode("ascii", "backslashreplace")
            raise InvalidError(f"cannot unpack {entry.shown}: unknown kind of entry '{shown}'")

    def _clean(self, above: bytes) -> bytes:
        """The path of a folder as `clean` has it."""
        found = self._cleaned.get(above)
        if found is None:
            if len(self._cleaned) >= _REMEMBERED:
                self._cleaned.clear()
            found = self._cleaned[above] = b"/".join(clean(above))
        return found

    def _is_mark(self, entry: tar.Entry, parts: list[bytes], base: bytes) -> bool:
        """Whether the entry is no file but a mark about others; then it is done."""
        if not base.startswith(WHITEOUT):
            if any(part.startswith(_SPECIAL) for part in parts):
                return True  # aufs kept its link targets in `.wh..wh.plnk/`
            if any(part.startswith(WHITEOUT) for part in parts):
                raise InvalidError(f"{entry.shown} lies in a whiteout")
            return False
        if base == _OPAQUE_NAME:
            self._set_opaque(self._parent(b"/".join(parts)))
            return True
        if base.startswith(_SPECIAL):
            # `.wh..wh.` + aufs' own names; the bare `.wh..wh.` would name `.wh.`.
            return True
        hidden = base[len(WHITEOUT) :]
        if hidden in (b"", b".", b".."):
            raise InvalidError(f"{entry.shown} is a whiteout of nothing")
        folder = self._parent(b"/".join(parts))
        found = self._tree.lstat(folder, hidden)
        if found is None:
            os.mknod(hidden, stat.S_IFCHR, os.makedev(0, 0), dir_fd=folder)
        elif stat.S_ISDIR(found.st_mode):
            # The layer brings this folder itself: what it hides is that of the layers below.
            path = b"/".join([*parts, hidden])
            self._set_opaque(self._tree.folder(path))
        return True

    def _set_opaque(self, folder: int) -> None:
        os.setxattr(proc_path(folder), OPAQUE, b"y")

    def _parent(self, path: bytes) -> int:
        """A descriptor of the folder, made with its parents where it is missing."""
        try:
            return self._tree.folder(path)
        except (FileNotFoundError, NotADirectoryError):
            above, _, base = path.rpartition(b"/")
            folder = self._parent(above)
            found = self._tree.lstat(folder, base)
            hidden = found is not None and is_whiteout(found)
            if hidden:
                os.unlink(base, dir_fd=folder)
            os.mkdir(base, 0o755, dir_fd=folder)
            made = self._tree.folder(path)
            os.chmod(proc_path(made), 0o755)
            if hidden:
                self._set_opaque(made)
            return made

    def _make(self, folder: int, base: bytes, create: Callable[[], None]) -> None:
        try:
            create()
        except FileExistsError:
            self._replace(folder, base)
            create()

    def _replace(self, folder: int, base: bytes) -> bool:
        """Take away what an entry of this same archive replaces; True if it was a whiteout."""
        found = self._tree.lstat(folder, base)
        if found is None:
            return False
        real = self._tree.real(folder)
        path = real + b"/" + base if real else base
        is_folder = stat.S_ISDIR(found.st_mode)
        if is_folder or stat.S_ISLNK(found.st_mode):
            self._tree.forget_except(folder)
            for key in [k for k in self._times if k == path or k.startswith(path + b"/")]:
                del self._times[key]
        if self._journal is not None and (is_folder or stat.S_ISREG(found.st_mode)):
            os.rename(base, self._journal.displace(path), src_dir_fd=folder)
        elif is_folder:
            files.remove_tree(Path(os.fsdecode(proc_path(folder, base))))
        else:
            os.unlink(base, dir_fd=folder)
        return is_whiteout(found)

    def _file(self, entry: tar.Entry, stream: TarStream, folder: int, base: bytes) -> None:
        # What creat(2) does right saves a call: most files are root's, and plain.
        as_made = not (self._inherits or entry.mode & self._masked)
        mode = entry.mode if as_made else 0o600
        try:
            fd = os.open(base, CREATE, mode, dir_fd=folder)
        except FileExistsError:
            self._replace(folder, base)
            fd = os.open(base, CREATE, mode, dir_fd=folder)
        try:
            if entry.size or entry.real_size:
                if self._journal is not None:
                    real = self._tree.real(folder)
                    path = real + b"/" + base if real else base
                    for offset, length in entry.sparse or ((0, entry.size),):
                        if length:
                            self._journal.payload(path, offset, length)
                write_payload(fd, entry, stream)
                self.size += entry.real_size
            # chown clears set-uid bits and capabilities, so mode and xattrs come after it.
            if entry.uid or entry.gid or self._inherits:
                os.fchown(fd, entry.uid, entry.gid)
            if not as_made:
                os.fchmod(fd, entry.mode)
            if entry.xattrs:
                set_xattrs(fd, entry.xattrs)
            os.utime(fd, ns=(entry.mtime, entry.mtime))
        finally:
            os.close(fd)

    def _folder(self, entry: tar.Entry, folder: int, folder_path: bytes, base: bytes) -> None:
        hidden = False
        as_made = self._is_as_made(entry) and not entry.xattrs
        try:
            os.mkdir(base, entry.mode if as_made else 0o700, dir_fd=folder)
            if as_made:
                real = self._tree.real(folder)
                self._note_time(real + b"/" + base if real else base, entry.mtime)
                return
        except FileExistsError:
            found = self._tree.lstat(folder, base)
            if found is None or not stat.S_ISDIR(found.st_mode):
                hidden = self._replace(folder, base)
                os.mkdir(base, 0o700, dir_fd=folder)
        path = folder_path + b"/" + base if folder_path else base
        fd = self._tree.folder(path)
        if hidden:
            self._set_opaque(fd)
        self._describe_folder(entry, fd, self._tree.real(fd))

    def _describe_folder(self, entry: tar.Entry, fd: int, path: bytes) -> None:
        own = proc_path(fd)
        if entry.xattrs or entry.mode & stat.S_ISGID:
            self._inherits = True
        os.chown(own, entry.uid, entry.gid)
        os.chmod(own, entry.mode)
        if entry.xattrs:
            set_xattrs(own, entry.xattrs)
        self._note_time(path, entry.mtime)

    def _note_time(self, path: bytes, mtime: int) -> None:
        # What comes last is set first: a folder's after those of the folders in it.
        self._times.pop(path, None)
        self._times[path] = mtime

    def _is_as_made(self, entry: tar.Entry) -> bool:
        """Whether what is made with the entry's mode has its mode, owner and group at once."""
        return not (self._inherits or entry.uid or entry.gid or entry.mode & self._masked)

    def _hardlink(self, entry: tar.Entry, folder_path: bytes, base: bytes) -> None:
        target = clean(entry.link)
        if not target:
            raise InvalidError(f"cannot unpack {entry.shown}: a hard link to the root")
        name = target.pop()
        folder = self._parent(folder_path)
        try:
            source = self._tree.folder(b"/".join(target))
            found = self._tree.lstat(source, name)
        except (FileNotFoundError, NotADirectoryError):
            found = None
        if found is None and self._journal is not None and self._may_be_below(target):
            real = self._tree.real(folder)
            path = real + b"/" + base if real else base
            self.waiting.append((path, b"/".join([*target, name])))
            return
        if found is None or is_whiteout(found):
            shown = repr(entry.link[:200].decode("utf-8", "backslashreplace"))
            raise InvalidError(
                f"cannot unpack {entry.shown}: a hard link to {shown}, which is not in this layer"
            )
        if stat.S_ISDIR(found.st_mode):
            raise InvalidError(f"cannot unpack {entry.shown}: a hard link to a folder")
        existing = self._tree.lstat(folder, base)
        if existing is not None:
            if (existing.st_dev, existing.st_ino) == (found.st_dev, found.st_ino):
                return
            self._replace(folder, base)
            # Replacing may have closed cached descriptors.
            source = self._tree.folder(b"/".join(target))
            folder = self._tree.folder(folder_path)
        os.link(name, base, src_dir_fd=source, dst_dir_fd=folder, follow_symlinks=False)

    def _may_be_below(self, target: list[bytes]) -> bool:
        """Whether a layer below can show what is at this path: nothing of ours is there."""
        folder = self._tree.fd
        for depth, part in enumerate(target):
            found = self._tree.lstat(folder, part)
            if found is None:
                return True
            if not stat.S_ISDIR(found.st_mode):
                return False
            folder = self._tree.folder(b"/".join(target[: depth + 1]))
        return True

    def _node(self, entry: tar.Entry, folder: int, base: bytes) -> None:
        kinds = {tar.CHAR: stat.S_IFCHR, tar.BLOCKDEV: stat.S_IFBLK, tar.FIFO: stat.S_IFIFO}
        if entry.major < 0 or entry.minor < 0:
            raise InvalidError(f"cannot unpack {entry.shown}: no such device number")
        device = os.makedev(entry.major, entry.minor)
        mode = kinds[entry.kind] | 0o600
        self._make(folder, base, lambda: os.mknod(base, mode, device, dir_fd=folder))
        self._describe(entry, folder, base)

    def _describe(self, entry: tar.Entry, folder: int, base: bytes) -> None:
        """Owner, mode, xattrs and time of what is neither file nor folder; never followed."""
        if entry.uid or entry.gid or self._inherits:
            os.chown(base, entry.uid, entry.gid, dir_fd=folder, follow_symlinks=False)
        if entry.kind != tar.SYMLINK:
            # A container that runs may have put a link in its place, which chmod(2) would follow.
            made = os.open(base, os.O_PATH | os.O_NOFOLLOW | os.O_CLOEXEC, dir_fd=folder)
            try:
                if not stat.S_ISLNK(os.fstat(made).st_mode):
                    os.chmod(proc_path(made), entry.mode)
            finally:
                os.close(made)
        if entry.xattrs:
            set_xattrs(proc_path(folder, base), entry.xattrs)
        os.utime(base, ns=(entry.mtime, entry.mtime), dir_fd=folder, follow_symlinks=False)

    def _finish(self) -> None:
        for path, mtime in reversed(self._times.items()):
            times = (mtime, mtime)
            try:
                if path:
                    above, _, base = path.rpartition(b"/")
                    folder = self._tree.folder(above)
                    os.utime(base, ns=times, dir_fd=folder, follow_symlinks=False)
                else:
                    os.utime(proc_path(self._tree.fd), ns=times)
            except (FileNotFoundError, NotADirectoryError):
                continue  # replaced later, under another path


def process_umask() -> int:
    """This process's umask; umask(2) can only tell it by changing it for all threads."""
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith("Umask:"):
            return int(line.split()[1], 8)
    return 0o777


def _explain(entry: tar.Entry, error: OSError) -> BayError:
    if error.errno in (errno.ENOSPC, errno.EDQUOT):
        return NoSpaceError(f"cannot unpack {entry.shown}: no space left on the disk")
    message = f"cannot unpack {entry.shown}: {error.strerror or error}"
    return InvalidError(message) if error.errno in CONTENT_ERRNOS else BayError(message)
