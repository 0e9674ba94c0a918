"""Removing images: when a name goes, when the image goes with it, and what stands against it.

The rules and the sentences are Docker's (moby, daemon/images/image_delete.go).
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from ..host.errors import ConflictError, NotFoundError
from ..storage.images import Image
from ..storage.reference import Reference, parse
from ..storage.store import Store
from .filters import check, flag
from .imagefilters import PRUNED, Named, select
from .imageviews import chain_ids, labels
from .types import Container, Json

_ID = re.compile(r"(?:sha256:)?[a-f0-9]+")


@dataclass(frozen=True)
class Doomed:
    """An image that a prune takes the names of, and whether it is then deleted."""

    named: Named
    deleted: bool


class Removal:
    """One removal of names and images; blocking, so that nothing changes between check and deed.

    `in_use` lists all containers. `told` are the events to emit afterwards: action, id,
    attributes.
    """

    def __init__(self, store: Store, in_use: Callable[[], list[Container]]) -> None:
        self._store = store
        self._in_use = in_use
        self.told: list[tuple[str, str, dict[str, str]]] = []

    def remove(self, text: str, force: bool, prune: bool = True) -> list[Json]:
        """Remove what `text` names; Docker's list of what was untagged and deleted.

        With `prune` the nameless images it was made from go too, when nothing else needs them.
        Raises NotFoundError, or ConflictError when a container needs the image and `force` is not
        given or does not suffice.
        """
        with self._store.db.transaction():
            image = self._store.images.resolve(text)
            if is_id(image, text):
                return self._by_id(image, force, prune)
            return self._by_name(image, text, force, prune)

    def prunable(self, filters: Mapping[str, list[str]]) -> list[Doomed]:
        """What `prune` removes: images without a tag, or all (`dangling=false`), that nothing uses.

        As in Docker (moby, daemon/images/image_prune.go): an image that others were made from
        loses its names and stays as their step; with the last of those it goes, whatever the
        filters. In the order of removal. Raises InvalidError for a bad filter.
        """
        check(filters, PRUNED)
        dangling = flag(filters, "dangling") is not False
        others = {key: values for key, values in filters.items() if key != "dangling"}
        tree = _Family(self._store, {key for one in self._in_use() for key in one.images})
        # Children before what they were made from.
        chosen = sorted(select(self._store, others), key=lambda named: -tree.depth(named.image.id))
        doomed: list[Doomed] = []
        for named in chosen:
            image = named.image
            nameless = not named.tags and not named.digests
            if image.id in tree.used or image.id in tree.gone:
                continue
            if tree.has_children(image.id) and (dangling or nameless):
                continue
            if dangling and named.tags:
                continue
            tree.nameless.add(image.id)
            if tree.has_children(image.id):
                doomed.append(Doomed(named, deleted=False))
                continue
            doomed.append(Doomed(named, deleted=True))
            tree.gone.add(image.id)
            doomed += [Doomed(Named(one, (), ()), deleted=True) for one in tree.orphans(image.id)]
        return doomed

    def prune(self, filters: Mapping[str, list[str]]) -> Json:
        """Remove what `prunable` lists; Docker's report."""
        deleted: list[Json] = []
        freed = 0
        for doomed in self.prunable(filters):
            image = doomed.named.image
            names = [*doomed.named.tags, *doomed.named.digests]
            with self._store.db.transaction():
                # A container was made of it meanwhile, it was tagged, or it is gone.
                if self._using(image) or not self._store.images.has(image.id):
                    continue
                if sorted(names) != sorted(self._names(image)):
                    continue
                deleted += [self._untag(image, name) for name in names]
                if not doomed.deleted or self._store.images.has_children(image.id):
                    continue
                records, size = self._delete(image, prune=False)
                deleted += records
                freed += size
        return {"ImagesDeleted": deleted or None, "SpaceReclaimed": freed}

    def _by_name(self, image: Image, text: str, force: bool, prune: bool) -> list[Json]:
        using = self._using(image)
        if not force and using and _is_single(self._references(image)):
            raise ConflictError(
                f'conflict: unable to remove repository reference "{text}" (must force) -'
                f" container {using[0].id[:12]} is using its referenced image {_short(image)}"
            )
        gone = parse(text).with_default_tag()
        records = [self._untag(image, gone.familiar())]
        rest = self._references(image)
        if not gone.digest and not any(
            one.tag for one in rest if one.repository == gone.repository
        ):
            # With its last tag in a repository, an image loses the digests it has there.
            for one in [one for one in rest if one.repository == gone.repository]:
                records.append(self._untag(image, one.familiar()))
            rest = self._references(image)
        if rest:
            return records
        conflict = self._conflict(image, force, names=True)
        if conflict is not None:
            # The name is gone as asked; that the image stays, being used, is no failure.
            return records
        return records + self._delete(image, prune)[0]

    def _by_id(self, image: Image, force: bool, prune: bool) -> list[Json]:
        references = self._references(image)
        single = _is_single(references)
        conflict = self._conflict(image, force, names=single)
        if conflict is not None:
            raise conflict
        records = [self._untag(image, one.familiar()) for one in references]
        return records + self._delete(image, prune)[0]

    def _conflict(self, image: Image, force: bool, *, names: bool) -> ConflictError | None:
        """What forbids to delete the image; `names` is whether its names may go with it."""
        if self._store.images.has_children(image.id):
            return ConflictError(
                f"conflict: unable to delete {_short(image)} (cannot be forced) - image has"
                " dependent child images"
            )
        using = self._using(image)
        for one in using:
            if one.state.running:
                return ConflictError(
                    f"conflict: unable to delete {_short(image)} (cannot be forced) - image is"
                    f" being used by running container {one.id[:12]}"
                )
        if force:
            return None
        if not names:
            return ConflictError(
                f"conflict: unable to delete {_short(image)} (must be forced) - image is"
                " referenced in multiple repositories"
            )
        if using:
            return ConflictError(
                f"conflict: unable to delete {_short(image)} (must be forced) - image is"
                f" being used by stopped container {using[0].id[:12]}"
            )
        return None

    def _untag(self, image: Image, name: str) -> Json:
        self._store.images.untag(name)
        self.told.append(("untag", image.id, {**labels(image), "name": image.id}))
        return {"Untagged": name}

    def _delete(self, image: Image, prune: bool) -> tuple[list[Json], int]:
        """Delete it, and with `prune` the chain of nameless images it was made from."""
        parent = self._store.images.parent(image.id)
        removed = self._store.images.remove(image.id)
        self.told.append(("delete", image.id, {"name": image.id}))
        gone = set(removed.layers)
        chains = zip(image.diff_ids, chain_ids(image.diff_ids), strict=True)
        layers = [{"Deleted": chain} for diff_id, chain in chains if diff_id in gone]
        records, size = [{"Deleted": image.id}, *reversed(layers)], removed.size
        if prune and parent:
            try:
                above = self._store.images.get(parent)
            except NotFoundError:
                return records, size
            if not self._references(above) and self._conflict(above, False, names=True) is None:
                more, freed = self._delete(above, prune)
                return records + more, size + freed
        return records, size

    def _using(self, image: Image) -> list[Container]:
        return [one for one in self._in_use() if image.id in one.images]

    def _names(self, image: Image) -> list[str]:
        images = self._store.images
        return [*images.names(image.id), *images.digests(image.id)]

    def _references(self, image: Image) -> list[Reference]:
        return [parse(name) for name in self._names(image)]


