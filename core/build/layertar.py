"""The tar of a layer that a build makes itself: what COPY, ADD and WORKDIR put on a stage."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace

from ...host.errors import InvalidError
from ...storage import tarheader as tar
from ...storage.attributes import get_xattrs
from ...storage.tarheader import Entry
from ...storage.tarmembers import KINDS, entry_of, file
from ...storage.tarstream import TarStream
from ...storage.tarwriter import header, padding
from .below import Below
from .inner import Inner
from .modes import Mode
from .tree import Node, Shelf, Tree

_BLOCK = 1 << 20
_SECOND = 1_000_000_000


@dataclass(frozen=True)
class Look:
    """Whose the copies are and how they may be used: `mode` None keeps the source's.

    `latest` is the newest time a file may have, in ns; None for any. `owned`: the ids were asked
    for; else what comes from a stage keeps its own.
    """

    uid: int = 0
    gid: int = 0
    mode: Mode | None = None
    latest: int | None = None
    owned: bool = False

    def time(self, ns: int) -> int:
        """A file's time under `latest`, in whole seconds: as Docker's archives have it, and half
        the headers.
        """
        return (ns if self.latest is None else min(ns, self.latest)) // _SECOND * _SECOND


class LayerTar:
    """Writes the entries of one layer over `below`. Each method gives pieces of the tar.

    With `link` the layer stands for itself: nothing below is looked at, and folders on the way
    are made anew (COPY --link).
    """

    def __init__(self, below: Below, look: Look, *, now: int, link: bool = False) -> None:
        self._below = Below([]) if link else below
        self._look = look
        self._now = look.time(now)
        self._made: set[bytes] = {b""}

    def folders(self, path: bytes) -> Iterator[bytes]:
        """The folder `path` (real) and those it is in; those that exist keep their looks.

        Raises InvalidError when one of them is something else than a folder.
        """
        missing = []
        while path not in self._made:
            self._made.add(path)
            missing.append(path)
            path = path.rpartition(b"/")[0]
        for place in reversed(missing):
            found = self._below.lstat(place)
            if found is None:
                look = self._look
                yield header(_folder(place, 0o755, look.uid, look.gid, self._now))
                continue
            if not stat.S_ISDIR(found.st_mode):
                raise InvalidError(f"cannot copy to non-directory: /{os.fsdecode(place)}")
            entry = _folder(place, stat.S_IMODE(found.st_mode), found.st_uid, found.st_gid, 0)
            entry.mtime = found.st_mtime_ns
            host = self._below.place(place)
            entry.xattrs = get_xattrs(host) if host is not None else {}
            yield header(entry)

    def copy(
        self,
        tree: Tree,
        nodes: Iterable[Node],
        target: bytes,
        *,
        shelf: Shelf | None = None,
    ) -> Iterator[bytes]:
        """Copy nodes to the real path `target`, each to its path below it; `shelf` may
        hold the content of some.

        The root of a copied folder gives nothing but what is in it: a `target` that is not there
        yet gets the usual look, as with Docker. Raises InvalidError when a folder would replace a
        file or the other way round.
        """
        replaced: dict[bytes, bytes] = {}
        for node in nodes:
            if not node.path and stat.S_ISDIR(node.stat.st_mode):
                yield from self.folders(target)
                continue
            path = node.path
            place = (target + b"/" + path if target else path) if path else target
            above, _, _ = place.rpartition(b"/")
            if above not in self._made:
                above = replaced.get(above) or self._real(above, replaced)
                yield from self.folders(above)
            elif above in replaced:
                above = replaced[above]
            base = place.rpartition(b"/")[2]
            place = above + b"/" + base if above else base
            kept = shelf.take(node) if shelf is not None else None
            if kept is not None:
                self._check(place, node)
                data, xattrs = kept
                entry = self._entry(place, node, xattrs, tree)
                entry.size = len(data)
                yield header(entry) + data + padding(entry.size)
                continue
            yield from self._node(tree, node, place)

    def _real(self, path: bytes, replaced: dict[bytes, bytes]) -> bytes:
        """A folder of the target that may be a link to another one there."""
        real = self._below.real(path)
        if real != path:
            replaced[path] = real
        return real

    def _node(self, tree: Tree, node: Node, place: bytes) -> Iterator[bytes]:
        mode = node.stat.st_mode
        self._check(place, node)
        if stat.S_ISDIR(mode):
            self._made.add(place)
            yield header(self._entry(place, node, {}, tree))
        elif stat.S_ISREG(mode):
            yield from self._file(tree, node, place)
        elif stat.S_IFMT(mode) in KINDS:
            yield header(self._entry(place, node, {}, tree))

    def _check(self, place: bytes, node: Node) -> None:
        name = place.rpartition(b"/")[2]
        if name.startswith(b".wh."):
            raise InvalidError(
                f"cannot copy /{os.fsdecode(place)}: names that begin with .wh. mean deletions "
                "in an image's layer"
            )
        found = self._below.lstat(place)
        if found is None:
            return
        # A file in the place of a folder hides it, and all that is in it.
        is_folder, was_folder = stat.S_ISDIR(node.stat.st_mode), stat.S_ISDIR(found.st_mode)
        if is_folder and not was_folder and not stat.S_ISLNK(found.st_mode):
            raise InvalidError(f"cannot copy to non-directory: /{os.fsdecode(place)}")

    def _file(self, tree: Tree, node: Node, place: bytes) -> Iterator[bytes]:
        fd = tree.open(node)
        try:
            entry = self._entry(place, node, tree.xattrs(fd), tree)
            yield from file(entry, fd, os.fstat(fd).st_size)
        finally:
            os.close(fd)

    def _entry(self, place: bytes, node: Node, xattrs: dict[str, bytes], tree: Tree) -> Entry:
        look, found = self._look, node.stat
        is_folder = stat.S_ISDIR(found.st_mode)
        mode = stat.S_IMODE(found.st_mode)
        if look.mode is not None and not stat.S_ISLNK(found.st_mode):
            mode = look.mode.apply(mode, is_folder)
        entry = entry_of(place + b"/" if is_folder else place, found, xattrs)
        entry.mode, entry.mtime, entry.link = mode, look.time(found.st_mtime_ns), node.link
        if look.owned or not tree.has_owners:
            entry.uid, entry.gid = look.uid, look.gid
        return entry

    def content(
        self, place: bytes, data: Iterable[bytes], size: int, mode: int, mtime: int
    ) -> Iterator[bytes]:
        """A regular file of `size` bytes at the real path `place`: a heredoc, or a download."""
        yield from self.folders(place.rpartition(b"/")[0])
        look = self._look
        mode = look.mode.apply(mode, False) if look.mode is not None else mode
        yield header(
            Entry(place, tar.REGULAR, mode, look.uid, look.gid, size, look.time(mtime), b"", 0, 0)
        )
        yield from data
        yield padding(size)

    def archive(self, stream: TarStream, target: bytes, owned: bool) -> Iterator[bytes]:
        """The entries of an archive below the real folder `target`; their owners stay unless
        `owned` gives them this layer's.

        Raises InvalidError for a damaged archive.
        """
        yield from self.folders(target)
        inner = Inner(self._below, target)
        for entry in stream:
            parts = [part for part in entry.name.split(b"/") if part not in (b"", b".")]
            if b".." in parts:
                raise InvalidError(f"cannot unpack {entry.shown}: it would leave the archive")
            if not parts or parts[-1].startswith(b".wh."):
                continue
            above = inner.real(parts[:-1])
            yield from self.folders(above)
            place = above + b"/" + parts[-1] if above else parts[-1]
            inner.put(place, entry.link if entry.kind == tar.SYMLINK else None)
            yield from self._member(entry, stream, place, inner, owned)

    def _member(
        self, entry: Entry, stream: TarStream, place: bytes, inner: Inner, owned: bool
    ) -> Iterator[bytes]:
        look = self._look
        made = replace(entry, name=place, mtime=look.time(entry.mtime), sparse=None, real_size=0)
        if owned:
            made.uid, made.gid = look.uid, look.gid
        if look.mode is not None and entry.kind != tar.SYMLINK:
            made.mode = look.mode.apply(entry.mode, entry.kind == tar.DIRECTORY)
        if entry.kind == tar.DIRECTORY:
            if place in self._made and place == inner.top:
                return
            self._made.add(place)
            made.name += b"/"
        elif entry.kind == tar.HARDLINK:
            *folders, base = [p for p in entry.link.split(b"/") if p not in (b"", b".", b"..")]
            above = inner.real(folders)
            made.link = above + b"/" + base if above else base
        elif entry.kind == tar.REGULAR:
            yield from self._payload(entry, made, stream)
            return
        yield header(made)

    def _payload(self, entry: Entry, made: Entry, stream: TarStream) -> Iterator[bytes]:
        """A regular member; a sparse one is written out with its holes as zeros."""
        size = entry.real_size if entry.sparse is not None else entry.size
        made.size = size
        yield header(made)
        at = 0
        for offset, length in entry.sparse or ((0, entry.size),):
            while at < offset:
                step = min(offset - at, _BLOCK)
                yield bytes(step)
                at += step
            for piece in stream.take(length):
                yield bytes(piece)
            at += length
        while at < size:
            step = min(size - at, _BLOCK)
            yield bytes(step)
            at += step
        yield padding(size)


def _folder(place: bytes, mode: int, uid: int, gid: int, mtime: int) -> Entry:
    return Entry(place + b"/", tar.DIRECTORY, mode, uid, gid, 0, mtime, b"", 0, 0)
