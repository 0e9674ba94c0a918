"""Files inside containers and images, over the API: listed, read, copied out and in.

Nothing runs inside: this works in images without a shell, and in containers that are stopped.
"""

from __future__ import annotations

import asyncio
import os
import stat
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from urllib.parse import quote

from ..host import clock
from ..host.errors import BayError, UnsupportedError
from . import packing, tree
from .logbuffer import LogBuffer
from .model import Json
from .source import Source
from .tree import Node

VIEWED = 1 << 20  # bytes of a file that are shown
PIECE = 8 << 20
_KINDS = {"directory": "d", "symlink": "l", "char": "c", "block": "b", "fifo": "p", "socket": "s"}


def node_of(entry: Json) -> Node:
    """One entry of a folder as a node of a tree."""
    kind = str(entry.get("Type", "file"))
    user, group = entry.get("User") or entry.get("Uid", ""), entry.get("Group") or entry.get("Gid")
    letters = stat.filemode(int(entry.get("Mode") or 0) & 0o177777)[1:]
    return Node(
        path=str(entry["Path"]),
        name=str(entry["Name"]),
        folder=kind == "directory",
        size=None if kind == "directory" else int(entry.get("Size") or 0),
        link=str(entry.get("Target") or ""),
        mode=f"{_KINDS.get(kind, '-')}{letters}",
        owner=f"{user}:{group}",
        when=clock.to_ns(entry.get("Modified") or "") / 1e9,
    )


CHANGES = {"changed": tree.CHANGED, "added": tree.ADDED, "removed": tree.DELETED}


def changed_node(entry: Json) -> Node:
    """One entry of a layer's folder, or of a writable layer's, as a node of a tree."""
    node = node_of(entry)
    node.size = int(entry.get("Size") or 0)
    node.change = CHANGES.get(str(entry.get("Change", "")))
    sums = sum(int(entry.get(name) or 0) for name in ("Added", "Changed", "Removed"))
    if node.folder:
        node.below = sums - (node.change is not None)
    return node


class Files:
    """The files of one container or image; `kind` is `containers` or `images`."""

    def __init__(self, source: Source, kind: str, target: str) -> None:
        self._source = source
        self.kind = kind
        self.target = target
        self._base = f"/bay/{kind}/{quote(target, safe=':/')}/files"

    async def folder(self, path: str) -> tuple[list[Node], int]:
        """The entries of the folder at `path`, and how many there are, shown or not."""
        reply = await self._source.get(self._base, path=path)
        return [node_of(entry) for entry in reply["Entries"]], int(reply["Total"])

    async def read(self, path: str, offset: int, limit: int) -> bytes:
        """At most `limit` bytes of the file at `path` from `offset` on."""
        query = {"path": path, "offset": offset, "limit": limit}
        async with self._source.stream("GET", f"{self._base}/content", query) as pieces:
            return b"".join([piece async for piece in pieces])

    async def copy_out(self, path: str, folder: bool, to: Path) -> int:
        """Copy a file to `to` of this machine; a folder becomes a tar archive. Bytes written.

        Raises BayError, and OSError where it can't be written.
        """
        if not folder:
            return await self._copy_file(path, to)
        count = 0
        with open(to, "wb") as file:
            async with self._archive(path) as pieces:
                async for piece in pieces:
                    count += await asyncio.to_thread(file.write, piece)
        return count

    @asynccontextmanager
    async def _archive(self, path: str) -> AsyncIterator[AsyncIterator[bytes]]:
        if self.kind == "containers":
            url = f"/containers/{self.target}/archive"
            async with self._source.stream("GET", url, {"path": path}) as pieces:
                yield pieces
        else:  # the engine makes archives of containers only
            yield packing.folder(self._entries, self.read, path)

    async def _entries(self, path: str) -> list[Json]:
        return list((await self._source.get(self._base, path=path, limit=1 << 30))["Entries"])

    async def _copy_file(self, path: str, to: Path) -> int:
        offset = 0
        with open(to, "wb") as file:
            while data := await self.read(path, offset, PIECE):
                await asyncio.to_thread(file.write, data)
                offset += len(data)
        return offset

    async def copy_in(self, local: Path, folder: str) -> None:
        """Copy the file or folder `local` of this machine into `folder` of the container.

        Raises BayError, and OSError where it can't be read.
        """
        if self.kind != "containers":
            raise UnsupportedError(
                "An image does not change: copy into a container of it, and commit it"
            )
        await asyncio.to_thread(os.lstat, local)
        url, query = f"/containers/{self.target}/archive", {"path": folder}
        headers = {"Content-Type": "application/x-tar"}
        async with self._source.send("PUT", url, query, packing.local(local), headers) as lines:
            async for _ in lines:
                pass


def shown(data: bytes) -> LogBuffer:
    """A file's content as lines: text as it is, anything else as `xxd` writes it."""
    buffer = LogBuffer(stamped=False)
    if b"\0" in data[:8192]:
        for offset in range(0, min(len(data), 256 << 10), 16):
            row = data[offset : offset + 16]
            pairs = " ".join(row[n : n + 2].hex() for n in range(0, 16, 2))
            plain = "".join(chr(byte) if 32 <= byte < 127 else "." for byte in row)
            buffer.feed(1, f"{offset:08x}: {pairs:39}  {plain}\n".encode())
    else:
        buffer.feed(1, data)
        buffer.finish()
    return buffer


def explain(error: BaseException, what: str) -> str:
    """The sentence for what went wrong while doing `what`."""
    if isinstance(error, BayError):
        return str(error)
    return f"Cannot {what}: {getattr(error, 'strerror', None) or error}"
