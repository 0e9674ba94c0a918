"""Tar archives made piece by piece: of this machine's files, and of an image's by their listing."""

from __future__ import annotations

import asyncio
import contextlib
import fcntl
import os
import tarfile
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path

from ..host import clock
from ..host.errors import InvalidError
from .model import Json

PIECE = 1 << 20
READ = 8 << 20
_KINDS = {
    "file": tarfile.REGTYPE,
    "directory": tarfile.DIRTYPE,
    "symlink": tarfile.SYMTYPE,
    "fifo": tarfile.FIFOTYPE,
}


async def local(path: Path) -> AsyncIterator[bytes]:
    """An archive of a file or folder of this machine; no more than two pieces are in memory.

    Raises InvalidError when something in it can't be read.
    """
    reader, writer = os.pipe()
    with contextlib.suppress(OSError):  # a user's limit on pipes: then it stays small
        fcntl.fcntl(writer, fcntl.F_SETPIPE_SZ, PIECE)
    packing = asyncio.create_task(asyncio.to_thread(_pack, path, writer))
    try:
        while piece := await asyncio.to_thread(os.read, reader, PIECE):
            yield piece
        await packing
    finally:
        os.close(reader)  # who still writes has a broken pipe
        with contextlib.suppress(OSError, InvalidError):
            await packing


def _pack(path: Path, writer: int) -> None:
    with os.fdopen(writer, "wb") as pipe:
        try:
            with tarfile.open(fileobj=pipe, mode="w|", bufsize=PIECE) as archive:
                archive.add(path, path.resolve().name)
        except BrokenPipeError:
            raise
        except OSError as error:
            raise InvalidError(f"Cannot read {error.filename or path}: {error.strerror}") from error


async def folder(
    entries: Callable[[str], Awaitable[list[Json]]],
    read: Callable[[str, int, int], Awaitable[bytes]],
    path: str,
) -> AsyncIterator[bytes]:
    """An archive of a folder, by its listing and its files' content; sockets and devices stay out.

    `entries` lists a folder as `/bay/images/…/files` does, `read` gives bytes of a file.
    """
    name = path.rstrip("/").rpartition("/")[2] or "root"
    top = tarfile.TarInfo(name)
    top.type, top.mode = tarfile.DIRTYPE, 0o755
    yield top.tobuf(tarfile.PAX_FORMAT)
    waiting = [(path, name)]
    while waiting:
        at, called = waiting.pop()
        for entry in await entries(at):
            info = _info(entry, f"{called}/{entry['Name']}")
            if info is None:
                continue
            yield info.tobuf(tarfile.PAX_FORMAT)
            if info.isdir():
                waiting.append((str(entry["Path"]), info.name))
            offset = 0
            while offset < info.size:
                data = await read(str(entry["Path"]), offset, min(READ, info.size - offset))
                if not data:
                    raise InvalidError(f"{entry['Path']} ended early")
                offset += len(data)
                yield data
            yield bytes(-info.size % tarfile.BLOCKSIZE)
    yield bytes(2 * tarfile.BLOCKSIZE)


def _info(entry: Json, name: str) -> tarfile.TarInfo | None:
    kind = _KINDS.get(str(entry.get("Type")))
    if kind is None:
        return None
    info = tarfile.TarInfo(name)
    info.type, info.linkname = kind, str(entry.get("Target") or "")
    info.mode = int(entry.get("Mode") or 0) & 0o7777
    info.uid, info.gid = int(entry.get("Uid") or 0), int(entry.get("Gid") or 0)
    info.uname, info.gname = str(entry.get("User") or ""), str(entry.get("Group") or "")
    info.size = int(entry.get("Size") or 0) if kind == tarfile.REGTYPE else 0
    info.mtime = clock.to_ns(entry.get("Modified") or "") // 10**9
    return info
