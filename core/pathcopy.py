"""`docker cp`: what is at a path of a container, out as a tar and in from one.

Every path is resolved by the kernel inside the container's root (openat2(2), RESOLVE_IN_ROOT), so
that no link a container makes, at whatever moment, leads to the host.
"""

from __future__ import annotations

import asyncio
import errno
import os
import stat
from collections.abc import AsyncIterator, Generator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from ..host import clock
from ..host.chunks import closing, consume, iterate
from ..host.errors import BayError, ForbiddenError, InvalidError
from ..host.inroot import below_root
from ..host.syscalls import RESOLVE_IN_ROOT, RESOLVE_NO_MAGICLINKS, openat2
from ..host.threads import offload
from ..storage import treetar
from ..storage.applier import Applier
from ..storage.inflate import Source, inflate
from . import imagemounts, rootview, users
from .cparchive import Into
from .types import Container, Json

if TYPE_CHECKING:
    from .context import Context

_RULE = RESOLVE_IN_ROOT | RESOLVE_NO_MAGICLINKS
# Go's os.FileMode: the permissions are Unix's, the rest has bits of its own.
_GO_KINDS = {
    stat.S_IFDIR: 1 << 31,
    stat.S_IFLNK: 1 << 27,
    stat.S_IFBLK: 1 << 26,
    stat.S_IFIFO: 1 << 25,
    stat.S_IFSOCK: 1 << 24,
    stat.S_IFCHR: 1 << 26 | 1 << 21,
}
_GO_BITS = {stat.S_ISUID: 1 << 23, stat.S_ISGID: 1 << 22, stat.S_ISVTX: 1 << 20}


@asynccontextmanager
async def view(context: Context, container: Container) -> AsyncIterator[rootview.RootView]:
    """The container's files; mounts its layers meanwhile when it does not run.

    The container's lock is not held over the use of it: a slow reader holds up nobody.
    """
    live = context.live(container)
    async with live.lock:
        merged = await offload(context.store.snapshots.mount, container.id)
        await offload(imagemounts.mount, context.store, container)
        binds = rootview.binds_of(container)
        opened = await offload(rootview.RootView, merged, binds)
    try:
        yield opened
    finally:
        await asyncio.shield(_leave(context, container, opened))


async def _leave(context: Context, container: Container, opened: rootview.RootView) -> None:
    await offload(opened.close)
    async with context.live(container).lock:
        if context.roster.get(container.id) is not None and not container.state.running:
            await offload(imagemounts.unmount, context.store, container)
            await offload(context.store.snapshots.unmount, container.id)


async def stat_path(context: Context, container: Container, path: str) -> Json:
    """Docker's ContainerPathStat of a path. Raises NotFoundError."""
    async with view(context, container) as opened:
        return await offload(_stat, opened, container, path)


async def get_archive(
    context: Context, container: Container, path: str
) -> tuple[Json, AsyncIterator[bytes]]:
    """ContainerPathStat and a tar of what is at `path`, named by its last component.

    The iteration must be closed: it holds the view. Raises NotFoundError.
    """
    holder = view(context, container)
    opened = await holder.__aenter__()
    try:
        found = await offload(_stat, opened, container, path)
    except BaseException as error:
        await holder.__aexit__(type(error), error, None)
        raise

    async def chunks() -> AsyncIterator[bytes]:
        try:
            async with closing(iterate(_tar(opened.fd, path))) as pieces:
                async for piece in pieces:
                    yield piece
        finally:
            await holder.__aexit__(None, None, None)

    return found, chunks()


async def put_archive(
    context: Context,
    container: Container,
    path: str,
    chunks: AsyncIterator[bytes],
    *,
    no_overwrite: bool = False,
    copy_owner: bool = False,
) -> None:
    """Unpack a tar, also a compressed one, into the folder `path`.

    `no_overwrite` refuses to put a folder where something else is, and the other way round;
    with `copy_owner` all of it belongs to the container's user instead of the archive's. Raises
    NotFoundError, InvalidError for what is no folder or no tar, ForbiddenError for a read-only
    place.
    """
    if container.host_config.get("ReadonlyRootfs") and not _in_volume(container, path):
        raise ForbiddenError("container rootfs is marked read-only")
    async with view(context, container) as opened:
        into = await offload(_destination, opened, container, path)
        owner = await offload(_owner, opened, container) if copy_owner else None

        def unpack(arriving: Iterator[bytes]) -> None:
            stream = Into(inflate(Source(arriving)), opened.fd, into, no_overwrite, owner)
            with Applier(opened.fd, whiteouts=False) as applier:
                applier.apply(stream)

        try:
            await consume(chunks, unpack)
        except BayError as error:
            if isinstance(error.__cause__, OSError) and error.__cause__.errno == errno.EROFS:
                raise ForbiddenError("mounted volume is marked read-only") from error
            raise


