"""An image from a tar of a file system: one layer, and the settings that are given with it."""

from __future__ import annotations

from collections.abc import Sequence

from ..storage import importer
from ..storage.inflate import Readable
from ..storage.store import Store
from . import configchanges
from .registry.manifests import Platform
from .types import Json


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
    target = Platform.parse(platform)
    config: Json = {
        "architecture": target.architecture,
        "os": target.os,
        "comment": message or "Imported from -",
        "config": configchanges.apply({}, changes),
    }
    if target.architecture == "arm":
        config["variant"] = target.variant
    return importer.import_tar(store, tar, config, message=message).id
