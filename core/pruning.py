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
from . import listing
from .context import Context
from .imageremoval import Removal
from .types import Json

if TYPE_CHECKING:
    from .build.builder import Builder

KINDS = ("containers", "networks", "volumes", "images", "build-cache")
Filters = Mapping[str, list[str]]


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
            self._images = [named.image for named in doomed]
            kept = self._kept_layers()
            # A layer goes with the last of the images that have it.
            last = {layer: image.id for image in self._images for layer in image.diff_ids}
            rows: list[Json] = []
            for named in doomed:
                image = named.image
                own = {one for one in image.diff_ids if last[one] == image.id and one not in kept}
                size = sum(store.layers.info(one).size for one in own)
                names = [*named.tags, *named.digests]
                rows.append({"Id": image.id, "Name": ", ".join(names) or "<none>", "Size": size})
            return rows

        for row in await offload_long(work):
            self._items.append({"Kind": "image", **row})
        if filters.get("dangling") == ["false"] and not self._context.images.busy:
            for diff_id, size in await offload(self._loose_layers):
                self._add("layer", diff_id, "", size)
            for name, size in await offload(store.blobs.partials):
                self._add("download", name, "", size)

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
            if snapshot not in self._containers:
                kept.update(store.snapshots.diff_ids(snapshot))
        for step in store.build_cache.all():
            if step.diff_id is not None and (steps is None or step.key in steps):
                kept.add(step.diff_id)
        return kept

    def _loose_layers(self) -> list[tuple[str, int]]:
        """Layers that nobody refers to, of pulls that failed for example."""
        layers = self._context.store.layers
        used = layers.used()
        loose = [layers.info(one) for one in layers.all() if one not in used]
        return [(one.diff_id, one.size) for one in loose if not layers.is_leased(one.diff_id)]

    async def _find_cache(self, everything: bool, filters: dict[str, list[str]]) -> None:
        report = await self._builder.prune(all_=True, keep=0, filters=filters, dry_run=True)
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
