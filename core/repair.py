"""Fetching one layer again, to put it in the place of a damaged one."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from ..host.errors import BayError, NotFoundError
from ..host.threads import offload
from ..storage.images import Image
from ..storage.reference import Reference, parse
from ..storage.store import Store
from .registry.crew import Crew
from .registry.endpoints import Registries
from .registry.lookup import Target, find
from .registry.manifests import Platform
from .registry.repository import Wire
from .registry.retry import Retry
from .registry.transport import Transport

_CHUNK = 256 << 10


class Repairs:
    """Pulls layers anew, from where their images came."""

    def __init__(self, store: Store, transport: Transport, retry: Retry) -> None:
        self._store = store
        self._transport = transport
        self._retry = retry

    async def renew(self, diff_id: str, images: Sequence[Image]) -> str:
        """Replace the layer by what a registry has of it; where from (`debian@sha256:…`).

        `images` are those that have it. Raises NotFoundError when none of them came from a
        registry, else what the last registry said.
        """
        failure: BayError | None = None
        for image in images:
            for name in await offload(self._store.images.digests, image.id):
                try:
                    await self._fetch(diff_id, image, parse(name))
                except BayError as error:
                    failure = error
                    continue
                for one in images:
                    await offload(self._store.layers.settle_links, one.diff_ids)
                return name
        raise failure or NotFoundError(
            f"cannot repair layer {diff_id[:19]}: none of its images came from a registry; remove"
            " and then load, import or build them again"
        )

    async def _fetch(self, diff_id: str, image: Image, reference: Reference) -> None:
        registries = await offload(Registries.load)
        target = Target(reference.domain, reference.path, reference.familiar_name, None)
        platform = str(Platform.of(image.config))
        async with Crew(2) as crew:
            wire = Wire(self._transport, self._retry, crew.cancel)
            wanted = reference.digest or "latest"
            found = await crew.run(find, wire, registries, target, wanted, platform)
            for descriptor, one in found.layers:
                if one != diff_id:
                    continue

                def chunks() -> Iterator[bytes]:
                    with found.repository.blob(descriptor) as answer:  # noqa: B023 - read at once
                        while piece := answer.chunk(_CHUNK):
                            yield piece

                await crew.run(self._store.layers.renew, diff_id, chunks(), descriptor.media_type)
                return
        raise NotFoundError(f"{reference.familiar()} has no layer {diff_id[:19]}")
