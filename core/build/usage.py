"""What builds keep: shown, pruned by age and size, and kept under a limit by itself."""

from __future__ import annotations

import shutil
import time
from dataclasses import dataclass

from ...host import clock
from ...host.errors import InvalidError
from ...host.threads import offload, offload_long
from ...storage.snapshots import tree_size
from ..context import Context
from ..filters import Filters, until_ns
from ..types import Json
from .mountlocks import MountLocks

# What is kept without being asked: a tenth of the disk, and within that all of the last hours.
_SHARE = 0.10
_FRESH_NS = 2 * 3600 * 1_000_000_000
_FILTERS = ("until", "id", "type", "unused-for", "inuse", "shared")


@dataclass(frozen=True)
class Record:
    """One thing that is kept: a step with its layer, or a cache mount. Times in ns."""

    key: str
    kind: str
    text: str
    size: int
    shared: bool
    in_use: bool
    made: int
    used: int
    uses: int


@dataclass(frozen=True)
class Bounds:
    """How much of the cache a prune leaves, in bytes: at least `least` and at most `most`, less
    when the disk has not `free`. 0 says nothing; without any the whole cache may go.
    """

    least: int = 0
    most: int = 0
    free: int = 0

    def keep(self, total: int, free: int) -> int:
        """What is left of `total` on a disk with `free` bytes, as BuildKit reckons."""
        kept = self.most
        if (lacking := self.free - free) > 0:
            kept = min(kept or total, total - lacking)
        return max(kept, self.least)


def _records(context: Context, locks: MountLocks) -> list[Record]:
    cache = context.store.build_cache
    shared = cache.in_images()
    found = []
    for step in cache.all():
        kind = "regular" if step.diff_id is not None else "internal"
        is_shared = step.diff_id in shared
        found.append(
            Record(step.key, kind, step.text, step.size, is_shared, False, step.made, step.used,
                   step.uses)
        )  # fmt: skip
    for mount in cache.mounts():
        size = tree_size(cache.folder(mount.id))
        text = f"cache mount {mount.name}"
        found.append(
            Record(mount.id, "exec.cachemount", text, size, False, locks.in_use(mount.id),
                   mount.made, mount.used, mount.uses)
        )  # fmt: skip
    return found


def records(context: Context, locks: MountLocks) -> list[Json]:
    """Docker's BuildCache objects, without steps that keep nothing. Blocks."""
    return [_shown(one) for one in _records(context, locks) if one.kind != "internal"]


def _shown(one: Record) -> Json:
    return {
        "ID": one.key[:32],
        "Parents": None,
        "Type": one.kind,
        "Description": one.text,
        "InUse": one.in_use,
        "Shared": one.shared,
        "Size": one.size,
        "CreatedAt": clock.from_ns(one.made),
        "LastUsedAt": clock.from_ns(one.used),
        "UsageCount": one.uses,
    }


async def prune(
    context: Context,
    locks: MountLocks,
    *,
    all_: bool,
    bounds: Bounds,
    filters: Filters,
    dry_run: bool,
) -> Json:
    """Remove what matches, the longest unused first, down to what `bounds` leave of the cache.

    Without `all_`, what an image has as well stays. `dry_run` removes nothing and tells what
    would go. The report is Docker's, with `Records` beside it.
    """
    wanted = await offload_long(_select, context, locks, all_, bounds, filters)
    freed = 0
    if not dry_run:
        freed = await offload_long(_remove, context, wanted)
    else:
        freed = sum(one.size for one in wanted if not one.shared)
    shown = [one for one in wanted if one.kind != "internal"]
    if not dry_run:
        context.events.emit("builder", "prune", "", {"reclaimed": str(freed)})
    return {
        "CachesDeleted": [one.key[:32] for one in shown] or None,
        "SpaceReclaimed": freed,
        "Records": [_shown(one) for one in shown],
    }


def _select(
    context: Context, locks: MountLocks, all_: bool, bounds: Bounds, filters: Filters
) -> list[Record]:
    for name in filters:
        if name not in _FILTERS:
            raise InvalidError(f"invalid filter '{name}': use {', '.join(_FILTERS)}")
    found = [one for one in _records(context, locks) if not one.in_use]
    matching = [one for one in found if _matches(one, filters) and (all_ or not one.shared)]
    total = sum(one.size for one in found if not one.shared)
    keep = bounds.keep(total, shutil.disk_usage(context.options.root).free)
    if not keep:
        return matching
    chosen = []
    for one in matching:
        if total <= keep:
            break
        chosen.append(one)
        total -= 0 if one.shared else one.size
    return chosen


def _matches(one: Record, filters: Filters) -> bool:
    for text in [*filters.get("until", ()), *filters.get("unused-for", ())]:
        if one.used > _moment(text):
            return False
    kinds, ids = filters.get("type"), filters.get("id")
    if kinds and one.kind not in kinds:
        return False
    if ids and not any(one.key.startswith(text) for text in ids):
        return False
    for name, value in (("inuse", one.in_use), ("shared", one.shared)):
        wanted = filters.get(name)
        if wanted and (wanted[0].lower() in ("true", "1")) != value:
            return False
    return True


def _moment(text: str) -> int:
    return until_ns(text)


def _remove(context: Context, wanted: list[Record]) -> int:
    store = context.store
    freed = 0
    layers = store.build_cache.forget(one.key for one in wanted if one.kind != "exec.cachemount")
    freed += store.release(layers).size
    for one in wanted:
        if one.kind == "exec.cachemount":
            store.build_cache.forget_mount(one.key)
            freed += one.size
    return freed


async def shrink(context: Context, locks: MountLocks) -> None:
    """After a build: keep the cache under its share of the disk; what is fresh stays."""

    def work() -> None:
        # Cache mounts are measured only when the steps alone do not tell.
        limit = int(shutil.disk_usage(context.options.root).total * _SHARE)
        if context.store.build_cache.size() <= limit:
            return
        old = time.time_ns() - _FRESH_NS
        chosen = _select(context, locks, True, Bounds(limit), {})
        _remove(context, [one for one in chosen if one.used < old])

    await offload(work)
