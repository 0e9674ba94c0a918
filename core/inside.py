"""Looking into containers from outside: what one changed, and its files, running or not."""

from __future__ import annotations

from ..host.threads import offload, offload_long
from . import changetree, pathcopy, rootfiles
from .context import Context
from .types import Json


class Inside:
    """`ref` is a container's name, id or the start of one; NotFoundError for none."""

    def __init__(self, context: Context) -> None:
        self._context = context

    async def changes(self, ref: str, path: str, deep: bool = False) -> Json:
        """One folder of what it changed, with sizes; see `changetree.folder`."""
        container = self._context.roster.find(ref)
        snapshots = self._context.store.snapshots

        def look() -> Json:
            found = snapshots.changes(container.id)
            return changetree.folder(snapshots.upper(container.id), found, path, deep)

        return {"Id": container.id, **await offload_long(look)}

    async def files(self, ref: str, path: str, limit: int) -> Json:
        """The entries of a folder; see `rootfiles.folder`."""
        container = self._context.roster.find(ref)
        async with pathcopy.view(self._context, container) as opened:
            what = f"container {container.name}"
            return await offload(rootfiles.folder, opened.fd, path, what, limit)

    async def content(self, ref: str, path: str, offset: int, limit: int) -> tuple[bytes, int]:
        """A part of a file; see `rootfiles.content`."""
        container = self._context.roster.find(ref)
        async with pathcopy.view(self._context, container) as opened:
            what = f"container {container.name}"
            return await offload(rootfiles.content, opened.fd, path, what, offset, limit)