class _Family:
    """Which images were made from which, while some of them are thought gone or nameless."""

    def __init__(self, store: Store, used: set[str]) -> None:
        self._images = {image.id: image for image in store.images.all()}
        self._parent = {key: store.images.parent(key) for key in self._images}
        self._children: dict[str, set[str]] = {}
        for key, parent in self._parent.items():
            self._children.setdefault(parent, set()).add(key)
        self.used = used
        self.gone: set[str] = set()
        self.nameless = {
            key
            for key in self._images
            if not store.images.names(key) and not store.images.digests(key)
        }

    def has_children(self, image: str) -> bool:
        return not self._children.get(image, set()) <= self.gone

    def depth(self, image: str) -> int:
        """How many images it was made from, one from the other."""
        count, seen = 0, {image}
        while (image := self._parent.get(image, "")) and image not in seen:
            seen.add(image)
            count += 1
        return count

    def orphans(self, image: str) -> Iterator[Image]:
        """The nameless images it was made from that nothing needs any more, which are then gone."""
        while (image := self._parent.get(image, "")) in self._images:
            needed = image in self.used or image in self.gone or self.has_children(image)
            if needed or image not in self.nameless:
                return
            self.gone.add(image)
            yield self._images[image]


def is_id(image: Image, text: str) -> bool:
    """Whether `text` means the image by its id, not by a name that only looks like one."""
    if _ID.fullmatch(text) is None:
        return False
    return image.id.startswith(text) or image.id.partition(":")[2].startswith(text)


def _is_single(references: Sequence[Reference]) -> bool:
    """Whether the image has at most one tag, and digests only beside it in its repository."""
    if len(references) <= 1:
        return True
    tagged = [one for one in references if one.tag]
    repositories = {one.repository for one in references}
    return len(tagged) <= 1 and len(repositories) == 1


def _short(image: Image) -> str:
    return image.id.partition(":")[2][:12]
