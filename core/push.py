"""Pushing an image: what the registry has is left there, what a neighbour has is mounted.

Layers rest unpacked here, so what is sent is compressed anew, unless the registry still has the
very blobs the image came by. Then its manifest is sent as it came, and its digest stays the same.
"""

from __future__ import annotations

import asyncio
import json
import os
from collections.abc import Callable
from concurrent.futures import Future
from pathlib import Path

from ..host.errors import BayError, NotFoundError
from ..host.files import unlink
from ..host.threads import offload
from ..storage.images import Image
from ..storage.layers import BlobInfo
from ..storage.reference import Reference, parse
from ..storage.store import Store
from .layerpack import pack
from .registry import manifests
from .registry.crew import Crew, each, follow, outlast_failed
from .registry.endpoints import Registries
from .registry.lookup import Target, visit
from .registry.manifests import Descriptor, Manifest
from .registry.progress import Meter, Progress, Reporter
from .registry.repository import Repository, Wire
from .registry.retry import Retry
from .registry.transport import Transport
from .registry.upload import Upload, mount
from .types import Json

# Docker's default of uploads at once.
UPLOADS = 5
# How many neighbours are asked for a blob before it is sent after all.
_NEIGHBOURS = 3


class Pushes:
    """All pushes of the engine."""

    def __init__(
        self,
        store: Store,
        transport: Transport,
        registries: Callable[[], Registries],
        retry: Retry | None = None,
    ) -> None:
        self._store = store
        self._transport = transport
        self._registries = registries
        self._retry = retry or Retry()
        # How many run: their files are not to be swept.
        self.active = 0

    async def push(
        self, references: list[Reference], *, auth: Json | None, progress: Progress
    ) -> None:
        """Send the images of `references`, all tags of one repository, which are here.

        Raises BayError in Docker's words. Cancelling the task stops it; what a registry has got
        until then it keeps for a while, and the next push finds it.
        """
        first = references[0]
        report = Reporter(progress)
        report.say(f"The push refers to repository [{first.repository}]")
        target = Target(first.domain, first.path, first.familiar_name, auth)
        registries = await offload(self._registries)
        self.active += 1
        try:
            await self._push(references, target, registries, report)
        finally:
            self.active -= 1

    async def _push(
        self,
        references: list[Reference],
        target: Target,
        registries: Registries,
        report: Reporter,
    ) -> None:
        async with Crew(UPLOADS) as crew:
            wire = Wire(self._transport, self._retry, crew.cancel)
            repository = await crew.run(
                visit, wire, registries, target, lambda found: found, writing=True
            )
            for reference in references:
                image = await offload(self._store.images.resolve, reference.full())
                push = _Push(self._store, wire, crew, repository, report)
                with self._store.layers.lease(*image.diff_ids):
                    manifest = await push.run(image, reference)
                tag = reference.tag or "latest"
                size = len(manifest.raw)
                report.say(f"{tag}: digest: {manifest.digest} size: {size}")
                aux = {"Tag": tag, "Digest": manifest.digest, "Size": size}
                report.tell({"progressDetail": {}, "aux": aux})


