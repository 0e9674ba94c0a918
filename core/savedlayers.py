"""Snapshots of what a container wrote: taken, listed, gone back to, branched from, removed.

They belong to their container and go with it. A branch is a container of its own, with a copy: it
needs neither the snapshot nor the container it came from.
"""

from __future__ import annotations

import copy
import stat
from collections.abc import Sequence

from ..host import clock
from ..host.errors import ConflictError, NotFoundError
from ..host.threads import offload, offload_long
from ..storage.layertree import KINDS
from ..storage.savedlayers import Saved
from ..storage.since import Difference
from . import creation
from .changetree import WORDS
from .context import Context
from .lifecycle import Lifecycle
from .types import Container, Json


class ContainerSnapshots:
    """`ref` is a container's name, id or the start of one; NotFoundError for none."""

    def __init__(self, context: Context, lifecycle: Lifecycle) -> None:
        self._context = context
        self._lifecycle = lifecycle

    async def take(self, ref: str, name: str = "", comment: str = "", pause: bool = True) -> Json:
        """Copy the writable layer of a container that stands still, or is paused for it.

        Raises ConflictError for one that runs, with `pause` off, or is being removed.
        """
        container = self._context.roster.find(ref)
        hold = container.state.status == "running" and pause
        if hold:
            await self._lifecycle.pause(container, hold=True)
        try:
            async with self._context.live(container).lock:
                _check_still(container)
                saved = await offload_long(
                    self._context.store.saved.take,
                    container.id,
                    name,
                    comment,
                    _settings(container),
                )
        finally:
            if hold and container.state.status == "paused":
                await self._lifecycle.unpause(container)
        self._context.emit(container, "snapshot", snapshot=saved.name)
        return self._row(saved)

    async def all(self, ref: str | None = None) -> list[Json]:
        """The snapshots of one container, or of all, the oldest first."""
        store = self._context.store.saved
        if ref is None:
            found = await offload(store.all)
        else:
            found = await offload(store.of, self._context.roster.find(ref).id)
        return [self._row(one) for one in found]

    async def rollback(self, ref: str, snapshot: str) -> None:
        """Make the container's files what they were; what it wrote since is lost.

        Raises ConflictError for one that runs: its processes have files open.
        """
        container = self._context.roster.find(ref)
        saved = await offload(self._context.store.saved.find, container.id, snapshot)
        async with self._context.live(container).lock:
            if container.state.running or container.state.status == "restarting":
                raise ConflictError(
                    f"cannot roll back container {container.name}: it is {container.state.status},"
                    " stop it first"
                )
            _check_still(container)
            await offload(self._context.store.snapshots.unmount, container.id)
            await offload_long(self._context.store.saved.restore, saved.id, container.id)
        self._context.emit(container, "rollback", snapshot=saved.name)

    async def preview(self, ref: str, snapshot: str, limit: int | None = None) -> Json:
        """What a rollback would lose and bring back: sums, and the first `limit` of the changes.

        The container may run. Raises NotFoundError, BayError.
        """
        container = self._context.roster.find(ref)
        store = self._context.store.saved
        saved = await offload(store.find, container.id, snapshot)
        found = await offload_long(store.changed_since, saved.id)
        return {"Snapshot": self._row(saved), **sums(found), "Changes": [
            {
                "Path": one.path,
                "Change": WORDS[one.kind],
                "Type": KINDS.get(stat.S_IFMT(one.mode), "file"),
                "Size": one.size,
                "SizeBefore": one.before,
                "Held": one.held,
            }
            for one in found[:limit]
        ]}  # fmt: skip

    async def branch(self, ref: str, snapshot: str, name: str | None) -> tuple[str, list[str]]:
        """Create a container from a snapshot, with the settings of that time: (id, warnings).

        Raises NotFoundError when its image is gone, ConflictError for a name that is taken.
        """
        container = self._context.roster.find(ref)
        saved = await offload(self._context.store.saved.find, container.id, snapshot)
        settings = copy.deepcopy(saved.settings)
        config: Json = settings["config"]
        config["Image"] = await offload(self._image, settings, container)
        if config.get("Hostname") == container.id[:12]:
            config["Hostname"] = ""
        # What only one container can have.
        config.pop("MacAddress", None)
        settings["host_config"]["ContainerIDFile"] = ""
        made, warnings = await creation.create(
            self._context,
            name,
            config,
            settings["host_config"],
            {"EndpointsConfig": settings["networks"]},
            saved=saved.id,
        )
        return made.id, warnings

    def _image(self, settings: Json, container: Container) -> str:
        """The name the container was made by, while it means the same image; else the id."""
        images = self._context.store.images
        for text in (settings["image_ref"], settings["image"]):
            try:
                if images.resolve(text).id == settings["image"]:
                    return str(text)
            except NotFoundError:
                continue
        raise NotFoundError(
            f"cannot branch container {container.name}: its image {settings['image_ref']} was"
            " removed, pull or load it again"
        )

    async def remove(self, ref: str, snapshot: str) -> None:
        """Remove one."""
        container = self._context.roster.find(ref)
        saved = await offload(self._context.store.saved.find, container.id, snapshot)
        await offload(self._context.store.saved.remove, saved.id)

    def _row(self, saved: Saved) -> Json:
        container = self._context.roster.get(saved.snapshot)
        return {
            "Id": saved.id,
            "Name": saved.name,
            "Container": saved.snapshot,
            "ContainerName": container.name if container else "",
            "Comment": saved.comment,
            "Created": clock.from_ns(saved.created),
            "Size": saved.size,
            "Image": saved.settings["image_ref"],
        }


def sums(found: Sequence[Difference]) -> Json:
    """Counts of each kind; bytes that a rollback loses, and those that it brings back."""
    counts = {word.capitalize(): 0 for word in WORDS.values()}
    for one in found:
        counts[WORDS[one.kind].capitalize()] += 1
    lost = sum(one.size for one in found)
    return {**counts, "SizeLost": lost, "SizeBack": sum(one.before for one in found)}


def _check_still(container: Container) -> None:
    status = container.state.status
    if status in ("running", "restarting", "removing", "dead"):
        raise ConflictError(
            f"cannot take or use a snapshot of container {container.name}: it is {status}"
            + (", stop or pause it first" if status in ("running", "restarting") else "")
        )


def _settings(container: Container) -> Json:
    """What it takes to create such a container again."""
    return {
        "image": container.image,
        "image_ref": container.image_ref,
        "config": container.config,
        "host_config": container.host_config,
        "networks": {
            name: {
                "Aliases": [one for one in found.get("Aliases") or [] if one != container.id[:12]]
            }
            for name, found in container.networks.items()
        },
    }
