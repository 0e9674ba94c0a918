"""The engine's images: everything that Docker's API does with them."""

from __future__ import annotations

import contextlib
import dataclasses
import json
from collections import Counter
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from concurrent.futures import Future
from typing import TypeVar

from ..host.errors import InvalidError, NotFoundError
from ..host.threads import offload, offload_long
from ..storage import archive
from ..storage.images import Image
from ..storage.reference import Reference, parse
from ..storage.store import Store
from . import commit, imagefiles, imagefilters, imageviews, importing
from .bridge import Inflow, outflow
from .events import Events
from .filters import flag
from .imageremoval import Removal
from .imageviews import labels
from .options import Options
from .pull import Pulls
from .push import Pushes, select
from .registry import search
from .registry.credentials import from_auth
from .registry.crew import Crew, follow
from .registry.endpoints import HUB, HUB_HOST, Registries
from .registry.lookup import Target, login, visit
from .registry.manifests import Manifest, Platform
from .registry.progress import Progress
from .registry.repository import Repository, Wire
from .registry.retry import Retry
from .registry.transport import Transport
from .repair import Repairs
from .types import Container, Json

T = TypeVar("T")
# Inside the class, `list` is Docker's verb.
Rows = list[Json]
Names = list[str]
_PLATFORM = ("architecture", "os", "os.version", "variant")


