"""What each layer of an image does to those below it, read from the unpacked layers.

Every layer's folder is walked once; nothing is unpacked or mounted. The walk of a layer gives a
tree of `Node`s, and laying the trees upon each other, bottom up, tells of each entry whether it is
new, replaces something or takes it away, and whether a layer above does so to it in turn.
"""

from __future__ import annotations

import errno
import os
import stat
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from ..host.errors import BayError
from .lowers import is_opaque
from .rootfd import is_whiteout

ADDED, CHANGED, REMOVED, UNCHANGED = "added", "changed", "removed", "unchanged"
WHITEOUT = "whiteout"
KINDS = {
    stat.S_IFREG: "file",
    stat.S_IFDIR: "directory",
    stat.S_IFLNK: "symlink",
    stat.S_IFCHR: "char",
    stat.S_IFBLK: "block",
    stat.S_IFIFO: "fifo",
    stat.S_IFSOCK: "socket",
}
_WORST = 100


@dataclass(slots=True)
class Sums:
    """Entries by what became of them, and bytes: all there are, and those wasted."""

    added: int = 0
    changed: int = 0
    removed: int = 0
    size: int = 0
    wasted: int = 0

    def add(self, other: Sums) -> None:
        """Count `other` in."""
        self.added += other.added
        self.changed += other.changed
        self.removed += other.removed
        self.size += other.size
        self.wasted += other.wasted


@dataclass(slots=True, eq=False)
class Node:
    """One entry of a layer. `mode` has the permission bits, `mtime` ns, `size` the entry's own
    bytes (0 for a further name of a file); `sums` are of the entry and all below it.
    """

    kind: str
    mode: int
    uid: int
    gid: int
    size: int
    mtime: int
    opaque: bool = False
    change: str = UNCHANGED
    sums: Sums = field(default_factory=Sums)
    children: dict[bytes, Node] | None = None


@dataclass(frozen=True)
class Waste:
    """A path that layers hold in vain: bytes, and how many layers hold it."""

    path: bytes
    size: int
    count: int


@dataclass(frozen=True)
class Stack:
    """A stack of layers, the bottom one first: the root of each tree, and the worst waste."""

    roots: Sequence[Node]
    worst: Sequence[Waste]
    entries: int


@dataclass(slots=True, eq=False)
class _Seen:
    """What is seen at a path of the layers so far: the topmost entry there."""

    node: Node
    children: dict[bytes, _Seen]


def compare(folders: Sequence[Path]) -> Stack:
    """Compare unpacked layers, the bottom one first; blocks.

    Raises BayError when a folder can't be read.
    """
    merger = _Merger()
    roots = []
    entries = 0
    for folder in folders:
        try:
            root, count = _walk(os.fsencode(folder))
        except OSError as error:
            raise BayError(f"cannot read the layer at {folder}: {error.strerror}") from error
        merger.lay(root)
        roots.append(root)
        entries += count
    for root in roots:
        _sum_up(root)
    worst = sorted(
        (Waste(path, size, count) for path, (size, count) in merger.waste.items() if size),
        key=lambda one: (-one.size, one.path),
    )
    return Stack(roots, worst[:_WORST], entries)


def _walk(folder: bytes) -> tuple[Node, int]:
    """The tree of a layer's folder, and how many entries it has."""
    root = _node(os.lstat(folder), folder)
    count = 0
    links: set[tuple[int, int]] = set()
    waiting = [(folder, root)]
    while waiting:
        place, parent = waiting.pop()
        assert parent.children is not None
        try:
            with os.scandir(place) as listing:
                found = [(entry, entry.stat(follow_symlinks=False)) for entry in listing]
        except OSError as error:
            if error.errno != errno.ENAMETOOLONG:
                raise
            continue  # deeper than any path can name: unpacked by descriptors, seen by nobody
        for entry, status in found:
            node = _node(status, entry.path)
            # All whiteouts may share one inode; they have no bytes.
            if status.st_nlink > 1 and node.kind not in ("directory", WHITEOUT):
                key = (status.st_dev, status.st_ino)
                node.size = 0 if key in links else node.size
                links.add(key)
            parent.children[entry.name] = node
            count += 1
            if node.children is not None:
                waiting.append((entry.path, node))
    return root, count