class _Push:
    """One image on its way to one repository."""

    def __init__(
        self, store: Store, wire: Wire, crew: Crew, repository: Repository, report: Reporter
    ) -> None:
        self._store = store
        self._wire = wire
        self._crew = crew
        self._repository = repository
        self._report = report
        self._slots = asyncio.Semaphore(UPLOADS)

    async def run(self, image: Image, reference: Reference) -> Manifest:
        """Send layers, configuration and manifest; the manifest that is there now."""
        for diff_id in image.diff_ids:
            self._report.say("Preparing", _short(diff_id))
        sources = await offload(neighbours, self._store, image, reference)
        sent: dict[str, BlobInfo] = {}
        original = await offload(self._original, image)

        async def layer(diff_id: str) -> None:
            async with self._slots:
                prefer = original.get(diff_id)
                sent[diff_id] = await self._layer(diff_id, sources.get(diff_id, []), prefer)

        await each(layer(diff_id) for diff_id in dict.fromkeys(image.diff_ids))
        return await self._crew.run(self._finish, image, reference, sent)

    def _original(self, image: Image) -> dict[str, str]:
        """By diff id, the digests of the blobs in the manifest that the image came by."""
        raw = self._store.images.manifest(image.id)
        if raw is None:
            return {}
        layers = Manifest.read(raw, "").layers
        return {diff: one.digest for diff, one in zip(image.diff_ids, layers, strict=False)}

    async def _layer(self, diff_id: str, sources: list[str], prefer: str | None) -> BlobInfo:
        """Have the layer in the repository in whatever compressed form."""
        name = _short(diff_id)
        meter = self._report.meter("Pushing", name, 0)
        doing: Future[tuple[BlobInfo, str]] = self._crew.start(
            self._send, diff_id, sources, prefer, meter
        )
        try:
            blob, how = await follow(doing)
        except BaseException as error:
            self._crew.cancel.set()
            await outlast_failed(error, [doing])
            raise
        self._report.say(how, name)
        return blob

    def _send(
        self, diff_id: str, sources: list[str], prefer: str | None, meter: Meter
    ) -> tuple[BlobInfo, str]:
        known = self._store.layers.blobs(diff_id)
        known.sort(key=lambda blob: blob.digest != prefer)
        for blob in known:
            if self._repository.has_blob(blob.digest):
                return blob, "Layer already exists"
        for blob in known:
            for source in sources[:_NEIGHBOURS]:
                if mount(self._repository, blob.digest, source):
                    return blob, f"Mounted from {source}"
        file = self._store.blobs.partial(diff_id)
        file = file.with_name(f"{file.name}.push-{os.urandom(4).hex()}")
        try:
            return self._upload(diff_id, file, meter)
        finally:
            unlink(file)

    def _upload(self, diff_id: str, file: Path, meter: Meter) -> tuple[BlobInfo, str]:
        blob = pack(self._store.layers.tar(diff_id), file, self._wire.cancel)
        if self._repository.has_blob(blob.digest):
            how = "Layer already exists"
        else:
            descriptor = Descriptor(blob.media_type, blob.digest, blob.size)
            meter.total = blob.size
            Upload(self._wire, self._repository, descriptor, file, meter.at).run()
            how = "Pushed"
        self._store.layers.add_blob(diff_id, blob)
        return blob, how

    def _finish(self, image: Image, reference: Reference, sent: dict[str, BlobInfo]) -> Manifest:
        config = self._store.images.config(image.id)
        manifest = self._kept(image, sent) or _compose(image, config, sent)
        described = manifest.config
        if not self._repository.has_blob(described.digest):
            Upload(self._wire, self._repository, described, config).run()
        tag = reference.tag or "latest"
        self._repository.put_manifest(tag, manifest.raw, manifest.media_type)
        if image.manifest is None:
            # So that a saved copy, or a push elsewhere, keeps the digest it has now.
            self._store.images.put(config, manifest=manifest.raw, manifest_digest=manifest.digest)
        self._store.images.add_digest(reference.repository, manifest.digest, image.id)
        return manifest

    def _kept(self, image: Image, sent: dict[str, BlobInfo]) -> Manifest | None:
        """The manifest that the image came by, if the repository has all it speaks of."""
        raw = self._store.images.manifest(image.id)
        if raw is None:
            return None
        # Only OCI leaves it open whether the manifest says itself what it is.
        manifest = Manifest.read(raw, manifests.OCI_MANIFEST)
        there = [sent[diff_id].digest for diff_id in image.diff_ids]
        same = [one.digest for one in manifest.layers] == there
        return manifest if same and manifest.config.digest == image.id else None


def _compose(image: Image, config: bytes, sent: dict[str, BlobInfo]) -> Manifest:
    """A manifest of the blobs sent: schema 2, which every client reads, or OCI for zstd."""
    blobs = [sent[diff_id] for diff_id in image.diff_ids]
    kinds = [_compression(blob.media_type) for blob in blobs]
    oci = any(kind != "+gzip" for kind in kinds)
    raw = json.dumps(
        {
            "schemaVersion": 2,
            "mediaType": manifests.OCI_MANIFEST if oci else manifests.DOCKER_MANIFEST,
            "config": {
                "mediaType": manifests.OCI_CONFIG if oci else manifests.DOCKER_CONFIG,
                "size": len(config),
                "digest": image.id,
            },
            "layers": [
                {
                    "mediaType": manifests.OCI_LAYER + kind if oci else manifests.DOCKER_LAYER,
                    "size": blob.size,
                    "digest": blob.digest,
                }
                for blob, kind in zip(blobs, kinds, strict=True)
            ],
        },
        indent=3,
    ).encode()
    return Manifest.read(raw, "")


def neighbours(store: Store, image: Image, reference: Reference) -> dict[str, list[str]]:
    """By diff id, the repositories of the same registry that had the layer when we last looked."""
    wanted = set(image.diff_ids)
    found: dict[str, list[str]] = {}
    for other in store.images.all():
        shared = wanted.intersection(other.diff_ids)
        if not shared:
            continue
        places = [parse(text) for text in store.images.digests(other.id)]
        paths = [
            place.path
            for place in places
            if place.domain == reference.domain and place.path != reference.path
        ]
        for diff_id in shared:
            known = found.setdefault(diff_id, [])
            known += [path for path in dict.fromkeys(paths) if path not in known]
    return found


def select(store: Store, reference: Reference, all_tags: bool) -> list[Reference]:
    """The references that a push of `reference` means, in Docker's words when there is none."""
    if reference.digest:
        raise BayError("cannot push a digest reference")
    if all_tags:
        found = [parse(name) for name in store.images.tags(reference.repository)]
        if not found:
            raise NotFoundError(
                f"An image does not exist locally with the tag: {reference.familiar_name}"
            )
        return found
    try:
        store.images.resolve(reference.with_default_tag().full())
    except NotFoundError:
        raise NotFoundError(
            f"An image does not exist locally with the tag: {reference.familiar_name}"
        ) from None
    return [reference.with_default_tag()]


def _compression(media_type: str) -> str:
    for kind in ("gzip", "zstd"):
        if media_type.endswith((f"+{kind}", f".{kind}")):
            return f"+{kind}"
    return ""


def _short(diff_id: str) -> str:
    return diff_id.partition(":")[2][:12]
