"""Making a container: everything checked first, then row, volumes, writable layer, folder."""

from __future__ import annotations

import os
import secrets
import time
from collections.abc import Callable
from contextlib import AsyncExitStack
from pathlib import Path

from ..host import files
from ..host.errors import InvalidError, NotFoundError
from ..host.threads import offload, offload_long
from ..storage.images import Image
from . import copyup, defaults, imagemounts, modecheck, mounts, netlinks, spec, speccheck
from .context import Context
from .names import new_id, random_name
from .types import Container, Json

# What Docker calls an OCI runtime that is nothing special.
_RUNTIMES = ("runc", "crun", "io.containerd.runc.v2")


async def create(
    context: Context,
    name: str | None,
    config: Json,
    host: Json,
    networking: Json,
    *,
    image: Image | None = None,
    build: str = "",
    saved: str | None = None,
) -> tuple[Container, list[str]]:
    """Create a container from Docker's create request: (it, warnings for the user).

    A step of a build has an `image` that is in no store, and the id of its `build`. The writable
    layer is empty, or a copy of the one `saved` (an id of `storage.savedlayers`). Raises
    NotFoundError when the image is not here, InvalidError or ConflictError for what is wrong with
    the request; nothing is left behind then.
    """
    image_ref: str = config.get("Image") or ""
    if image is None:
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
        build=build,
    )
    modecheck.check_asked(config, container.host_config)
    asked = container.config.pop("Runtime", None)  # docker-py has it here
    _choose_runtime(context, container.host_config, asked)
    container.config["Hostname"] = container.config["Hostname"] or _hostname(container)
    if container.config.pop("NetworkDisabled", False):
        container.host_config["NetworkMode"] = "none"
    try:
        wanted, warnings = await offload(_check, container)
        images = await offload(imagemounts.resolve, context.store, wanted)
        _check_shared(context, container.host_config)
        inherited = _inherited(context, container)
        netlinks.bind(context.roster, container)
        warnings += context.networks.check(container, networking.get("EndpointsConfig") or {})
    except NotFoundError as error:
        # The docker command takes a 404 here for a missing image, and would pull it.
        raise InvalidError(str(error)) from error
    async with AsyncExitStack() as undo:
        undo.push_async_callback(discard, context, container)
        await context.roster.add(container)
        fill = await _mounts(context, container, wanted, inherited, images)
        await offload(context.store.snapshots.create, key, image.diff_ids)
        if saved is not None:
            await offload_long(context.store.saved.restore, saved, key)
        await _fill(context, container, fill)
        # A row without this folder is a creation that a crash cut short: it is undone.
        await offload(_make_folder, container, context.roster.saving(container))
        undo.pop_all()
    context.live(container).clean = True
    context.emit(container, "create")
    return container, warnings


def _choose_runtime(context: Context, host: Json, asked: str | None) -> None:
    """Note the runtime: the engine has one, and Docker's names for the usual one mean that.

    Raises InvalidError in Docker's words for another.
    """
    own = context.runtime.name
    host["Runtime"] = host["Runtime"] or asked or own
    if host["Runtime"] not in (own, *_RUNTIMES):
        raise InvalidError(
            f"unknown or invalid runtime name: {host['Runtime']}: this engine runs {own}"
        )


def _hostname(container: Container) -> str:
    if container.host_config["NetworkMode"] == "host" or container.host_config["UTSMode"] == "host":
        return os.uname().nodename
    return container.id[:12]


def _check(container: Container) -> tuple[list[mounts.Wanted], list[str]]:
    """What it wants mounted, and warnings for the user; blocks."""
    wanted = mounts.parse(container.host_config, container.config.get("Volumes"))
    return wanted, speccheck.check(container)


def _make_folder(container: Container, save: Callable[[], None]) -> None:
    save()
    container.bundle.mkdir(mode=0o700, parents=True)
    for name in ("hostname", "hosts", "resolv.conf"):
        (container.bundle / name).touch(mode=0o644)


def _check_shared(context: Context, host: Json) -> None:
    """The containers whose namespaces it joins are here. Raises NotFoundError."""
    for key in ("PidMode", "IpcMode"):
        word, _, ref = host[key].partition(":")
        if word == "container":
            context.roster.find(ref)


def _inherited(context: Context, container: Container) -> list[Json]:
    """The mount points of the containers of `--volumes-from`, the last one winning a target."""
    points: dict[str, Json] = {}
    for item in container.host_config["VolumesFrom"] or []:
        ref, mode = mounts.parse_volumes_from(item)
        for point in mounts.inherit(context.roster.find(ref).mounts, mode):
            points[point["Destination"]] = point
    return list(points.values())


async def _mounts(
    context: Context,
    container: Container,
    wanted: list[mounts.Wanted],
    inherited: list[Json],
    images: dict[str, Image],
) -> list[tuple[str, Path]]:
    """Make or find each volume and folder that is wanted, and fill in the mount points.

    Gives (target, folder) of each volume that the image's content is to be copied into.
    """
    own = {item.target for item in wanted if item.source or item.kind == "tmpfs"}
    kept = [point for point in inherited if point["Destination"] not in own]
    taken = {point["Destination"] for point in kept}
    fill: list[tuple[str, Path]] = []
    for item in wanted:
        if item.target in taken:
            continue
        if item.kind == "image":
            image = images[item.target]
            await offload(imagemounts.add, context.store, container, item, image)
            continue
        if item.kind != "volume":
            if item.create_source:
                await offload(_make_source, item.source)
            container.mounts.append(item.point())
            continue
        name = item.source
        if not name:
            # In the row before it is made: what undoes a creation after a crash must know it.
            name = secrets.token_hex(32)
            container.anonymous_volumes.append(name)
            await context.roster.save(container)
        volume = await context.volumes.ensure(
            name,
            item.options.get("Labels") or {},
            (item.options.get("DriverConfig") or {}).get("Options") or {},
            anonymous=not item.source,
        )
        point = item.point(str(volume.path), volume.name)
        container.mounts.append(point)
        if item.copy:
            fill.append((item.target, volume.path))
    container.mounts += kept
    return fill


def _make_source(path: str) -> None:
    try:
        os.makedirs(path, 0o755, exist_ok=True)
    except FileExistsError:
        return  # a file, a socket, a device: bound as it is
    except OSError as error:
        raise InvalidError(
            f"error while creating mount source path '{path}': {error.strerror}"
        ) from error


async def _fill(context: Context, container: Container, fill: list[tuple[str, Path]]) -> None:
    """Fill each empty volume from what the image has at its destination, and make the working
    folder that the image lacks: as Docker does, for whoever copies files to it before the start.
    """
    snapshots, workdir = context.store.snapshots, container.config["WorkingDir"]
    empty = [pair for pair in fill if await offload(copyup.is_due, pair[1])]
    missing = bool(workdir) and not await offload(snapshots.shows, container.id, workdir)
    if not empty and not missing:
        return
    rootfs = await offload(snapshots.mount, container.id)
    try:
        for target, folder in empty:
            await offload_long(copyup.copy_up, rootfs, target, folder)
        if missing:
            await offload(spec.make_workdir, rootfs, workdir)
    finally:
        await offload(snapshots.unmount, container.id)


async def discard(context: Context, container: Container) -> None:
    """Undo of a creation that failed: all its parts, the row last."""
    for key in (container.id, *container.mounted_images):
        await offload_long(context.store.snapshots.remove, key)
    await offload(files.remove_tree, container.bundle)
    for name in container.anonymous_volumes:
        try:
            await context.volumes.remove(name, ignore=container.id)
        except NotFoundError:
            continue
    await context.roster.drop(container)
