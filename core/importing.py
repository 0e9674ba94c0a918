"""An image from a tar of a file system: one layer, and the settings that are given with it."""

from __future__ import annotations

from collections.abc import Sequence

from ..host import clock
from ..storage.inflate import Readable
from ..storage.store import Store
from . import configchanges
from .commit import dump
from .registry.manifests import Platform


def import_tar(
    store: Store,
    tar: Readable,
    *,
    changes: Sequence[str] = (),
    message: str = "",
    platform: str | None = None,
) -> str:
    """Unpack `tar` (plain or compressed) as an image's only layer; the image's id. Blocks.

    `changes` are Dockerfile instructions for its settings. Raises InvalidError for a bad one, a
    bad platform or a bad archive.
    """
    settings = configchanges.apply({}, changes)
    target = Platform.parse(platform)
    layer = store.layers.apply(None, tar)
    created = clock.now()
    comment = message or "Imported from -"
    with store.layers.lease(layer.diff_id):
        made = {
            "architecture": target.architecture,
            "os": target.os,
            "variant": target.variant if target.architecture == "arm" else None,
            "created": created,
            "comment": comment,
            "config": settings,
            "rootfs": {"type": "layers", "diff_ids": [layer.diff_id]},
            "history": [{"created": created, "comment": comment}],
        }
        return store.images.put(dump(made)).id
