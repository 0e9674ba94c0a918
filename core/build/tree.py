"""Folders that a build copies from: its context, or the root of a stage or an image.

All is reached by descriptors from the folder's own, links resolved inside it, so that neither a
link nor a race leads out of it.
"""

from __future__ import annotations

import errno
import hashlib
import os
import re
import stat
import threading
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from ...host.errors import InvalidError, NotFoundError
from ...host.ignore import Ignore, Matcher, State, matcher
from ...host.inroot import below_root, open_inside
from ...storage.attributes import get_xattrs

_FOLDER = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
_FILE = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
_CAPABILITY = "security.capability"
_BLOCK = 1 << 20
_DEPTH = 400
_WILD = re.compile(r"[*?\[]")


@dataclass(frozen=True, slots=True)
class Node:
    """A file, folder or link: `path` below what was walked (empty for that itself), `link` its
    target; `place` is its path below the tree's root.
    """

    path: bytes
    place: bytes
    stat: os.stat_result
    link: bytes = b""


@dataclass(frozen=True, slots=True)
class Found:
    """What a source means: its path below the root, links resolved, and the name it was given."""

    place: str
    name: str
    is_folder: bool


class Tree:
    """One folder. `what` names it in messages; `all_xattrs` keeps every extended attribute."""

    def __init__(
        self,
        root: Path,
        what: str,
        ignore: Ignore | None = None,
        *,
        all_xattrs: bool = False,
        sums: Sums | None = None,
    ) -> None:
        self.root = root
        self.what = what
        self._ignore = ignore or Ignore()
        self._all_xattrs = all_xattrs
        self._sums = sums
        self._folders = _Folders(root)

    @property
    def has_owners(self) -> bool:
        """Whether its files' owners mean something: those of a stage do, a context's do not."""
        return self._all_xattrs

    @property
    def is_plain(self) -> bool:
        """Whether everything in the folder belongs to it: nothing is ignored."""
        return not self._ignore

    @property
    def ignore(self) -> Ignore:
        """What is not to be seen of it."""
        return self._ignore

    # --- finding sources

    def find(self, source: str) -> list[Found]:
        """What a source of COPY means: one path, or all that a pattern matches, sorted.

        Raises NotFoundError when a path without wildcards is not there.
        """
        clean = below_root(source)
        if not _WILD.search(clean):
            return [self._one(clean, source)]
        found: list[Found] = []
        self._match("", clean.split("/"), found)
        return found

    def _one(self, clean: str, source: str) -> Found:
        missing = NotFoundError(
            f"file not found in {self.what}"
            + (" or excluded by .dockerignore" if self._ignore else "")
            + f": stat {source}: file does not exist"
        )
        try:
            fd = open_inside(self.root, clean, os.O_PATH)
        except (FileNotFoundError, NotADirectoryError):
            raise missing from None
        except OSError as error:
            if error.errno not in (errno.ELOOP, errno.ENAMETOOLONG):
                raise
            raise InvalidError(f"cannot use {source} of {self.what}: {error.strerror}") from None
        try:
            real = os.readlink(f"/proc/self/fd/{fd}")
            is_folder = stat.S_ISDIR(os.fstat(fd).st_mode)
        finally:
            os.close(fd)
        place = os.path.relpath(real, os.path.realpath(self.root))
        place = "" if place == "." else place
        kept = is_folder and self._ignore.may_except(place)
        if place and not kept and self._ignore.ignores(place):
            raise missing
        return Found(place, clean, is_folder)

    def _match(self, folder: str, parts: list[str], found: list[Found]) -> None:
        """Follow the names of a pattern, one folder after the other; `**` is any number of them."""
        part, rest = parts[0], parts[1:]
        try:
            fd = open_inside(self.root, folder, os.O_RDONLY | os.O_DIRECTORY)
        except (FileNotFoundError, NotADirectoryError):
            return
        try:
            with os.scandir(fd) as listing:
                names = sorted(
                    (entry.name, entry.is_dir(follow_symlinks=False)) for entry in listing
                )
        finally:
            os.close(fd)
        if part == "**":
            if rest:
                self._match(folder, rest, found)
            wanted: Matcher = bool
        else:
            wanted = matcher(part)
        for name, is_folder in names:
            if not wanted(name):
                continue
            path = f"{folder}/{name}" if folder else name
            if part == "**" and is_folder:
                self._match(path, parts, found)
            if part == "**" and rest:
                continue
            if rest:
                self._match(path, rest, found)
                continue
            try:
                found.append(self._one(path, path))
            except NotFoundError:
                continue  # ignored, or a link to nowhere

    # --- walking

    def walk(self, place: str) -> Iterator[Node]:
        """The node at `place` (no link is followed) and all below it, sorted, folders first."""
        above, _, name = place.rpartition("/")
        if not place:
            fd = os.open(self.root, _FOLDER)
            try:
                yield from self._folder(os.dup(fd), b"", b"", os.fstat(fd), self._ignore.top, False)
            finally:
                os.close(fd)
            return
        fd = open_inside(self.root, above, os.O_RDONLY | os.O_DIRECTORY)
        try:
            raw = os.fsencode(name)
            found = os.stat(raw, dir_fd=fd, follow_symlinks=False)
            if not stat.S_ISDIR(found.st_mode):
                yield self._leaf(fd, raw, b"", os.fsencode(place), found)
                return
            state, ignored = self._ignore.top, False
            if self._ignore:
                done = ""
                for part in place.split("/"):
                    done = f"{done}/{part}" if done else part
                    ignored, state = self._ignore.look(done, state)
            inner = os.open(raw, _FOLDER, dir_fd=fd)
            yield from self._folder(inner, b"", os.fsencode(place), found, state, ignored)
        finally:
            os.close(fd)

    def _leaf(self, fd: int, name: bytes, path: bytes, place: bytes, found: os.stat_result) -> Node:
        link = os.readlink(name, dir_fd=fd) if stat.S_ISLNK(found.st_mode) else b""
        return Node(path, place, found, link)

    def _folder(
        self,
        fd: int,
        path: bytes,
        place: bytes,
        found: os.stat_result,
        state: State,
        ignored: bool,
        depth: int = 0,
    ) -> Iterator[Node]:
        """A folder, whose descriptor this takes over; an ignored one only with what is kept."""
        try:
            if depth > _DEPTH:
                shown = os.fsdecode(place[:100])
                raise InvalidError(f"{shown}… of {self.what} is over {_DEPTH} folders deep")
            own = Node(path, place, found)
            if not ignored:
                yield own
            below, above = path + b"/" if path else b"", place + b"/" if place else b""
            for name in sorted(map(os.fsencode, os.listdir(fd))):
                inner_place = above + name
                skip, inner_state = False, state
                if self._ignore:
                    shown = os.fsdecode(inner_place)
                    skip, inner_state = self._ignore.look(shown, state)
                try:
                    entry = os.stat(name, dir_fd=fd, follow_symlinks=False)
                    if stat.S_ISDIR(entry.st_mode):
                        if skip and not self._ignore.may_except(os.fsdecode(inner_place)):
                            continue
                        inner = os.open(name, _FOLDER, dir_fd=fd)
                    elif skip:
                        continue
                    else:
                        if ignored:
                            yield own
                            ignored = False
                        yield self._leaf(fd, name, below + name, inner_place, entry)
                        continue
                except (FileNotFoundError, NotADirectoryError):
                    continue  # gone or replaced meanwhile
                for node in self._folder(
                    inner, below + name, inner_place, entry, inner_state, skip, depth + 1
                ):
                    if ignored:
                        yield own
                        ignored = False
                    yield node
        finally:
            os.close(fd)

    # --- content

    def open(self, node: Node) -> int:
        """A descriptor of a regular file; the caller closes it. Raises OSError."""
        above, _, name = node.place.rpartition(b"/")
        return self._folders.open(above, name)

    def close(self) -> None:
        """Let go of the folder that was read last; the tree can still be used."""
        self._folders.close()

    def xattrs(self, fd: int) -> dict[str, bytes]:
        """The attributes that are copied along with an open file."""
        if self._all_xattrs:
            return get_xattrs(fd)
        try:
            return {_CAPABILITY: os.getxattr(fd, _CAPABILITY)}
        except OSError:
            return {}

    def digest(self, node: Node, shelf: Shelf | None = None) -> bytes:
        """The SHA-256 of a file's content and attributes; `shelf` may keep what was read."""
        known = self._sums.get(node.stat) if self._sums is not None else None
        if known is not None:
            return known
        fd = self.open(node)
        try:
            found = hashlib.sha256()
            xattrs = self.xattrs(fd)
            for name, value in sorted(xattrs.items()):
                found.update(name.encode() + b"\0" + value + b"\0")
            size = node.stat.st_size
            data = os.read(fd, max(size, 1) + 1) if size < _BLOCK else b""
            if shelf is not None and len(data) == size < _BLOCK:
                shelf.put(node, data, xattrs)
            found.update(data)
            while data := os.read(fd, _BLOCK):
                found.update(data)
            result = found.digest()
            if self._sums is not None:
                self._sums.put(os.fstat(fd), node.stat, result)
            return result
        finally:
            os.close(fd)


