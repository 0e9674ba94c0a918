"""Images mounted into a container (`--mount type=image`): their layers, read-only, at a path.

Each has a snapshot of its own, as in moby: its row keeps the layers for as long as the container
is there, whatever becomes of the image. Its writable layer stays empty, since the container has it
bound read-only.
"""

from __future__ import annotations

from collections.abc import Iterable

from ..storage.images import Image
from ..storage.store import Store
from .mounts import Wanted
from .types import Container


def resolve(store: Store, wanted: Iterable[Wanted]) -> dict[str, Image]:
    """The image at each target that is to have one; blocks. Raises NotFoundError."""
    return {
        item.target: store.images.resolve(item.source) for item in wanted if item.kind == "image"
    }


def add(store: Store, container: Container, item: Wanted, image: Image) -> None:
    """Make the snapshot of one and note it in the container, whose row is there; blocks."""
    key = f"{container.id}-{len(container.mounted_images)}"
    # Noted first: what undoes a creation removes what is noted.
    container.mounted_images[key] = image.id
    store.snapshots.create(key, image.diff_ids)
    container.mounts.append(item.point(str(store.snapshots.path(key)), key))


def owner(snapshot: str) -> str:
    """The id of the container whose writable layer or mounted image a snapshot is."""
    return snapshot.partition("-")[0]


def mount(store: Store, container: Container) -> None:
    """Mount them on the host, where they are not; blocks."""
    for key in container.mounted_images:
        store.snapshots.mount(key, bare=True)


def unmount(store: Store, container: Container) -> None:
    """Unmount them, where they are mounted; blocks. Raises NotFoundError for one that is gone."""
    for key in container.mounted_images:
        store.snapshots.unmount(key)
