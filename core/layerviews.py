"""What is in an image's layers and in a container's writable layer, for people who look."""

from __future__ import annotations

import asyncio
import os
import stat
from collections import OrderedDict
from collections.abc import Callable, Sequence
from typing import TypeVar

from ..host import clock
from ..host.errors import InvalidError, NotFoundError
from ..host.inroot import below_root
from ..host.threads import offload, offload_long
from ..storage import layertree, overlay
from ..storage.images import Image
from ..storage.layertree import Node, Stack
from ..storage.lowers import visible
from ..storage.store import Store
from . import rootfiles
from .imageviews import chain_ids, layered_steps, unix
from .types import Json

T = TypeVar("T")
# A comparison is kept while somebody looks: entries of all kept ones, seconds after the last look.
_MOST_ENTRIES = 400_000
_IDLE = 120.0


class LayerViews:
    """Looks into images without running or mounting them. One per engine."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._kept: OrderedDict[tuple[str, ...], Stack] = OrderedDict()
        self._busy: dict[tuple[str, ...], asyncio.Task[Stack]] = {}
        self._forgetting: asyncio.TimerHandle | None = None

    async def layers(self, ref: str) -> Json:
        """Each step of the image with what its layer adds, changes, removes and wastes.

        Raises NotFoundError for an unknown image.
        """
        image = await offload(self._store.images.resolve, ref)
        stack = await self._stack(image.diff_ids)
        return await offload(_layers, self._store, image, stack)

    async def tree(self, ref: str, layer: str, path: str) -> Json:
        """One folder of what one layer does; `layer` is an index of `layers` or a DiffID.

        Raises NotFoundError for an image, layer or path that is not there.
        """
        image = await offload(self._store.images.resolve, ref)
        place = _position(image, layer)
        stack = await self._stack(image.diff_ids)
        return await offload(self._tree, image.diff_ids[place], stack.roots[place], path)

    def _tree(self, diff_id: str, root: Node, path: str) -> Json:
        clean = "/" + below_root(path)
        node = layertree.find(root, os.fsencode(clean))
        if node is None:
            raise NotFoundError(f"layer {diff_id[:19]} has nothing at {clean}")
        folder = os.fsencode(self._store.layers.path(diff_id)) + os.fsencode(clean)
        rows = []
        for name, child in layertree.listing(node):
            row = entry(os.fsdecode(name), clean, child.kind, child.mode, child.uid, child.gid)
            row["Change"] = child.change
            row["Modified"] = clock.from_ns(child.mtime)
            if child.kind == "symlink" and child.change != layertree.REMOVED:
                row["Target"] = _target(folder + b"/" + name)
            sums = child.sums
            row.update(
                Size=sums.size,
                Added=sums.added,
                Changed=sums.changed,
                Removed=sums.removed,
                WastedBytes=sums.wasted,
            )
            rows.append(row)
        return {"DiffId": diff_id, "Path": clean, "Entries": rows}

    async def _stack(self, diff_ids: Sequence[str]) -> Stack:
        key = tuple(diff_ids)
        self._stay()
        if key in self._kept:
            self._kept.move_to_end(key)
            return self._kept[key]
        task = self._busy.get(key)
        if task is None:
            task = asyncio.create_task(self._compare(key), name="compare layers")
            self._busy[key] = task
        # Several may wait for it: none of them takes it along when it hangs up.
        return await asyncio.shield(task)

    async def _compare(self, key: tuple[str, ...]) -> Stack:
        def work() -> Stack:
            with self._store.reading(*key):
                missing = [one for one in key if not self._store.layers.has(one)]
                if missing:
                    raise NotFoundError(f"No such layer: {missing[0]}")
                return layertree.compare([self._store.layers.path(one) for one in key])

        try:
            stack = await offload_long(work)
        finally:
            del self._busy[key]
        self._kept[key] = stack
        while len(self._kept) > 1 and sum(s.entries for s in self._kept.values()) > _MOST_ENTRIES:
            self._kept.popitem(last=False)
        self._stay()
        return stack

    def _stay(self) -> None:
        if self._forgetting is not None:
            self._forgetting.cancel()
        self._forgetting = asyncio.get_running_loop().call_later(_IDLE, self._kept.clear)

    def close(self) -> None:
        """Forget all."""
        if self._forgetting is not None:
            self._forgetting.cancel()
        self._kept.clear()

    async def files(self, ref: str, path: str, limit: int) -> Json:
        """The entries of a folder of the image; see `rootfiles.folder`."""
        what = f"image {ref}"
        return await offload(self._look, ref, lambda fd: rootfiles.folder(fd, path, what, limit))

    async def content(self, ref: str, path: str, offset: int, limit: int) -> tuple[bytes, int]:
        """A part of a file of the image; see `rootfiles.content`."""
        what = f"image {ref}"
        return await offload(
            self._look, ref, lambda fd: rootfiles.content(fd, path, what, offset, limit)
        )

    def _look(self, ref: str, work: Callable[[int], T]) -> T:
        """Do `work` on a descriptor of the image's root folder."""
        image = self._store.images.resolve(ref)
        with self._store.reading(*image.diff_ids):
            lowers = [self._store.layers.path(one) for one in reversed(image.diff_ids)]
            fd = overlay.view(visible(lowers), self._store.root)
            try:
                return work(fd)
            finally:
                os.close(fd)


