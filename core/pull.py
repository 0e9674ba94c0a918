"""Pulling an image: every layer is fetched and unpacked at once, in threads of its own.

What is here already is not fetched, what was fetched in part is gone on with, and nothing of an
image can be seen before all of it is here.
"""

from __future__ import annotations

import asyncio
import contextlib
import errno
from collections.abc import AsyncIterator, Callable
from concurrent.futures import Future
from contextlib import asynccontextmanager
from typing import Any
from weakref import WeakValueDictionary

from ..host.errors import BayError, InvalidError, NoSpaceError
from ..host.files import unlink
from ..host.threads import offload
from ..storage.images import Image
from ..storage.reference import Reference
from ..storage.store import Store
from ..storage.unpackers import SMALL, WORTH
from .registry.crew import Crew, each, follow, outlast_failed
from .registry.download import Download, DownloadEndedError
from .registry.endpoints import Registries
from .registry.lookup import Found, Target, find, visit
from .registry.manifests import Descriptor, Platform
from .registry.progress import Progress, Reporter
from .registry.repository import Repository, Wire
from .registry.retry import Retry
from .registry.transport import Transport
from .types import Json

# Docker's default of downloads at once; and how many layers may be fetched or unpacked at once.
DOWNLOADS = 3
LANES = 4


class Pulls:
    """All pulls of the engine: they share connections, and no two fetch the same layer.

    `registries` is asked at each pull, so that a change of the file needs no restart.
    """

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
        self._locks: WeakValueDictionary[str, asyncio.Lock] = WeakValueDictionary()

    async def pull(
        self, reference: Reference, *, platform: str | None, auth: Json | None, progress: Progress
    ) -> Image:
        """Bring the image `reference` (with a tag or a digest) here and give it that name.

        `platform` is "os/arch[/variant]", ours when None. Cancelling the task stops the transfer;
        the bytes that came are kept for the next attempt. Raises BayError, in Docker's words.
        """
        Platform.parse(platform)
        report = Reporter(progress)
        wanted = reference.digest or reference.tag or "latest"
        target = Target(reference.domain, reference.path, reference.familiar_name, auth)
        registries = await offload(self._registries)
        self.active += 1
        try:
            async with Crew(2 * LANES) as crew:
                wire = Wire(self._transport, self._retry, crew.cancel)
                image = await self._current(crew, wire, registries, target, reference, platform)
                if image is not None:
                    report.say(f"Pulling from {reference.path}", wanted)
                    digest = await offload(self._known_digest, reference, image)
                    newer = False
                else:
                    found = await crew.run(find, wire, registries, target, wanted, platform)
                    # Not before: an error that comes first can still be an HTTP status.
                    report.say(f"Pulling from {reference.path}", wanted)
                    before = await offload(self._tagged, reference)
                    image = await self._fetch(crew, found, reference, report)
                    digest, newer = found.top.digest, before != image.id
        except OSError as error:
            if error.errno in (errno.ENOSPC, errno.EDQUOT):
                raise NoSpaceError(
                    f"cannot pull {reference.familiar()}: no space left on device"
                    f" ({self._store.root})"
                ) from error
            raise
        finally:
            self.active -= 1
        report.say(f"Digest: {digest}")
        what = "Downloaded newer image for" if newer else "Image is up to date for"
        report.say(f"Status: {what} {reference.familiar()}")
        return image

    async def _current(
        self,
        crew: Crew,
        wire: Wire,
        registries: Registries,
        target: Target,
        reference: Reference,
        platform: str | None,
    ) -> Image | None:
        """The image of that name here, if it is what the registry has: told by a HEAD alone."""
        image = await offload(self._local, reference)
        if image is None or not Platform.parse(platform).rank(Platform.of(image.config)):
            return None
        known = await offload(self._digests, reference, image)
        if reference.digest:
            return image if reference.digest in known else None
        if not known:
            return None
        tag = reference.tag or "latest"

        def ask(repository: Repository) -> str | None:
            return repository.digest(tag)

        served = await crew.run(visit, wire, registries, target, ask)
        return image if served in known else None

    async def _fetch(
        self, crew: Crew, found: Found, reference: Reference, report: Reporter
    ) -> Image:
        # An image may have the same layer twice, the empty one for example.
        layers = list({diff_id: one for one, diff_id in found.layers}.items())
        with self._store.layers.lease(*found.diff_ids):
            here = await offload(self._store.layers.all)
            for _, descriptor in layers:
                report.say("Pulling fs layer", descriptor.short)
            missing = [one.size for diff_id, one in layers if diff_id not in here]
            # Beside transfers and large layers a small one would wait for this process's lock.
            worth = SMALL if sum(missing) >= WORTH else WORTH
            await offload(self._store.layers.expect, sum(size >= worth for size in missing))
            transfer = _Transfer(self, crew, found.repository, report, sum(missing), worth)
            # The largest first: the last to end is then a small one. Bottom to top for equals.
            order = sorted(layers, key=lambda pair: -pair[1].size)
            await each(transfer.layer(diff_id, one) for diff_id, one in order)
            return await offload(self._commit, found, reference)

    def _commit(self, found: Found, reference: Reference) -> Image:
        with self._store.db.transaction():
            image = self._store.images.put(
                found.config, manifest=found.manifest.raw, manifest_digest=found.manifest.digest
            )
            for digest in {found.top.digest, reference.digest or found.top.digest}:
                self._store.images.add_digest(reference.repository, digest, image.id)
            if reference.tag and not reference.digest:
                self._store.images.tag(reference.full(), image.id)
        return image

    def _local(self, reference: Reference) -> Image | None:
        with contextlib.suppress(BayError):
            return self._store.images.resolve(reference.full())
        return None

    def _tagged(self, reference: Reference) -> str | None:
        image = self._local(reference)
        return image.id if image else None

    def _digests(self, reference: Reference, image: Image) -> list[str]:
        prefix = f"{reference.familiar_name}@"
        found = self._store.images.digests(image.id)
        return [one.removeprefix(prefix) for one in found if one.startswith(prefix)]

    def _known_digest(self, reference: Reference, image: Image) -> str:
        return reference.digest or self._digests(reference, image)[-1]

    @asynccontextmanager
    async def alone(self, digest: str) -> AsyncIterator[bool]:
        """Inside, no other pull of this engine works on the layer; True if one just did."""
        lock = self._locks.setdefault(digest, asyncio.Lock())
        waited = lock.locked()
        async with lock:
            yield waited

    @property
    def store(self) -> Store:
        """Where layers go."""
        return self._store

    @property
    def retry(self) -> Retry:
        """How patient to be."""
        return self._retry


