"""Removing images: when a name goes, when the image goes with it, and what stands against it.

The rules and the sentences are Docker's (moby, daemon/images/image_delete.go).
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence

from ..host.errors import ConflictError, NotFoundError
from ..storage.images import Image
from ..storage.reference import Reference, parse
from ..storage.store import Store
from .filters import check, flag
from .imagefilters import PRUNED, Named, select
from .imageviews import chain_ids
from .types import Container, Json

_ID = re.compile(r"(?:sha256:)?[a-f0-9]+")


class Removal:
    """One removal of names and images; blocking, so that nothing changes between check and deed.

    `in_use` lists all containers. `told` are the events to emit afterwards: action, id, name.
    """

    def __init__(self, store: Store, in_use: Callable[[], list[Container]]) -> None:
        self._store = store
        self._in_use = in_use
        self.told: list[tuple[str, str, str]] = []

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

    def prunable(self, filters: Mapping[str, list[str]]) -> list[Named]:
        """What `prune` removes: images without a tag, or all (`dangling=false`), that nothing uses.

        Raises InvalidError for a bad filter.
        """
        check(filters, PRUNED)
        dangling = flag(filters, "dangling") is not False
        others = {key: values for key, values in filters.items() if key != "dangling"}
        used = {one.image for one in self._in_use()}
        parents = self._store.images.parents() if dangling else set()
        return [
            named
            for named in select(self._store, others)
            if named.image.id not in used
            and not (dangling and (named.tags or named.image.id in parents))
        ]

    def prune(self, filters: Mapping[str, list[str]]) -> Json:
        """Remove what `prunable` lists; Docker's report."""
        deleted: list[Json] = []
        freed = 0
        for named in self.prunable(filters):
            with self._store.db.transaction():
                image = named.image
                if any(one.image == image.id for one in self._in_use()):
                    continue  # a container was made of it meanwhile
                for name in [*named.tags, *named.digests]:
                    deleted.append(self._untag(image, name))
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
        self.told.append(("untag", image.id, name))
        return {"Untagged": name}

    def _delete(self, image: Image, prune: bool) -> tuple[list[Json], int]:
        """Delete it, and with `prune` the chain of nameless images it was made from."""
        parent = self._store.images.parent(image.id)
        removed = self._store.images.remove(image.id)
        self.told.append(("delete", image.id, image.id))
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
        return [one for one in self._in_use() if one.image == image.id]

    def _references(self, image: Image) -> list[Reference]:
        images = self._store.images
        return [parse(name) for name in [*images.names(image.id), *images.digests(image.id)]]


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