def _node(status: os.stat_result, path: bytes) -> Node:
    mode = status.st_mode
    kind = WHITEOUT if is_whiteout(status) else KINDS[stat.S_IFMT(mode)]
    size = status.st_size if kind in ("file", "symlink") else 0
    node = Node(kind, stat.S_IMODE(mode), status.st_uid, status.st_gid, size, status.st_mtime_ns)
    if kind == "directory":
        node.children = {}
        node.opaque = is_opaque(path)
    return node


class _Merger:
    """Lays trees upon each other. `waste` maps a path to (bytes in vain, times)."""

    def __init__(self) -> None:
        self._top = _Seen(Node("directory", 0, 0, 0, 0, 0), {})
        self.waste: dict[bytes, tuple[int, int]] = {}

    def lay(self, root: Node) -> None:
        """Put one layer on what is there; entries that it takes away are added to its tree."""
        waiting = [(root, self._top, b"", root.opaque)]
        while waiting:
            node, seen, path, opaque = waiting.pop()
            assert node.children is not None
            if opaque:
                for name in seen.children.keys() - node.children.keys():
                    node.children[name] = Node(WHITEOUT, 0, 0, 0, 0, 0)
            for name, child in list(node.children.items()):
                below = seen.children.get(name)
                place = path + b"/" + name
                if child.kind == WHITEOUT:
                    if below is None:
                        del node.children[name]
                    else:
                        self._take_away(child, below, place)
                        del seen.children[name]
                    continue
                if child.kind == "directory" and below and below.node.kind == "directory":
                    child.change = UNCHANGED if _alike(child, below.node) else CHANGED
                    below.node = child
                else:
                    child.change = ADDED if below is None else CHANGED
                    if below is not None:
                        self._waste(below, place)
                    below = seen.children[name] = _Seen(child, {})
                if child.children is not None:
                    waiting.append((child, below, place, opaque or child.opaque))

    def _take_away(self, mark: Node, below: _Seen, path: bytes) -> None:
        was = below.node
        mark.kind, mark.mode, mark.uid, mark.gid = was.kind, was.mode, was.uid, was.gid
        mark.mtime = was.mtime
        mark.change = REMOVED
        mark.children = None
        mark.sums.removed = self._waste(below, path)

    def _waste(self, seen: _Seen, path: bytes) -> int:
        """Mark all at and below the path as held in vain; how many entries that are."""
        count = 0
        waiting = [(seen, path)]
        while waiting:
            one, place = waiting.pop()
            count += 1
            node = one.node
            if node.size:
                node.sums.wasted = node.size
                size, times = self.waste.get(place, (0, 0))
                self.waste[place] = size + node.size, times + 1
            waiting += [(child, place + b"/" + name) for name, child in one.children.items()]
        return count


def _alike(one: Node, other: Node) -> bool:
    return (one.mode, one.uid, one.gid) == (other.mode, other.uid, other.gid)


def _sum_up(root: Node) -> None:
    """Fill in the sums, from the leaves to the root."""
    pairs = []
    waiting = [root]
    while waiting:
        parent = waiting.pop()
        for child in (parent.children or {}).values():
            pairs.append((parent, child))
            if child.children:
                waiting.append(child)
    for parent, node in reversed(pairs):
        sums = node.sums
        sums.size += node.size
        sums.added += node.change == ADDED
        sums.changed += node.change == CHANGED
        parent.sums.add(sums)


def find(root: Node, path: bytes) -> Node | None:
    """The entry at a path (`b"/usr/bin"`) of a layer's tree; None when it has none there."""
    node: Node | None = root
    for part in path.split(b"/"):
        if part and node is not None:
            node = (node.children or {}).get(part)
    return node


def listing(node: Node) -> Iterator[tuple[bytes, Node]]:
    """The entries of a folder, folders first, each sorted by name."""
    items = (node.children or {}).items()
    yield from sorted(items, key=lambda item: (item[1].kind != "directory", item[0]))