def _position(image: Image, layer: str) -> int:
    """The place in `diff_ids` of what the user named."""
    if layer.isdecimal() and len(layer) < 6:
        steps = layered_steps(image)
        number = int(layer)
        if number < len(steps) and steps[number][1] is not None:
            return sum(1 for _, one in steps[:number] if one is not None)
        raise NotFoundError(f"the image has no layer at step {layer}")
    wanted = layer if ":" in layer else f"sha256:{layer}"
    found = [place for place, one in enumerate(image.diff_ids) if one.startswith(wanted)]
    if not found:
        raise NotFoundError(f"the image has no layer {layer}")
    if len({image.diff_ids[place] for place in found}) > 1:
        raise InvalidError(f"layer {layer} is ambiguous: give more of its digits")
    return found[0]


def _layers(store: Store, image: Image, stack: Stack) -> Json:
    rows: list[Json] = []
    chains = iter(chain_ids(image.diff_ids))
    roots = iter(stack.roots)
    for index, (step, diff_id) in enumerate(layered_steps(image)):
        row: Json = {
            "Index": index,
            "DiffId": diff_id or "",
            "ChainId": next(chains) if diff_id else "",
            "Empty": diff_id is None,
            "CreatedBy": step.get("created_by") or "",
            "Created": unix(step.get("created") or ""),
            "Comment": step.get("comment") or "",
        }
        sums = next(roots).sums if diff_id else layertree.Sums()
        blob = store.layers.info(diff_id).blob if diff_id else None
        row.update(
            Size=sums.size,
            CompressedSize=blob.size if blob else None,
            Added=sums.added,
            Changed=sums.changed,
            Removed=sums.removed,
            WastedBytes=sums.wasted,
        )
        rows.append(row)
    size = sum(row["Size"] for row in rows)
    wasted = sum(row["WastedBytes"] for row in rows)
    return {
        "Id": image.id,
        "Size": size,
        "WastedBytes": wasted,
        "Efficiency": round(1 - wasted / size, 4) if size else 1.0,
        "Layers": rows,
        "Wasted": [
            {"Path": os.fsdecode(one.path), "Bytes": one.size, "Count": one.count}
            for one in stack.worst
        ],
    }


def entry(name: str, above: str, kind: str, mode: int, uid: int, gid: int) -> Json:
    """What every entry of a tree has."""
    return {
        "Name": name,
        "Path": f"{above.rstrip('/')}/{name}",
        "Type": kind,
        "Mode": stat.S_IMODE(mode),
        "Uid": uid,
        "Gid": gid,
        "Target": "",
    }


def _target(path: bytes) -> str:
    try:
        return os.fsdecode(os.readlink(path))
    except OSError:
        return ""
