"""COPY and ADD: which files, where to, whose; and the layer that they make."""

from __future__ import annotations

import hashlib
import os
import posixpath
import re
import stat
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from ...host.errors import InvalidError
from ...host.inroot import below_root
from ...storage.inflate import Source, inflate, is_compressed
from ...storage.tarmembers import joined
from ...storage.tarstream import TarStream
from .below import Below
from .layertar import LayerTar, Look
from .modes import Mode, parse_mode
from .state import digest
from .tree import Found, Node, Shelf, Tree

_URL = re.compile(r"https?://", re.IGNORECASE)
_GIT = re.compile(r"(git://|ssh://|git@[^:/]+:|https?://[^#?]+\.git([#?]|$))", re.IGNORECASE)


@dataclass(frozen=True)
class CopyFlags:
    """The flags of COPY and ADD; None or empty for those not given."""

    origin: str = ""
    owner: str = ""
    mode: Mode | None = None
    link: bool = False
    parents: bool = False
    exclude: tuple[str, ...] = ()
    checksum: str = ""
    keep_git: bool = False
    unpack: bool | None = None


@dataclass
class Item:
    """One source, resolved: a place in a tree, inline content, or an archive to unpack.

    `target` is where it goes, real in the stage; `is_folder`: what is in a folder goes there.
    """

    target: bytes
    tree: Tree | None = None
    found: Found | None = None
    nodes: list[Node] = field(default_factory=list)
    content: bytes | None = None
    archive: bool = False
    is_folder: bool = False
    shelf: Shelf = field(default_factory=Shelf)


def parse_flags(name: str, flags: tuple[str, ...]) -> CopyFlags:
    """Read the flags of COPY or ADD, variables replaced already. Raises InvalidError."""
    known = _COPY if name == "COPY" else _ADD
    found: dict[str, str] = {}
    exclude: list[str] = []
    for flag in flags:
        key, equals, value = flag.partition("=")
        if key not in known:
            raise InvalidError(f"unknown flag: {key}")
        if key == "--exclude":
            exclude.append(value)
            continue
        if key in found:
            raise InvalidError(f"duplicate flag specified: {key.removeprefix('--')}")
        if not equals and key not in _SWITCHES:
            raise InvalidError(f"missing a value on flag: {key.removeprefix('--')}")
        found[key] = value if equals else "true"
    return CopyFlags(
        found.get("--from", ""),
        found.get("--chown", ""),
        parse_mode(found["--chmod"]) if "--chmod" in found else None,
        _truth(found.get("--link")),
        _truth(found.get("--parents")),
        tuple(exclude),
        found.get("--checksum", ""),
        _truth(found.get("--keep-git-dir")),
        _truth(found["--unpack"]) if "--unpack" in found else None,
    )


_COMMON = {"--chown", "--chmod", "--link", "--exclude"}
_COPY = _COMMON | {"--from", "--parents"}
_ADD = _COMMON | {"--checksum", "--keep-git-dir", "--unpack"}
_SWITCHES = {"--link", "--parents", "--keep-git-dir", "--unpack"}


def _truth(text: str | None) -> bool:
    if text is None or text.lower() in ("false", "0"):
        return False
    if text.lower() in ("true", "1"):
        return True
    raise InvalidError(f"expecting boolean value for flag, not: {text}")


def is_url(source: str) -> bool:
    """Whether ADD downloads it."""
    return bool(_URL.match(source)) and not is_git(source)


def is_git(source: str) -> bool:
    """Whether ADD clones it."""
    return bool(_GIT.match(source))


@dataclass(frozen=True)
class Destination:
    """Where to: `path` as written, made absolute; `real` in the stage, links followed."""

    path: str
    real: bytes
    is_folder: bool

    @classmethod
    def of(cls, below: Below, workdir: str, text: str) -> Destination:
        """`text` seen from the working directory."""
        path = "/" + below_root(posixpath.join(workdir, text))
        real = below.real(os.fsencode(path[1:]))
        says = text.endswith(("/", "/.", "/..")) or text in (".", "..")
        return cls(path, real, says or below.is_folder(real))

    def inside(self, below: Below, name: str) -> bytes:
        """The real place of `name` in it."""
        path = self.real + b"/" + os.fsencode(name) if self.real else os.fsencode(name)
        return below.real(path)


def select(
    tree: Tree, source: str, flags: CopyFlags, destination: Destination, below: Below, many: bool
) -> list[Item]:
    """What one source of COPY or ADD means; a pattern may mean nothing.

    Raises NotFoundError, InvalidError.
    """
    pivot = ""
    if flags.parents and "/./" in source:
        pivot = below_root(source.partition("/./")[0])
    found = tree.find(source)
    if (many or len(found) > 1) and not destination.is_folder:
        raise InvalidError(
            "When using COPY or ADD with more than one source file, the destination must be a "
            f"directory and end with a /: {destination.path}"
        )
    return [_item(tree, one, flags, destination, below, pivot) for one in found]


