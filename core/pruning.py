"""What a prune would remove, and the space that would come back: `--dry-run`.

The rules are those of the prunes themselves, which ask the same functions. Kinds are gone through
in the prunes' order: what one takes away, the next one finds unused.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import TYPE_CHECKING

from ..host.errors import InvalidError
from ..host.threads import offload, offload_long
from ..storage.images import Image
from ..storage.snapshots import tree_size
from . import imagemounts, listing
from .build.usage import Bounds
from .context import Context
from .filters import flag
from .imageremoval import Removal
from .types import Json

if TYPE_CHECKING:
    from .build.builder import Builder

KINDS = ("containers", "networks", "volumes", "images", "build-cache", "leftovers")
Filters = Mapping[str, list[str]]


async def leftovers(context: Context) -> list[Json]:
    """Layers that nobody refers to, of pulls that failed for example, and downloads that were cut
    short, with bytes; none while an image is pulled or pushed, whose files these may be."""
    if context.images.busy:
        return []
    store = context.store

    def work() -> list[Json]:
        used = store.layers.used()
        loose = [store.layers.info(one) for one in store.layers.all() if one not in used]
        return [
            {"Kind": "layer", "Id": one.diff_id, "Name": "", "Size": one.size}
            for one in loose
            if not store.layers.is_leased(one.diff_id)
        ] + [
            {"Kind": "download", "Id": name, "Name": "", "Size": size}
            for name, size in store.blobs.partials()
        ]

    return await offload(work)


class Preview:
    """One look at what prunes of `kinds` would do; nothing is changed."""

    def __init__(self, context: Context, builder: Builder) -> None:
        self._context = context
        self._builder = builder
        self._items: list[Json] = []
        # What the kinds before would have taken away already.
        self._containers: set[str] = set()
        self._images: list[Image] = []

    async def of(self, kinds: Collection[str], everything: bool, filters: Filters) -> Json:
        """The items, and the sum of their sizes in bytes.

        `everything` means all that is unused, as `system prune -a`. Of several kinds each gets
        the filters it knows. Raises InvalidError for an unknown kind or filter.
        """
        unknown = [kind for kind in kinds if kind not in KINDS]
        if unknown or not kinds:
            raise InvalidError(f"invalid kinds {unknown}: use {', '.join(KINDS)}")
        several = len(kinds) > 1
        given = dict(filters)
        if "containers" in kinds:
            await self._find_containers(given)
        if "networks" in kinds:
            for network in self._context.networks.prunable(given):
                self._add("network", network.id, network.name, 0)
        if "volumes" in kinds:
            apart = {key: value for key, value in given.items() if key != "until"}
            await self._find_volumes(apart if several else given)
        if "images" in kinds:
            wanted = {**given, "dangling": ["false"]} if everything else given
            await self._find_images(wanted)
        if "leftovers" in kinds:
            await self._find_leftovers()
        if "build-cache" in kinds:
            apart = {key: value for key, value in given.items() if key == "until"}
            await self._find_cache(everything, apart if several else given)
        total = sum(item["Size"] for item in self._items)
        return {"Items": self._items, "SpaceReclaimed": total}

    def _add(self, kind: str, key: str, name: str, size: int) -> None:
        self._items.append({"Kind": kind, "Id": key, "Name": name, "Size": size})

    async def _find_containers(self, filters: dict[str, list[str]]) -> None:
        store = self._context.store
        for one in listing.prunable(self._context.roster.all(), filters):
            size = await offload_long(store.snapshots.size, one.id)
            for saved in await offload(store.saved.of, one.id):
                size += saved.size
            self._containers.add(one.id)
            self._add("container", one.id, one.name, size)

    async def _find_volumes(self, filters: dict[str, list[str]]) -> None:
        for volume in await self._context.volumes.prunable(filters, self._containers):
            size = await offload_long(tree_size, volume.path)
            self._add("volume", volume.name, volume.name, size)

    async def _find_images(self, filters: dict[str, list[str]]) -> None:
        store, roster = self._context.store, self._context.roster

        def work() -> list[Json]:
            left = [one for one in roster.all() if one.id not in self._containers]
            doomed = Removal(store, lambda: left).prunable(filters)
            self._images = [one.named.image for one in doomed if one.deleted]
            kept = self._kept_layers()
            # A layer goes with the last of the images that have it.
            last = {layer: image.id for image in self._images for layer in image.diff_ids}
            rows: list[Json] = []
            for one in doomed:
                image = one.named.image
                names = [*one.named.tags, *one.named.digests]
                if not one.deleted:  # it stays as a step of what was made from it
                    rows += [{"Kind": "tag", "Id": name, "Name": name, "Size": 0} for name in names]
                    continue
                own = {d for d in image.diff_ids if last[d] == image.id and d not in kept}
                size = sum(store.layers.info(diff_id).size for diff_id in own)
                name = ", ".join(names) or "<none>"
                rows.append({"Kind": "image", "Id": image.id, "Name": name, "Size": size})
            return rows

        self._items += await offload_long(work)
        if flag(filters, "dangling") is False:
            await self._find_leftovers()

    async def _find_leftovers(self) -> None:
        if any(item["Kind"] in ("layer", "download") for item in self._items):
            return  # those of all images
        self._items += await leftovers(self._context)

    def _kept_layers(self, steps: Collection[str] | None = None) -> set[str]:
        """The layers that stay in use; by these build `steps`, all when None."""
        store = self._context.store
        gone = {image.id for image in self._images}
        kept = {
            layer
            for image in store.images.all()
            if image.id not in gone
            for layer in image.diff_ids
        }
        for snapshot in store.snapshots.all():
            if imagemounts.owner(snapshot) not in self._containers:
                kept.update(store.snapshots.diff_ids(snapshot))
        for step in store.build_cache.all():
            if step.diff_id is not None and (steps is None or step.key in steps):
                kept.add(step.diff_id)
        return kept

    async def _find_cache(self, everything: bool, filters: dict[str, list[str]]) -> None:
        report = await self._builder.prune(
            all_=True, bounds=Bounds(), filters=filters, dry_run=True
        )
        store = self._context.store

        def work() -> list[Json]:
            gone = {image.id for image in self._images}
            shared = {
                layer
                for image in store.images.all()
                if image.id not in gone
                for layer in image.diff_ids
            }
            steps = {step.key[:32]: step for step in store.build_cache.all()}
            rows: list[Json] = []
            doomed: set[str] = set()
            for record in report["Records"]:
                step = steps.get(record["ID"])
                if step is not None and step.diff_id in shared and not everything:
                    continue
                rows.append(record)
                doomed.update([step.key] if step is not None else [])
            kept = self._kept_layers({step.key for step in steps.values()} - doomed)
            counted: set[str] = set()
            for row in rows:
                step = steps.get(row["ID"])
                if step is not None:
                    layer = step.diff_id or ""
                    free = layer and layer not in kept and layer not in counted
                    row["Size"] = store.layers.info(layer).size if free else 0
                    counted.add(layer)
            return rows

        for row in await offload_long(work):
            self._add("build-cache", row["ID"], row["Description"], row["Size"])
