"""A tree of files as rows of a list: what is folded, what is sized, what changed. Pure."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

from . import text
from .cells import Cell, Row, Tone, cell

CHANGED, ADDED, DELETED = 0, 1, 2  # Docker's kinds of a change
MARKS: dict[int, tuple[str, Tone]] = {
    CHANGED: ("~", "warn"),
    ADDED: ("+", "good"),
    DELETED: ("-", "bad"),
}


@dataclass
class Node:
    """A file or folder at `path`; `children` by name, None in a folder that was not read yet.

    `size` is in bytes, of a folder that of all below it; None where nobody measured it. `change` is
    Docker's kind of change, None for a file that is as it was. `link` is where a link points to.
    """

    path: str
    name: str
    folder: bool = False
    size: int | None = None
    change: int | None = None
    link: str = ""
    mode: str = ""
    owner: str = ""
    when: float = 0
    children: dict[str, Node] | None = None
    unfolded: bool = False
    below: int = field(default=0, repr=False)  # changes below a folder


def grow(root: Node, path: str) -> Node:
    """The node at the absolute `path` below `root`, made with its folders where it is missing."""
    node = root
    for name in path.strip("/").split("/"):
        if not name:
            continue
        if node.children is None:
            node.children, node.folder = {}, True
        child = node.children.get(name)
        if child is None:
            child = node.children[name] = Node(f"{node.path.rstrip('/')}/{name}", name)
        node = child
    return node


def total(node: Node) -> tuple[int | None, int]:
    """Sum sizes and changes up the tree; the size and number of changes of `node`."""
    sizes, count = node.size, int(node.change is not None)
    if node.children:
        parts = [total(child) for child in node.children.values()]
        known = [size for size, _ in parts if size is not None]
        sizes = sum(known) if known else node.size
        node.below = sum(number for _, number in parts)
        count += node.below
    node.size = sizes
    return sizes, count


def flat(root: Node, by_size: bool = False) -> Iterator[tuple[int, Node]]:
    """The nodes below `root` that are to be seen, each with its depth: folders first, by name."""

    def key(node: Node) -> tuple[int, int, str]:
        size = -(node.size or 0) if by_size else 0
        return (size, 0 if by_size else int(not node.folder), node.name)

    def walk(node: Node, depth: int) -> Iterator[tuple[int, Node]]:
        for child in sorted((node.children or {}).values(), key=key):
            yield depth, child
            if child.unfolded and child.children:
                yield from walk(child, depth + 1)

    yield from walk(root, 0)


def unfold_single(root: Node, most: int = 12) -> None:
    """Unfold what a user would at first: folders with little in them, as long as they are few."""
    node = root
    while node.children is not None and len(node.children) <= most:
        folders = [child for child in node.children.values() if child.children]
        for child in folders:
            if len(folders) <= 3:
                child.unfolded = True
        if len(folders) != 1:
            return
        node = folders[0]


def row(depth: int, node: Node) -> Row:
    """One line of the tree."""
    fold = ("▾ " if node.unfolded else "▸ ") if node.folder else "  "
    tone: Tone = "bright" if not node.folder else "accent"
    mark: Cell = cell(" ", "dim")
    if node.change is not None:
        sign, tone_of = MARKS.get(node.change, ("?", "warn"))
        mark = cell(sign, tone_of)
        tone = tone if node.change == CHANGED and node.folder else tone_of
    name: Cell = (("  " * depth + fold, "dim"), (node.name, tone))
    if node.folder:
        name = (*name, ("/", "dim"))
    if node.link:
        name = (*name, (f" → {node.link}", "dim"))
    if node.below and not node.unfolded:
        name = (*name, (f"  {node.below} inside", "dim"))
    size = "" if node.size is None else text.size(node.size)
    cells = {
        "mark": mark,
        "name": name,
        "size": cell(size, "bright" if node.size else "dim"),
        "mode": cell(node.mode, "dim"),
        "owner": cell(node.owner, "dim"),
        "when": cell(when(node.when), "dim"),
    }
    return Row(node.path, cells, {"copy": node.path}, node.path.lower())


def when(seconds: float) -> str:
    """A file's time as `ls` writes it."""
    from datetime import datetime

    return datetime.fromtimestamp(seconds).strftime("%Y-%m-%d %H:%M") if seconds else ""


def find(root: Node, path: str) -> Node | None:
    """The node at `path`, None where there is none."""
    node: Node | None = root
    for name in path.strip("/").split("/"):
        if name and node is not None:
            node = (node.children or {}).get(name)
    return node
