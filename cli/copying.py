"""Files of this machine as a tar stream and back, for `bay cp`."""

from __future__ import annotations

import io
import os
import stat
import tarfile

from ..host.errors import InvalidError
from ..host.light import Iterable, Iterator, NamedTuple

_CHUNK = 1 << 18
_BLOCK = tarfile.BLOCKSIZE
_SPECIAL_BITS = 0o7777


def pack(path: str, name: str) -> Iterator[bytes]:
    """The file or folder at `path` as a tar whose entries begin with `name`.

    Links are kept as links, hard links too. Sockets can't be in a tar and are left out.
    """
    seen = tarfile.TarFile(fileobj=io.BytesIO(), mode="w", format=tarfile.PAX_FORMAT)
    for full, shown in _walk(path, name):
        entry = seen.gettarinfo(full, shown)
        if entry is None:
            continue
        # Names would be looked up in the container's own user list; the numbers are what counts.
        entry.uname = entry.gname = ""
        yield entry.tobuf(tarfile.PAX_FORMAT)
        if entry.isreg():
            yield from content(full, entry.size)
    yield bytes(2 * _BLOCK)


def _walk(path: str, name: str) -> Iterator[tuple[str, str]]:
    """(path, name in the archive) of everything at and below `path`."""
    yield path, name
    if os.path.islink(path) or not os.path.isdir(path):
        return
    with os.scandir(path) as found:
        children = sorted(child.name for child in found)
    for child in children:
        yield from _walk(os.path.join(path, child), f"{name}/{child}")


def content(path: str, size: int) -> Iterator[bytes]:
    """Exactly `size` bytes of a file, padded to whole blocks; a file that shrank is filled up."""
    left = size
    with open(path, "rb") as file:
        while left:
            data = file.read(min(_CHUNK, left)) or bytes(min(_CHUNK, left))
            left -= len(data)
            yield data
    if size % _BLOCK:
        yield bytes(_BLOCK - size % _BLOCK)


class Stream(io.RawIOBase):
    """Pieces of bytes as a file that can be read."""

    def __init__(self, pieces: Iterable[bytes]) -> None:
        self._pieces = iter(pieces)
        self._rest = b""

    def readable(self) -> bool:
        """It is."""
        return True

    def readinto(self, buffer: memoryview) -> int:  # type: ignore[override]  # io's own Buffer
        """Fill `buffer` as far as one piece goes."""
        if not self._rest:
            self._rest = next(self._pieces, b"")
        size = min(len(buffer), len(self._rest))
        buffer[:size] = self._rest[:size]
        self._rest = self._rest[size:]
        return size


class Place(NamedTuple):
    """Where an archive goes: the names' first parts cut off, the rest below `folder` / `name`.

    `keep` leaves the first part where it is; `name` is then empty.
    """

    folder: str
    name: str
    keep: bool

    @classmethod
    def at(cls, target: str, keep_name: bool) -> Place:
        """For a folder that is there, into it; for anything else, under that name."""
        if os.path.isdir(target):
            return cls(os.path.realpath(target), "", keep_name)
        target = os.path.abspath(target)
        return cls(os.path.realpath(os.path.dirname(target)), os.path.basename(target), False)

    def path(self, name: str) -> str:
        """Where the entry `name` goes. Raises InvalidError for one that would leave the folder."""
        parts = [part for part in name.split("/") if part not in ("", ".")]
        outside = InvalidError(f"the container's archive has a name that leads out of it: {name}")
        if ".." in parts:
            raise outside
        if not self.keep:
            parts = parts[1:]
        if self.name:
            parts = [self.name, *parts]
        path = os.path.join(self.folder, *parts)
        if parts:
            above = os.path.realpath(os.path.dirname(path))
            if above != self.folder and not above.startswith(self.folder.rstrip("/") + "/"):
                raise outside
        return path


def unpack(pieces: Iterable[bytes], place: Place, owner: bool) -> None:
    """Unpack a container's tar at `place`; `owner` keeps the ids that files have in the container.

    The archive is what a container's files say, so it isn't trusted: no name may lead out of the
    target, neither by `..` nor over a link that came before it. Raises InvalidError.
    """
    folders: list[tuple[str, tarfile.TarInfo]] = []
    with tarfile.open(fileobj=io.BufferedReader(Stream(pieces), _CHUNK), mode="r|*") as archive:
        for entry in archive:
            path = place.path(entry.name)
            if _make(archive, entry, path, place, owner) and entry.isdir():
                folders.append((path, entry))
    # A folder's time and mode last: putting files into it needs it writable and changes its time.
    for path, entry in reversed(folders):
        _finish(path, entry, owner)


def _make(
    archive: tarfile.TarFile,
    entry: tarfile.TarInfo,
    path: str,
    place: Place,
    owner: bool,
) -> bool:
    """Make one entry; False when it is a folder that was there: that stays as it is.

    What is there is replaced, but a folder by nothing else.
    """
    there = _kind(path)
    if entry.isdir():
        if there and there != stat.S_IFDIR:
            raise InvalidError(f"cannot overwrite non-directory {path!r} with directory")
        if not there:
            os.mkdir(path, 0o700)
        return not there
    if there == stat.S_IFDIR:
        raise InvalidError(f"cannot overwrite directory {path!r} with non-directory")
    if there:
        os.unlink(path)
    if entry.issym():
        os.symlink(entry.linkname, path)
    elif entry.islnk():
        os.link(place.path(entry.linkname), path, follow_symlinks=False)
        return True
    elif entry.isreg():
        _write(archive, entry, path)
    elif entry.isfifo():
        os.mkfifo(path, 0o600)
    elif entry.ischr() or entry.isblk():
        kind = stat.S_IFCHR if entry.ischr() else stat.S_IFBLK
        os.mknod(path, 0o600 | kind, os.makedev(entry.devmajor, entry.devminor))
    else:
        raise InvalidError(f"the container's archive has an entry of an unknown kind: {entry.name}")
    _finish(path, entry, owner)
    return True


def _kind(path: str) -> int:
    """The type bits of what is at `path`, links not followed; 0 for nothing."""
    try:
        return stat.S_IFMT(os.lstat(path).st_mode)
    except FileNotFoundError:
        return 0


def _write(archive: tarfile.TarFile, entry: tarfile.TarInfo, path: str) -> None:
    source = archive.extractfile(entry)
    assert source is not None
    fd = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
    with os.fdopen(fd, "wb") as file:
        while data := source.read(_CHUNK):
            file.write(data)


def _finish(path: str, entry: tarfile.TarInfo, owner: bool) -> None:
    """Owner, mode and time of an entry that is made."""
    if owner:
        os.chown(path, entry.uid, entry.gid, follow_symlinks=False)
    if not entry.issym():
        # Set-user-id for a program that now is ours would be a gift to whoever made the image.
        os.chmod(path, entry.mode & (_SPECIAL_BITS if owner else 0o777))
    os.utime(path, (entry.mtime, entry.mtime), follow_symlinks=False)