class _Folders:
    """Opens files one folder after the other: the last folder stays open. Thread-safe."""

    def __init__(self, root: Path) -> None:
        self._root = root
        self._lock = threading.Lock()
        self._path = b""
        self._fd = -1

    def open(self, folder: bytes, name: bytes) -> int:
        with self._lock:
            if self._fd < 0 or folder != self._path:
                flags = os.O_PATH | os.O_DIRECTORY
                fd = open_inside(self._root, os.fsdecode(folder), flags)
                self._drop()
                self._fd, self._path = fd, folder
            return os.open(name, _FILE, dir_fd=self._fd)

    def _drop(self) -> None:
        if self._fd >= 0:
            os.close(self._fd)
        self._fd = -1

    def close(self) -> None:
        with self._lock:
            self._drop()

    def __del__(self) -> None:
        self._drop()


class Shelf:
    """Small files that were read for their digest, kept to be written: each is read only once."""

    def __init__(self, most: int = 64 << 20) -> None:
        self._left = most
        self._kept: dict[bytes, tuple[bytes, dict[str, bytes]]] = {}

    def put(self, node: Node, data: bytes, xattrs: dict[str, bytes]) -> None:
        """Keep a file's content, if there is room."""
        if len(data) <= self._left:
            self._left -= len(data)
            self._kept[node.place] = (data, xattrs)

    def take(self, node: Node) -> tuple[bytes, dict[str, bytes]] | None:
        """What was kept of a file, once."""
        return self._kept.pop(node.place, None)


class Sums:
    """Digests of files seen before, by inode, size and times: a context that lies still is not
    read again. Only for files that have not changed for a while before they were read.
    """

    def __init__(self, most: int = 300_000) -> None:
        self._most = most
        self._known: dict[tuple[int, ...], bytes] = {}

    @staticmethod
    def _key(found: os.stat_result) -> tuple[int, ...]:
        return (
            found.st_dev,
            found.st_ino,
            found.st_size,
            found.st_mtime_ns,
            found.st_ctime_ns,
        )

    def get(self, found: os.stat_result) -> bytes | None:
        """The digest of the file with this state, if it was seen in it."""
        return self._known.get(self._key(found))

    def put(self, now: os.stat_result, before: os.stat_result, digest: bytes) -> None:
        """Remember a digest unless the file changed while it was read, or just before."""
        key = self._key(before)
        # Within the clock's grain a second write may leave the times as they are.
        fresh = clock_ns() - before.st_ctime_ns < 50_000_000
        if self._key(now) != key or fresh:
            return
        if len(self._known) >= self._most:
            self._known.clear()
        self._known[key] = digest


def clock_ns() -> int:
    """The wall clock in ns, against which a file's change time is held."""
    import time

    return time.time_ns()