def _owner(opened: rootview.RootView, container: Container) -> tuple[int, int] | None:
    """The ids of the user the container runs as; None for one that runs as root."""
    user: str = container.config.get("User") or ""
    if not user:
        return None
    found = users.resolve(Path(f"/proc/self/fd/{opened.fd}"), user)
    return found.uid, found.gid


def _in_volume(container: Container, path: str) -> bool:
    wanted = _clean(path).rstrip("/") + "/"
    return any(
        point["RW"] and wanted.startswith(point["Destination"].rstrip("/") + "/")
        for point in container.mounts
    )


def _clean(path: str) -> str:
    return "/" + below_root(path)


def split(path: str) -> tuple[str, str, str]:
    """(folder, last component, the name shown) of a path as Docker reads it.

    A link as the last component is itself meant, unless `/` or `/.` follows it.
    """
    absolute = "/" + path.lstrip("/")
    clean = _clean(path)
    if clean == "/":
        return "/", ".", "." if absolute.endswith("/.") else "/"
    if absolute.endswith("/."):
        return clean, ".", "."
    if absolute.endswith("/"):
        return clean, ".", os.path.basename(clean)
    return os.path.dirname(clean), os.path.basename(clean), os.path.basename(clean)


def _parent(root: int, path: str) -> tuple[int, bytes]:
    """The folder that a path's last component is in, and that component. Raises OSError."""
    folder, name, _ = split(path)
    flags = os.O_PATH | os.O_DIRECTORY
    return openat2(root, folder, flags, resolve=_RULE), os.fsencode(name)


def _stat(opened: rootview.RootView, container: Container, path: str) -> Json:
    try:
        folder, name = _parent(opened.fd, path)
        try:
            found = os.stat(name, dir_fd=folder, follow_symlinks=False)
            target = ""
            if stat.S_ISLNK(found.st_mode):
                target = _followed(opened.fd, path, os.readlink(name, dir_fd=folder))
        finally:
            os.close(folder)
    except OSError as error:
        raise rootview.explain(error, path, container) from error
    return {
        "name": split(path)[2],
        "size": found.st_size,
        "mode": go_mode(found.st_mode),
        "mtime": clock.from_ns(found.st_mtime_ns),
        "linkTarget": os.fsdecode(target),
    }


def _followed(root: int, path: str, link: bytes) -> str:
    """Where a link leads in the container; its own text when it leads nowhere."""
    try:
        fd = openat2(root, "/" + path, os.O_PATH, resolve=_RULE)
    except OSError:
        above = os.path.dirname(_clean(path))
        return _clean(os.path.join(above, os.fsdecode(link)))
    try:
        start = os.readlink(f"/proc/self/fd/{root}").rstrip("/")
        return os.readlink(f"/proc/self/fd/{fd}")[len(start) :] or "/"
    finally:
        os.close(fd)


def go_mode(mode: int) -> int:
    """A Unix mode as Go's os.FileMode."""
    bits = sum(value for bit, value in _GO_BITS.items() if mode & bit)
    return mode & 0o777 | _GO_KINDS.get(stat.S_IFMT(mode), 0) | bits


def _tar(root: int, path: str) -> Generator[bytes, None, None]:
    shown = split(path)[2]
    folder, name = _parent(root, path)
    try:
        # Of the root itself every name begins with the slash: clients rename by it.
        yield from treetar.member(folder, name, b"" if shown == "/" else os.fsencode(shown))
    finally:
        os.close(folder)


def _destination(opened: rootview.RootView, container: Container, path: str) -> bytes:
    """The folder to unpack into, links resolved, below the root without a leading slash."""
    try:
        fd = openat2(opened.fd, "/" + path, os.O_PATH, resolve=_RULE)
    except OSError as error:
        raise rootview.explain(error, path, container) from error
    try:
        if not stat.S_ISDIR(os.fstat(fd).st_mode):
            raise InvalidError("extraction point is not a directory")
        start = os.readlink(f"/proc/self/fd/{opened.fd}").rstrip("/")
        return os.fsencode(os.readlink(f"/proc/self/fd/{fd}")[len(start) :]).strip(b"/")
    finally:
        os.close(fd)


async def export(context: Context, container: Container) -> AsyncIterator[bytes]:
    """The container's layers as one tar, without what is mounted into it: `docker export`."""
    live = context.live(container)
    async with live.lock:
        merged = await offload(context.store.snapshots.mount, container.id)
        opened = await offload(rootview.RootView, merged)
    try:
        tar = treetar.tree(Path(f"/proc/self/fd/{opened.fd}"), top=False)
        async with closing(iterate(tar)) as pieces:
            async for piece in pieces:
                yield piece
    finally:
        await asyncio.shield(_leave(context, container, opened))
