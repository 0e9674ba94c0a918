"""One COPY, ADD or WORKDIR: sources found, key known, layer made when it is wanted."""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass

from ...host.errors import InvalidError
from ...storage.tarmembers import joined
from .. import words
from ..types import Json
from ..users import lookup
from . import copying, fetching
from .below import Below
from .cached import Wanted
from .copying import CopyFlags, Destination, Item
from .heredocs import parse_head
from .job import Job
from .layertar import LayerTar, Look
from .parser import Instruction
from .runmounts import Opener
from .state import State, digest
from .tree import Tree


@dataclass(frozen=True)
class _Source:
    """One source: its name in a tree, or what was fetched of it, or a heredoc's content."""

    name: str
    items: list[Item] | None = None
    content: bytes | None = None


class Copy:
    """`resolve` finds what is to be copied; then `wanted` tells its key, `make` its layer."""

    def __init__(
        self, job: Job, state: State, one: Instruction | None, *, literal: bool = False
    ) -> None:
        """`literal`: no variable stands in the instruction, whatever it looks like."""
        self._literal = literal
        self._job = job
        self._state = state
        self._one = one
        store = job.context.store
        self._layers = [store.layers.path(diff_id) for diff_id in state.diff_ids]
        self._below = Below(self._layers)
        self._flags = CopyFlags()
        self._items: list[Item] = []
        self._look = Look(latest=job.latest())
        self._files: dict[str, str] = {}
        self._folder = b""
        self._target = ""
        self.created_by = ""

    @classmethod
    def folder(cls, job: Job, state: State, path: str) -> Copy:
        """The layer of a WORKDIR: the folder, if it is not there."""
        self = cls(job, state, None)
        self._folder = self._below.real(os.fsencode(path[1:]))
        self._target = path
        return self

    def is_needed(self) -> bool:
        """Whether a WORKDIR's folder is missing. Raises InvalidError when a file is there."""
        if self._below.is_folder(self._folder):
            return False
        if self._below.lstat(self._folder) is not None:
            raise InvalidError(f"Cannot mkdir: {self._target} is not a directory")
        return True

    async def resolve(self, opener: Opener) -> None:
        """Find the sources. Raises InvalidError, NotFoundError with Docker's sentences."""
        job, one = self._job, self._one
        assert one is not None
        escape, values = job.file.escape, self._state.variables()

        def expand(text: str) -> str:
            return text if self._literal else words.expand(text, values, escape)

        self._flags = copying.parse_flags(one.name, tuple(expand(flag) for flag in one.flags))
        parts = list(one.words) if one.words is not None else words.split(one.text, escape)
        if len(parts) < 2:
            raise InvalidError(
                f"{one.name} requires at least two arguments, but only {len(parts)} provided."
                " Destination could not be determined"
            )
        *sources, target = parts
        tree = await opener(self._flags.origin) if self._flags.origin else job.tree
        heredocs = {heredoc.word: heredoc for heredoc in one.heredocs}
        many = len(sources) > 1
        wanted: list[_Source] = []
        fetched = one.name == "ADD" and not self._flags.origin
        for source in sources:
            if source in heredocs and parse_head(source):
                heredoc = heredocs[source]
                content = heredoc.content
                if heredoc.expands:
                    content = words.expand_text(content, values)
                wanted.append(_Source(heredoc.name, content=content.encode()))
                continue
            source = expand(source)
            items = None
            if fetched and fetching.is_remote(source):
                where = await job.work(self._destination, expand(target))
                items = await fetching.fetch(job, source, self._flags, where, self._below, many)
            wanted.append(_Source(source, items))
        await job.work(self._look_at, tree, wanted, expand(target))

    def _destination(self, target: str) -> Destination:
        workdir = self._state.config.get("WorkingDir") or "/"
        return Destination.of(self._below, workdir, target)

    def _look_at(self, tree: Tree, wanted: list[_Source], target: str) -> None:
        """All of it that reads files, in one turn: a thread's start and end cost as much as a
        small copy's whole look-up.
        """
        one, many = self._one, len(wanted) > 1
        assert one is not None
        self._look = Look(
            *self._owner(), self._flags.mode, self._job.latest(), bool(self._flags.owner)
        )
        where = self._destination(target)
        self._target = where.path + ("/" if where.is_folder else "")
        for source in wanted:
            if source.content is not None:
                self._inline(where, source.name, source.content, many)
            elif source.items is not None:
                self._items += source.items
            else:
                self._items += copying.select(
                    tree, source.name, self._flags, where, self._below, many
                )
        if not self._items:
            raise InvalidError("no source files were specified: nothing matches")
        if one.name == "ADD" and self._flags.unpack is not False:
            self._mark_archives(where)
        self._files = copying.manifest(self._items, self._flags)
        total = digest(sorted(self._files.items()))
        kind = "dir" if any(item.is_folder for item in self._items) else "file"
        self.created_by = f"/bin/sh -c #(nop) {one.name} {kind}:{total} in {self._target} "

    def _inline(self, where: Destination, name: str, content: bytes, many: bool) -> None:
        if many and not where.is_folder:
            raise InvalidError(
                f"the destination must be a directory and end with a /: {where.path}"
            )
        target = where.inside(self._below, name) if where.is_folder else where.real
        self._items.append(Item(target, content=content))

    def _owner(self) -> tuple[int, int]:
        """The ids of --chown by the stage's own /etc/passwd; a user alone is its own group."""
        text = self._flags.owner
        return lookup(self._read, text) if text else (0, 0)

    def _read(self, path: str) -> bytes | None:
        place = self._below.place(self._below.real(os.fsencode(path.lstrip("/"))))
        if place is None or not os.path.isfile(place):
            return None
        with open(place, "rb") as file:
            return file.read(16 << 20)

    def _mark_archives(self, where: Destination) -> None:
        """ADD unpacks local archives into the destination, which is a folder then."""
        for item in self._items:
            if item.content is not None or item.found is None or item.found.is_folder:
                continue
            assert item.tree is not None
            local = item.tree is self._job.tree
            wanted = local if self._flags.unpack is None else True
            if wanted and item.nodes and copying.is_archive(item.tree, item.nodes[0]):
                item.archive = True
                item.target = where.real

    def wanted(self, text: str, first: bool) -> Wanted:
        """What the layer depends on."""
        parts: Json = {
            "kind": "COPY",
            "base": "" if self._flags.link else self._state.chain(),
            "files": digest(sorted(self._files.items())),
            "owner": [self._look.uid, self._look.gid] if self._one is not None else [],
            "target": self._target,
            "epoch": self._job.request.epoch(),
        }
        return Wanted(text, parts, self._files, first)

    async def make(self) -> str:
        """Write the layer; its DiffID."""
        return await self._job.work(self._write)

    def _write(self) -> str:
        job = self._job
        layer = LayerTar(self._below, self._look, now=job.now_ns(), link=self._flags.link)
        if self._one is None:
            chunks: Iterator[bytes] = joined(layer.folders(self._folder))
        else:
            owned = bool(self._flags.owner)
            chunks = copying.write(layer, self._items, self._look, job.now_ns(), owned)

        def watched() -> Iterator[bytes]:
            for chunk in chunks:
                job.cancel.check()
                yield chunk

        return job.context.store.layers.apply(None, watched()).diff_id