class Images:
    """Images by name or id; every method raises NotFoundError("No such image: x") for neither.

    `in_use` lists all containers: what they were made from is not removed under them.
    """

    def __init__(
        self,
        store: Store,
        options: Options,
        events: Events,
        in_use: Callable[[], list[Container]],
    ) -> None:
        self._store = store
        self._events = events
        self._in_use = in_use
        self._transport = Transport()
        self._retry = Retry()
        self._pulls = Pulls(store, self._transport, Registries.load, self._retry)
        self.repairs = Repairs(store, self._transport, self._retry)
        self._pushes = Pushes(store, self._transport, Registries.load, self._retry)

    @property
    def busy(self) -> bool:
        """Whether something is pulled or pushed: its files are not to be swept."""
        return bool(self._pulls.active or self._pushes.active)

    def close(self) -> None:
        """Close the connections that wait for the next pull."""
        self._transport.close()

    async def resolve(self, ref: str) -> Image:
        """The image that a name, a digest or the start of an id means."""
        return await offload(self._store.images.resolve, ref)

    async def check_platform(self, ref: str, platform: str) -> None:
        """Raise NotFoundError unless the image is here and for `platform`: what makes a pull."""
        wanted = Platform.parse(platform)
        image = await self.resolve(ref)
        actual = Platform.of(image.config)
        if not wanted.rank(actual):
            raise NotFoundError(
                f"image with reference {ref} was found but does not match the specified"
                f" platform: wanted {wanted}, actual: {actual}"
            )

    # --- looking ---

    async def list(
        self,
        all: bool,  # noqa: A002 - the API's name for it
        filters: Mapping[str, Names],
        digests: bool,
        shared: bool = False,
        counted: bool = False,
    ) -> Rows:
        """Docker's ImageSummaries, the newest first.

        `shared` fills in SharedSize, `counted` Containers.

        Nameless images that others were made from are hidden unless `all` is given. Docker's
        clients get digests without asking.
        """

        def look() -> Rows:
            found = imagefilters.select(self._store, filters)
            users = Counter(container.image for container in self._in_use())
            if not all:
                parents = self._store.images.parents()
                found = [
                    one for one in found if one.tags or one.digests or one.image.id not in parents
                ]
            sizes = imageviews.shared_sizes(self._store, self._store.images.all()) if shared else {}
            return [
                imageviews.summary(
                    self._store,
                    one.image,
                    tags=one.tags,
                    digests=one.digests,
                    shared=sizes.get(one.image.id, -1),
                    containers=users[one.image.id] if counted else -1,
                )
                for one in found
            ]

        return await offload(look)

    async def inspect(self, ref: str) -> Json:
        """Docker's ImageInspect."""
        image = await self.resolve(ref)
        return await offload(imageviews.inspect, self._store, image)

    async def history(self, ref: str) -> Rows:
        """Docker's HistoryResponseItems."""
        image = await self.resolve(ref)
        return await offload(imageviews.history, self._store, image)

    # --- names, removal ---

    async def tag(self, ref: str, repo: str, tag: str) -> None:
        """Give the image the name `repo:tag`, `latest` when `tag` is empty."""
        image = await self.resolve(ref)
        await self._name(image.id, repo, tag)

    async def remove(self, ref: str, force: bool = False, prune: bool = True) -> Rows:
        """Remove a name, and the image with its last one; Docker's list of what went.

        Layers that only it had go too, and with `prune` nameless images it was made from.
        """
        removal = Removal(self._store, self._in_use)
        records = await offload(removal.remove, ref, force, prune)
        self._tell_removal(removal)
        return records

    async def prune(self, filters: Mapping[str, Names]) -> Json:
        """Remove what no container uses: images without a tag, or with `dangling=false` all."""
        removal = Removal(self._store, self._in_use)
        report = await offload_long(removal.prune, filters)
        self._tell_removal(removal)
        if flag(filters, "dangling") is False:
            # Asked for all: then also what cancelled pulls left to go on with, and stray layers.
            report["SpaceReclaimed"] += await self.sweep()
        self._events.emit("image", "prune", "", {"reclaimed": str(report["SpaceReclaimed"])})
        return report

    async def sweep(self) -> int:
        """Remove layers of no image and downloads that were cut short; bytes freed.

        Nothing while an image is pulled or pushed, whose files these may be.
        """
        return 0 if self.busy else (await offload_long(self._store.collect, 0)).size

    # --- registries ---

    async def pull(
        self,
        ref: str,
        *,
        platform: str | None,
        auth: Json | None,
        progress: Progress,
        all_tags: bool = False,
    ) -> Image:
        """Bring an image here; `progress` gets Docker's messages. See `Pulls.pull`.

        `all_tags` brings every tag of the repository `ref`, one by one; the last one's image.
        """
        reference = parse(ref)
        wanted = [reference.with_default_tag()]
        if all_tags:
            tags = await self._ask(reference, auth, lambda repository: repository.tags())
            wanted = [dataclasses.replace(reference, tag=tag) for tag in tags]
        image: Image | None = None
        for one in wanted:
            image = await self._pulls.pull(one, platform=platform, auth=auth, progress=progress)
            await self._tell("pull", one.familiar(), one.familiar_name)
        if image is None:
            raise NotFoundError(f"{reference.familiar_name} has no tags")
        return image

    async def push(
        self, ref: str, *, auth: Json | None, progress: Progress, all_tags: bool = False
    ) -> None:
        """Send an image, or all tags of a repository; `progress` gets Docker's messages."""
        reference = parse(ref)
        found = await offload(select, self._store, reference, all_tags)
        await self._pushes.push(found, auth=auth, progress=progress)
        for one in found:
            await self._tell("push", one.familiar(), one.familiar_name)

    async def distribution(self, ref: str, *, auth: Json | None) -> Json:
        """What a registry has under the name: Docker's DistributionInspect."""
        reference = parse(ref).with_default_tag()
        wanted = reference.digest or reference.tag or "latest"
        return await self._ask(
            reference,
            auth,
            lambda repository: _distribution(repository, repository.manifest(wanted)),
        )

    async def search(
        self,
        term: str,
        *,
        limit: int | None,
        filters: Mapping[str, Names],
        auth: Json | None,
    ) -> Rows:
        """Images of a registry by a word: Docker's search results. See `search.search`."""
        registries = await offload(Registries.load)
        async with Crew(1) as crew:
            wire = Wire(self._transport, self._retry, crew.cancel)
            return await crew.run(search.search, wire, registries, term, limit, filters, auth)

    async def login(self, auth: Json) -> Json:
        """Check a name and password against their registry: Docker's answer to `/auth`."""
        domain = _registry(str(auth.get("serveraddress") or ""))
        registries = await offload(Registries.load)
        async with Crew(1) as crew:
            wire = Wire(self._transport, self._retry, crew.cancel)
            await crew.run(login, wire, registries, domain, from_auth(auth))
        return {"Status": "Login Succeeded", "IdentityToken": ""}

    # --- files ---

    async def save(self, refs: Sequence[str]) -> AsyncIterator[bytes]:
        """The images as one tar, Docker's and OCI's at once."""
        saved = [await self.resolve(ref) for ref in refs]
        async for chunk in outflow(archive.save(self._store, refs)):
            yield chunk
        for image in saved:
            await self._tell("save", image.id, image.id)

    def files(self, ref: str) -> AsyncIterator[bytes]:
        """Its files as a tar. To be closed when left early. Raises NotFoundError."""
        return imagefiles.archive(self._store, ref)

    async def load(self, chunks: AsyncIterator[bytes], progress: Progress) -> Names:
        """Take the images of a tar that `save` or Docker made; their names."""
        loaded: Names = []

        def work(stream: Inflow) -> Names:
            return archive.load(self._store, stream, on_image=lambda one: loaded.append(one.id))

        names = await self._reading(chunks, work)
        for name in names:
            what = "Loaded image ID" if name.startswith("sha256:") else "Loaded image"
            progress({"stream": f"{what}: {name}\n"})
        for image in loaded:
            await self._tell("load", image, image)
        return names

    async def import_(
        self,
        chunks: AsyncIterator[bytes],
        repo: str = "",
        tag: str = "",
        changes: Sequence[str] = (),
        message: str = "",
        platform: str | None = None,
    ) -> str:
        """Make an image of a file system's tar, and name it if `repo` is given; its id."""
        _check_name(repo, tag)

        def work(stream: Inflow) -> str:
            return importing.import_tar(
                self._store, stream, changes=changes, message=message, platform=platform
            )

        made = await self._reading(chunks, work)
        await self._tell("import", made, made)
        await self._name(made, repo, tag)
        return made

    async def commit(
        self,
        container: Container,
        *,
        repo: str = "",
        tag: str = "",
        author: str = "",
        message: str = "",
        changes: Sequence[str] = (),
        config: Json | None = None,
    ) -> str:
        """Make an image of a container, which the caller holds still; its id."""
        _check_name(repo, tag)
        made = await offload_long(
            commit.commit,
            self._store,
            container,
            author=author,
            message=message,
            changes=changes,
            config=config,
        )
        await self._name(made, repo, tag)
        return made

    # --- help ---

    async def _ask(
        self, reference: Reference, auth: Json | None, question: Callable[[Repository], T]
    ) -> T:
        """Ask the first endpoint that answers for the repository."""
        registries = await offload(Registries.load)
        target = Target(reference.domain, reference.path, reference.familiar_name, auth)
        async with Crew(1) as crew:
            wire = Wire(self._transport, self._retry, crew.cancel)
            return await crew.run(visit, wire, registries, target, question)

    async def _reading(self, chunks: AsyncIterator[bytes], work: Callable[[Inflow], T]) -> T:
        """Do `work` in a thread of its own on what arrives; it ends when this task is cancelled.

        Not in a common pool: its threads would all wait for four slow clients.
        """
        stream = Inflow(chunks)
        async with Crew(1) as crew:
            doing: Future[T] = crew.start(work, stream)
            try:
                return await follow(doing)
            finally:
                stream.stop()

    async def _name(self, image: str, repo: str, tag: str) -> None:
        reference = _check_name(repo, tag)
        if reference is None:
            return
        await offload(self._store.images.tag, reference.full(), image)
        await self._tell("tag", image, reference.familiar())

    async def _tell(self, action: str, ref: str, name: str) -> None:
        """An event of an image, with the image's labels as Docker has it."""
        own: dict[str, str] = {}
        with contextlib.suppress(NotFoundError):  # gone since
            own = labels(await self.resolve(ref))
        self._events.emit("image", action, ref, {**own, "name": name})

    def _tell_removal(self, removal: Removal) -> None:
        for told in removal.told:
            self._events.emit("image", *told)


def _check_name(repo: str, tag: str) -> Reference | None:
    """The name to give, None for none; InvalidError before any work was done for it."""
    if not repo:
        return None
    reference = parse(f"{repo}:{tag}" if tag else repo)
    if reference.digest:
        raise InvalidError("refusing to create a tag with a digest reference")
    return reference.with_default_tag()


def _registry(address: str) -> str:
    """The registry that a login's server address means; Docker Hub when it is empty."""
    host = address.removeprefix("https://").removeprefix("http://").partition("/")[0]
    return HUB if host in ("", "index.docker.io", HUB_HOST) else host


def _distribution(repository: Repository, manifest: Manifest) -> Json:
    if manifest.is_index:
        offered = [dict(entry.get("platform") or {}) for entry in manifest.json["manifests"]]
    else:
        config = json.loads(repository.small(manifest.config))
        offered = [{key: config[key] for key in _PLATFORM if config.get(key)}]
    return {
        "Descriptor": {
            "mediaType": manifest.media_type,
            "digest": manifest.digest,
            "size": len(manifest.raw),
        },
        "Platforms": offered,
    }