class _Transfer:
    """The layers of one pull: `size` bytes in all; from `worth` on, other processes unpack them."""

    def __init__(
        self,
        pulls: Pulls,
        crew: Crew,
        repository: Repository,
        report: Reporter,
        size: int,
        worth: int,
    ) -> None:
        self._size = size
        self._worth = worth
        self._pulls = pulls
        self._crew = crew
        self._repository = repository
        self._report = report
        self._lanes = asyncio.Semaphore(LANES)
        self._downloads = asyncio.Semaphore(DOWNLOADS)

    async def layer(self, diff_id: str, descriptor: Descriptor) -> None:
        """Have the layer here, whole; Docker's messages tell how."""
        name = descriptor.short
        if await offload(self._is_here, diff_id, descriptor):
            self._report.say("Already exists", name)
            return
        if self._lanes.locked():
            self._report.say("Waiting", name)
        async with self._lanes, self._pulls.alone(diff_id):
            if await offload(self._is_here, diff_id, descriptor):
                self._report.say("Already exists", name)
                return
            download = self._download(descriptor)
            try:
                await self._bring(diff_id, download)
            except InvalidError:
                download.discard()
                if not download.resumed:
                    raise
                # The bytes kept from an earlier attempt may be what is wrong: once more, anew.
                download = self._download(descriptor)
                await self._bring(diff_id, download)
            download.discard()
            self._report.say("Pull complete", name)

    def _is_here(self, diff_id: str, descriptor: Descriptor) -> bool:
        """Whether the layer is; an attempt that ended right behind it has left its bytes."""
        store = self._pulls.store
        if not store.layers.has(diff_id):
            return False
        unlink(store.blobs.partial(descriptor.digest))
        return True

    def _download(self, descriptor: Descriptor) -> Download:
        meter = self._report.meter("Downloading", descriptor.short, descriptor.size)
        return Download(
            descriptor,
            self._pulls.store.blobs.partial(descriptor.digest),
            lambda offset: self._repository.blob(descriptor, offset),
            retry=self._pulls.retry,
            cancel=self._crew.cancel,
            progress=meter.at,
        )

    async def _bring(self, diff_id: str, download: Download) -> None:
        descriptor = download.descriptor
        unpacking: Future[object] | None = None
        fetching: Future[None] | None = None
        extracting = self._report.meter("Extracting", descriptor.short, descriptor.size)
        extracting.quiet = True
        try:
            async with self._downloads:
                fetching = self._crew.start(download.run)
                unpacking = self._crew.start(
                    self._pulls.store.layers.apply,
                    diff_id,
                    download if descriptor.size >= self._worth else download.chunks(),
                    descriptor.media_type,
                    # The store checks sha256; the diff id alone proves the content just as well.
                    blob_digest=descriptor.digest if "sha256:" in descriptor.digest else None,
                    on_progress=extracting.at,
                    # Threads of its own only help a layer that the others would not wait for.
                    ahead=2 * descriptor.size > self._size,
                )
                await self._fetched(fetching, unpacking)
            self._report.say("Download complete", descriptor.short)
            extracting.quiet = False
            await follow(unpacking)
        except BaseException as error:
            if not isinstance(error, InvalidError):
                self._crew.cancel.set()
            download.abandon(error)
            await outlast_failed(error, [one for one in (fetching, unpacking) if one is not None])
            raise
        finally:
            download.close()

    async def _fetched(self, fetching: Future[None], unpacking: Future[object]) -> None:
        """Wait for the download; an unpacking that fails before its end is the reason to stop."""
        fetched, unpacked = follow(fetching), follow(unpacking)
        both: list[asyncio.Future[Any]] = [fetched, unpacked]
        await asyncio.wait(both, return_when=asyncio.FIRST_COMPLETED)
        if not fetched.done():
            error = unpacked.exception()
            # A reader that was told of a failed download is not the first cause of anything.
            if error is not None and not isinstance(error, DownloadEndedError):
                raise error
        await fetched
