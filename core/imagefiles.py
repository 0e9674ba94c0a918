"""An image's files as one tar: what a build gives out instead of an image."""

from __future__ import annotations

import os
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack

from ..host.chunks import closing, iterate
from ..host.threads import complete, offload
from ..storage import treetar
from ..storage.store import Store
from ..storage.tarwriter import END


async def archive(store: Store, ref: str) -> AsyncIterator[bytes]:
    """All files of the image, none of the engine's. To be closed when left early.

    Raises NotFoundError.
    """
    image = await offload(store.images.resolve, ref)
    name = f"files-{os.urandom(6).hex()}"
    async with AsyncExitStack() as undo:
        undo.enter_context(store.layers.lease(*image.diff_ids))
        if not image.diff_ids:
            yield END  # overlayfs has no view of nothing
            return
        undo.push_async_callback(offload, store.snapshots.remove, name)
        await complete(store.snapshots.create, name, list(image.diff_ids))
        merged = await complete(store.snapshots.mount, name, bare=True)
        async with closing(iterate(treetar.tree(merged))) as pieces:
            async for piece in pieces:
                yield piece
