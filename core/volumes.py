"""Named and anonymous volumes, in Docker's JSON."""

from __future__ import annotations

import asyncio
import functools
from collections.abc import Callable, Collection, Sequence

from ..host import clock
from ..host.errors import ConflictError, InvalidError, NotFoundError
from ..host.threads import offload, offload_long
from ..storage.snapshots import tree_size
from ..storage.store import Store
from ..storage.volumes import Volume
from . import filters as filtering
from .events import Events
from .filters import Filters
from .types import Container, Json

_LIST = ("name", "label", "driver", "dangling")
_PRUNE = ("label", "label!", "all")


def check_driver(name: str) -> None:
    """Raise InvalidError for a driver other than the one there is."""
    if name not in ("", "local"):
        raise InvalidError(
            f'error looking up volume plugin {name}: plugin "{name}" not found: '
            "this engine has the driver local"
        )


class Volumes:
    """The engine's volumes: Docker's volume verbs over `storage.volumes`."""

    def __init__(
        self, store: Store, events: Events, containers: Callable[[], Sequence[Container]]
    ) -> None:
        self._store = store
        self._events = events
        self._containers = containers
        # Between a look at who uses a volume and its removal nobody may begin to.
        self._changing = asyncio.Lock()

    async def ensure(
        self, name: str, labels: dict[str, str], options: dict[str, str], anonymous: bool = False
    ) -> Volume:
        """The volume called `name`, made if there is none; a new anonymous one for no name.

        `anonymous` makes one of a name the caller has noted. Raises InvalidError for the name or
        the options, ConflictError for other options, NoSpaceError. A removal of that volume that
        is under way has ended; one that begins later finds who uses it, if the caller notes it at
        once.
        """
        async with self._changing:
            return await self._ensure(name, labels, options, anonymous)

    async def _ensure(
        self, name: str, labels: dict[str, str], options: dict[str, str], anonymous: bool
    ) -> Volume:
        known = {volume.name for volume in await offload(self._store.volumes.all)}
        create = functools.partial(self._store.volumes.create, anonymous=anonymous)
        volume = await offload(create, name or None, labels, options)
        if volume.name not in known:
            self._events.emit("volume", "create", volume.name, {"driver": "local"})
        return volume

    async def create(self, request: Json) -> Json:
        """Docker's volume create request; the volume as `inspect` shows it.

        Raises InvalidError for another driver than `local`, or a bad name or option.
        """
        check_driver(request.get("Driver") or "")
        name = request.get("Name") or ""
        volume = await self.ensure(
            name,
            request.get("Labels") or {},
            request.get("DriverOpts") or {},
        )
        return _json(volume)

    async def list(self, filters: Filters) -> Json:
        """Docker's `{"Volumes": …, "Warnings": …}`."""
        for key in filters:
            if key not in _LIST:
                raise InvalidError(f"invalid filter '{key}'")
        used = self._used()
        rows = []
        dangling = filtering.flag(filters, "dangling")
        for volume in await offload(self._store.volumes.all):
            if dangling is not None and (volume.name not in used) != dangling:
                continue
            names = filters.get("name", [])
            if names and not any(name in volume.name for name in names):
                continue
            if not filtering.match_labels(volume.labels, filters.get("label", [])):
                continue
            if filters.get("driver") and "local" not in filters["driver"]:
                continue
            rows.append(_json(volume))
        return {"Volumes": rows, "Warnings": None}

    async def inspect(self, name: str) -> Json:
        """One volume. Raises NotFoundError."""
        return _json(await offload(self._store.volumes.get, name))

    async def remove(self, name: str, ignore: str | None = None) -> None:
        """Delete a volume and what is in it.

        Raises NotFoundError, or ConflictError while a container other than `ignore` refers to it.
        """
        async with self._changing:
            volume = await offload(self._store.volumes.get, name)
            users = [one.id for one in self._users(volume.name) if one.id != ignore]
            if users:
                raise ConflictError(
                    f"remove {name}: volume is in use - [{', '.join(users)}]: "
                    "remove these containers first"
                )
            await offload_long(self._store.volumes.remove, volume.name)
        self._events.emit("volume", "destroy", volume.name, {"driver": "local"})

    async def prunable(self, filters: Filters, without: Collection[str] = ()) -> Sequence[Volume]:
        """What `prune` removes, also if the containers `without` were gone.

        The anonymous ones, with the filter `all` every. Raises InvalidError for a bad filter.
        """
        for key in filters:
            if key not in _PRUNE:
                raise InvalidError(f"invalid filter '{key}'")
        everything = any(value in ("1", "true") for value in filters.get("all", []))
        used = self._used(without)
        return [
            volume
            for volume in await offload(self._store.volumes.all)
            if volume.name not in used
            and (everything or volume.anonymous)
            and filtering.label_filters(filters, volume.labels)
        ]

    async def prune(self, filters: Filters) -> Json:
        """Remove what no container refers to; see `prunable`."""
        deleted, freed = [], 0
        for volume in await self.prunable(filters):
            size = await offload_long(tree_size, volume.path)
            try:
                await self.remove(volume.name)
            except (ConflictError, NotFoundError):
                continue  # used again, or removed by another, meanwhile
            freed += size
            deleted.append(volume.name)
        return {"VolumesDeleted": deleted, "SpaceReclaimed": freed}

    async def usage(self) -> Sequence[Json]:
        """Every volume with Docker's `UsageData`, for `system df`."""
        rows = []
        for volume in await offload(self._store.volumes.all):
            size = await offload_long(tree_size, volume.path)
            row = _json(volume)
            row["UsageData"] = {"Size": size, "RefCount": len(self._users(volume.name))}
            rows.append(row)
        return rows

    def _users(self, name: str) -> Sequence[Container]:
        return [
            container
            for container in self._containers()
            if any(
                point["Type"] == "volume" and point.get("Name") == name
                for point in container.mounts
            )
        ]

    def _used(self, without: Collection[str] = ()) -> set[str]:
        return {
            point["Name"]
            for container in self._containers()
            if container.id not in without
            for point in container.mounts
            if point["Type"] == "volume" and point.get("Name")
        }


def _json(volume: Volume) -> Json:
    labels = dict(volume.labels)
    if volume.anonymous:
        labels.setdefault("com.docker.volume.anonymous", "")
    return {
        "CreatedAt": clock.from_ns(volume.created).partition(".")[0] + "Z",
        "Driver": "local",
        "Labels": labels or None,
        "Mountpoint": str(volume.path),
        "Name": volume.name,
        "Options": volume.options or None,
        "Scope": "local",
    }
