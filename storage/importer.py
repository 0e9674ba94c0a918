"""A root file system's tar as an image of one layer: `docker import`."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

from ..host import clock
from .images import Image
from .inflate import Readable
from .store import Store


def import_tar(
    store: Store,
    archive: Readable,
    config: dict[str, Any],
    *,
    message: str = "",
    on_progress: Callable[[int], None] | None = None,
) -> Image:
    """Make an image of the tar, compressed or not.

    `config` is an OCI image config (`architecture`, `os`, `config`…) without `rootfs`; what it
    lacks of `created` and `history` is added. Raises InvalidError, NoSpaceError.
    """
    with store.layers.lease():
        layer = store.layers.apply(None, archive, on_progress=on_progress)
        created = config.get("created") or clock.now()
        whole = {
            **config,
            "created": created,
            "rootfs": {"type": "layers", "diff_ids": [layer.diff_id]},
            "history": [{"created": created, "comment": message or "Imported from -"}],
        }
        return store.images.put(json.dumps(whole, separators=(",", ":")).encode())
