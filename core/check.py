"""`system check`: every blob and layer read back, every reference followed; repairs pull again.

A check changes nothing and holds up nobody: what it reads is under a lease, and whatever is made or
removed meanwhile is no fault.
"""

from __future__ import annotations

import asyncio
import hashlib
import threading
import time
from collections.abc import AsyncIterator, Callable, Iterator
from dataclasses import dataclass, field

from ..host.errors import BayError, ConflictError, NotFoundError
from ..host.threads import offload, offload_long
from ..storage import digests, verify
from ..storage.images import Image
from ..storage.store import Store
from .context import Context
from .repair import Repairs
from .types import Json

_TELL_SECONDS = 0.5
_COPY = 1 << 20


@dataclass
class _Totals:
    layers: int = 0
    blobs: int = 0
    images: int = 0
    files: int = 0
    size: int = 0
    problems: int = 0
    repaired: int = 0
    broken: dict[str, list[Json]] = field(default_factory=dict)


class _GivenUpError(Exception):
    """Nobody listens any more."""


class Check:
    """One check of a store, told as it goes (docs/api-bay.md, `/bay/system/check`)."""

    def __init__(self, context: Context, repairs: Repairs) -> None:
        self._context = context
        self._store: Store = context.store
        self._repairs = repairs
        self._totals = _Totals()
        self._stop = threading.Event()

    async def run(self, repair: bool) -> AsyncIterator[Json]:
        """Progress, problems, repairs, and a summary at the end."""
        totals = self._totals
        try:
            for problem in await offload_long(lambda: list(self._records())):
                totals.problems += 1
                yield {"Problem": problem}
            blobs = await offload(self._store.blobs.all)
            layers = await offload(self._store.layers.all)
            total = len(blobs) + len(layers)
            for done, digest in enumerate([*blobs, *layers]):
                is_blob = done < len(blobs)
                work = self._blob if is_blob else self._layer
                async for event in self._one(work, digest, done, total):
                    yield event
            if repair:
                for diff_id, problems in totals.broken.items():
                    yield await self._repair(diff_id, len(problems))
        finally:
            self._stop.set()
        yield {
            "Summary": {
                "Layers": totals.layers,
                "Blobs": totals.blobs,
                "Images": totals.images,
                "Files": totals.files,
                "Bytes": totals.size,
                "Problems": totals.problems,
                "Repaired": totals.repaired,
            }
        }

    async def _one(
        self,
        work: Callable[[str, Callable[[int], None]], list[Json]],
        digest: str,
        done: int,
        total: int,
    ) -> AsyncIterator[Json]:
        """Check one thing, with a line of progress now and then."""
        size = 0

        def seen(count: int) -> None:
            nonlocal size
            size = count
            if self._stop.is_set():
                raise _GivenUpError

        def progress() -> Json:
            row = {"Done": done, "Total": total, "Bytes": self._totals.size + size}
            return {"Progress": {**row, "Current": digest}}

        yield progress()
        told = time.monotonic()
        task = asyncio.ensure_future(offload_long(work, digest, seen))
        try:
            while not task.done():
                await asyncio.wait([task], timeout=_TELL_SECONDS)
                if not task.done() and time.monotonic() - told >= _TELL_SECONDS:
                    told = time.monotonic()
                    yield progress()
        finally:
            if not task.done():
                self._stop.set()
                await asyncio.gather(task, return_exceptions=True)
        for problem in task.result():
            self._totals.problems += 1
            yield {"Problem": problem}

    # --- what is checked; all of it blocks ---

    def _records(self) -> Iterator[Json]:
        """The database itself, and whether what its rows name is here."""
        store = self._store
        for (line,) in store.db.execute("PRAGMA quick_check"):
            if line != "ok":
                yield _problem("database", "bay.db", "", str(line), [])
        with store.db.transaction():
            images, layers = store.images.all(), set(store.layers.all())
            upon = {one: store.snapshots.diff_ids(one) for one in store.snapshots.all()}
        for image in images:
            self._totals.images += 1
            names = _names(store, image)
            if digests.of(store.images.config(image.id)) != image.id:
                yield _problem("image", image.id, "", "its configuration was changed", names)
            raw = store.images.manifest(image.id)
            if raw is not None and image.manifest and digests.of(raw) != image.manifest:
                yield _problem("image", image.id, "", "its manifest was changed", names)
            for diff_id in image.diff_ids:
                if diff_id not in layers:
                    yield _problem("image", image.id, "", f"its layer {diff_id} is missing", names)
        for snapshot, diff_ids in upon.items():
            for diff_id in set(diff_ids) - layers:
                detail = f"the layer {diff_id} under it is missing"
                yield _problem("container", snapshot, "", detail, [])
        for name in store.layers.strays():
            detail = "a folder that no record speaks of: it goes when the engine starts anew"
            yield _problem("leftover", name, "", detail, [])

    def _blob(self, digest: str, seen: Callable[[int], None]) -> list[Json]:
        hasher = hashlib.new(digest.partition(":")[0])
        size = 0
        try:
            with self._store.blobs.open(digest) as file:
                while chunk := file.read(_COPY):
                    hasher.update(chunk)
                    size += len(chunk)
                    seen(size)
        except NotFoundError:
            return []  # removed meanwhile
        self._totals.blobs += 1
        self._totals.size += size
        if hasher.hexdigest() == digest.partition(":")[2]:
            return []
        return [_problem("blob", digest, "", "its content was changed on disk", [])]

    def _layer(self, diff_id: str, seen: Callable[[int], None]) -> list[Json]:
        store = self._store
        with store.reading(diff_id):
            if not store.layers.has(diff_id):
                return []  # removed meanwhile
            users = self._users(diff_id)
            found = verify.verify(store.layers, diff_id, seen, settled=bool(users))
        totals = self._totals
        totals.layers += 1
        totals.files += found.files
        totals.size += found.size
        if not found.faults:
            return []
        names = [name for image in users for name in _names(store, image)]
        problems = [
            _problem("layer", diff_id, fault.path, fault.detail, names) for fault in found.faults
        ]
        totals.broken[diff_id] = problems
        return problems

    def _users(self, diff_id: str) -> list[Image]:
        return [one for one in self._store.images.all() if diff_id in one.diff_ids]

    # --- repair ---

    async def _repair(self, diff_id: str, problems: int) -> Json:
        try:
            self._refuse_running(diff_id)
            source = await self._repairs.renew(diff_id, await offload(self._users, diff_id))
        except (BayError, OSError) as error:
            return {"Failed": {"Id": diff_id, "Detail": str(error)}}
        self._totals.repaired += problems
        return {"Repaired": {"Id": diff_id, "From": source}}

    def _refuse_running(self, diff_id: str) -> None:
        """The kernel does not follow a layer that is replaced under a mounted container."""
        snapshots = self._store.snapshots
        for container in self._context.roster.all():
            under = (container.id, *container.mounted_images)
            if container.state.running and any(diff_id in snapshots.diff_ids(it) for it in under):
                raise ConflictError(
                    f"cannot repair layer {diff_id[:19]}: container {container.name} runs on it,"
                    " stop it first"
                )


def _problem(kind: str, key: str, path: str, detail: str, images: list[str]) -> Json:
    return {"Kind": kind, "Id": key, "Path": path, "Detail": detail, "Images": images}


def _names(store: Store, image: Image) -> list[str]:
    return store.images.names(image.id) or [image.id[7:19]]