def _item(
    tree: Tree, one: Found, flags: CopyFlags, destination: Destination, below: Below, pivot: str
) -> Item:
    nodes = [node for node in tree.walk(one.place) if not _excluded(node, one, flags)]
    if flags.parents:
        name = one.name[len(pivot) :].lstrip("/")
        target = destination.inside(below, name) if name else destination.real
    elif one.is_folder:
        target = destination.real
    elif destination.is_folder:
        target = destination.inside(below, posixpath.basename(one.name))
    else:
        target = destination.real
    return Item(target, tree, one, nodes, is_folder=one.is_folder)


def _excluded(node: Node, one: Found, flags: CopyFlags) -> bool:
    if not flags.exclude:
        return False
    from ...host.ignore import Ignore

    path = os.fsdecode(node.path) if node.path else posixpath.basename(one.name)
    return (bool(node.path) or not one.is_folder) and Ignore(flags.exclude).ignores(path)


def manifest(items: list[Item], flags: CopyFlags) -> dict[str, str]:
    """What the layer will hold, by path: all that makes it another one, and no times.

    Reads every file; blocks. The source's permissions are of no matter under --chmod.
    """
    found: dict[str, str] = {}
    for item in items:
        base = os.fsdecode(item.target)
        if item.content is not None:
            kind = "archive" if item.archive else "content"
            found[base] = digest([kind, _hex(item.content)])[:20]
            continue
        assert item.tree is not None
        for node in item.nodes:
            path = os.fsdecode(node.path)
            if not path and item.is_folder:
                continue  # its own looks are not copied
            shown = f"{base}/{path}" if path and base else path or base
            found[shown] = _mark(item, node, flags)
    return found


def _mark(item: Item, node: Node, flags: CopyFlags) -> str:
    mode = node.stat.st_mode
    bits = stat.S_IMODE(mode)
    if flags.mode is not None:
        bits = flags.mode.apply(bits, stat.S_ISDIR(mode))
    content = b""
    if stat.S_ISREG(mode):
        assert item.tree is not None
        content = item.tree.digest(node, None if item.archive else item.shelf)
    elif stat.S_ISLNK(mode):
        content = node.link
    elif not stat.S_ISDIR(mode):
        content = b"%d" % node.stat.st_rdev
    owner = b""
    if item.tree is not None and item.tree.has_owners and not flags.owner:
        owner = b"%d %d " % (node.stat.st_uid, node.stat.st_gid)
    head = b"%o %o %d " % (stat.S_IFMT(mode), bits, item.archive) + owner
    return hashlib.sha256(head + content).hexdigest()[:20]


def _hex(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


def write(
    layer: LayerTar, items: list[Item], look: Look, mtime: int, owned: bool
) -> Iterator[bytes]:
    """The tar of the layer; blocks as it reads. Raises InvalidError, OSError."""

    def pieces() -> Iterator[bytes]:
        for item in items:
            if item.content is not None:
                yield from layer.content(
                    item.target, [item.content], len(item.content), 0o644, mtime
                )
            elif item.archive:
                yield from _unpacked(layer, item, owned)
            else:
                assert item.tree is not None
                yield from layer.copy(item.tree, item.nodes, item.target, shelf=item.shelf)
                item.tree.close()

    return joined(pieces())


def _unpacked(layer: LayerTar, item: Item, owned: bool) -> Iterator[bytes]:
    assert item.tree is not None and item.nodes
    fd = item.tree.open(item.nodes[0])
    with open(fd, "rb") as file:
        stream = TarStream(inflate(Source(file)))
        yield from layer.archive(stream, item.target, owned)


def is_archive(tree: Tree, node: Node) -> bool:
    """Whether a regular file is a tar, compressed or not: what ADD unpacks. Blocks."""
    if not stat.S_ISREG(node.stat.st_mode) or node.stat.st_size < 14:
        return False
    fd = tree.open(node)
    with open(fd, "rb") as file:
        head = file.read(6)
        file.seek(0)
        if not is_compressed(head):
            block = file.read(512)
            return block[257:262] == b"ustar"
        try:
            first = next(iter(inflate(Source(file))), b"")
        except InvalidError:
            return False
        return first[257:262] == b"ustar"


def scope_of(path: Path, what: str) -> Tree:
    """A tree of which everything may be copied: a stage's root."""
    return Tree(path, what, all_xattrs=True)
