"""Making a container: everything checked first, then row, volumes, writable layer, folder."""

from __future__ import annotations

import os
import time
from contextlib import AsyncExitStack
from pathlib import Path

from ..host import files
from ..host.errors import InvalidError, NotFoundError
from ..host.threads import offload, offload_long
from ..storage.images import Image
from . import defaults, mounts
from .context import Context
from .names import new_id, random_name
from .types import Container, Json


async def create(
    context: Context, name: str | None, config: Json, host: Json, networking: Json
) -> tuple[Container, list[str]]:
    """Create a container from Docker's create request: (it, warnings for the user).

    Raises NotFoundError when the image is not here, InvalidError or ConflictError for what is
    wrong with the request; nothing is left behind then.
    """
    image_ref: str = config.get("Image") or ""
    if not image_ref:
        raise InvalidError("no image given: name the image to make the container from")
    image = await offload(context.store.images.resolve, image_ref)
    key = new_id()
    name = (name or "").removeprefix("/") or random_name(context.roster.has_name)
    context.roster.check_name(name)
    container = Container(
        id=key,
        name=name,
        created=time.time_ns(),
        image=image.id,
        image_ref=image_ref,
        config=defaults.config(config, image.config, image_ref),
        host_config=defaults.host_config(host),
        bundle=context.options.root / "containers" / key,
    )
    container.config["Hostname"] = container.config["Hostname"] or _hostname(container)
    plan = await offload(mounts.plan, container, _sources(context, container))
    warnings = context.networks.check(container, networking.get("EndpointsConfig") or {})
    async with AsyncExitStack() as undo:
        undo.push_async_callback(discard, context, container)
        await context.roster.add(container)
        await _volumes(context, container, image, plan)
        await offload(_make_folder, container)
        await offload(context.store.snapshots.create, key, image.diff_ids)
        await _copy_up(context, container, plan)
        await context.roster.save(container)
        undo.pop_all()
    context.emit(container, "create")
    return container, warnings


def _hostname(container: Container) -> str:
    if container.host_config["NetworkMode"] == "host" or container.host_config["UTSMode"] == "host":
        return os.uname().nodename
    return container.id[:12]


def _make_folder(container: Container) -> None:
    container.bundle.mkdir(mode=0o700, parents=True)
    for name in ("hostname", "hosts", "resolv.conf"):
        (container.bundle / name).touch(mode=0o644)


def _sources(context: Context, container: Container) -> list[tuple[Container, bool]]:
    """The containers of `--volumes-from`, each with whether its volumes are writable here."""
    result: list[tuple[Container, bool]] = []
    for item in container.host_config["VolumesFrom"] or []:
        ref, _, mode = item.partition(":")
        if mode not in ("", "ro", "rw", "z", "Z"):
            raise InvalidError(f"invalid mode for volumes-from: {mode}")
        result.append((context.roster.find(ref), mode != "ro"))
    return result


async def _volumes(
    context: Context, container: Container, image: Image, plan: list[mounts.Planned]
) -> None:
    """Make or find each volume the plan names, and fill in the container's mount points."""
    for planned in plan:
        point = planned.point
        if point["Type"] == "volume":
            anonymous = not point["Name"]
            volume = await context.volumes.ensure(
                point["Name"] or new_id(), planned.labels, planned.options, anonymous=anonymous
            )
            if anonymous:
                container.anonymous_volumes.append(volume.name)
            point["Name"], point["Source"] = volume.name, str(volume.path)
        elif point["Type"] == "bind" and planned.make_source:
            await offload(os.makedirs, point["Source"], 0o755, exist_ok=True)
        container.mounts.append(point)


async def _copy_up(context: Context, container: Container, plan: list[mounts.Planned]) -> None:
    """Fill each new, empty volume from what the image has at its destination, as Docker does."""
    wanted = [
        planned
        for planned in plan
        if planned.point["Type"] == "volume" and planned.copy_up and not planned.subpath
    ]
    wanted = [p for p in wanted if await offload(_is_empty, Path(p.point["Source"]))]
    if not wanted:
        return
    rootfs = await offload(context.store.snapshots.mount, container.id)
    try:
        for planned in wanted:
            await offload_long(
                mounts.copy_up,
                rootfs,
                planned.point["Destination"],
                Path(planned.point["Source"]),
            )
    finally:
        await offload(context.store.snapshots.unmount, container.id)


def _is_empty(path: Path) -> bool:
    try:
        return next(os.scandir(path), None) is None
    except FileNotFoundError:
        return False


async def discard(context: Context, container: Container) -> None:
    """Undo of a creation that failed: all its parts, the row last."""
    await offload_long(context.store.snapshots.remove, container.id)
    await offload(files.remove_tree, container.bundle)
    for name in container.anonymous_volumes:
        try:
            await context.volumes.remove(name, force=True, ignore=container.id)
        except NotFoundError:
            continue
    await context.roster.drop(container)
