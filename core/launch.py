"""Starting a container: from a row in the journal to a running process, each step with its undo.

The journal says "starting" before the first step and "running" after the last; what a crash
between them leaves is undone by `core.reconcile`.
"""

from __future__ import annotations

import shutil
import time
from collections.abc import Callable
from contextlib import AsyncExitStack
from pathlib import Path

from ..host import cgroups, files, migration, process
from ..host.errors import ConflictError, NotFoundError, RuntimeFailedError, sentence
from ..host.threads import complete, offload, together
from . import conmon, etcfiles, imagemounts, logconfig, shm, spec, subpaths
from .console import Console
from .context import Context, cgroup_path
from .options import Options
from .types import Container, Json


async def launch(context: Context, container: Container) -> None:
    """Start `container`'s process; the caller holds its lock. The state is running afterwards.

    Raises what the failing step raised, with every earlier one undone and the error noted in the
    container's state. RuntimeFailedError has the exit code Docker gives for it.
    """
    live = context.live(container)
    state = container.state
    container.phase = "starting"
    container.boot = context.boot
    state.pid = state.pid_started = 0
    live.clean = False
    try:
        async with AsyncExitStack() as undo:
            with migration.hurried():
                pid = await _create(context, container, undo)
            await _start(context, container, pid, undo)
            undo.pop_all()
    except BaseException as error:
        container.phase = ""
        state.pid = state.pid_started = 0
        state.error = sentence(error) if isinstance(error, OSError) else str(error)
        state.exit_code = error.code if isinstance(error, RuntimeFailedError) else 128
        state.status = "created" if not state.started else "exited"
        await context.roster.save(container)
        raise


async def _create(context: Context, container: Container, undo: AsyncExitStack) -> int:
    """Up to a process that waits for its start: its pid.

    What needs nothing of each other is done side by side, and few threads are asked: waking one
    and coming back is 0.2 ms on a quiet machine, and many times that on a busy one.
    """
    options = context.options
    creation = conmon.Creation(context.runtime, _launch(context, container))
    undo.push_async_callback(offload, context.store.snapshots.unmount, container.id)
    undo.push_async_callback(offload, imagemounts.unmount, context.store, container)
    undo.push_async_callback(context.networks.leave, container.id)
    undo.push_async_callback(offload, shm.remove, options, container.id)
    undo.push_async_callback(offload, subpaths.remove, options, container.id)
    undo.push_async_callback(offload, cgroups.remove, cgroup_path(options, container))
    undo.push_async_callback(_delete, context, container)
    undo.push_async_callback(creation.abort)
    donor = _donor(context, container)
    pid_ns = _namespace(context, container, "PidMode", "pid")
    ipc_ns = _namespace(context, container, "IpcMode", "ipc")
    rootfs = await complete(_mount, context, container, context.roster.saving(container))
    netns, _ = await together(context.networks.join(container), migration.outside(creation.spawn))
    size = _console_size(container)

    def write() -> None:
        etcfiles.write(container, options)
        request = spec.SpecRequest(
            container=container,
            image_config=_image_config(context, container),
            rootfs=rootfs,
            netns=netns,
            cgroup_path=cgroup_path(options, container),
            shm=_shared_memory(options, container, donor),
            bound=subpaths.make(options, container),
            pid_ns=pid_ns,
            ipc_ns=ipc_ns,
        )
        document = spec.build(request)
        if container.tty and size and "process" in document:
            document["process"]["consoleSize"] = {"height": size[0], "width": size[1]}
        shutil.rmtree(container.bundle / "execs", ignore_errors=True)
        creation.write(document)

    await complete(write)
    return await creation.finish()


async def _start(context: Context, container: Container, pid: int, undo: AsyncExitStack) -> None:
    live, state = context.live(container), container.state
    console = await Console.open(
        container.bundle, container.tty, bool(container.config["StdinOnce"])
    )
    undo.callback(console.close)
    state.pid, state.pid_started = pid, process.start_time(pid)
    known = context.roster.saving(container)
    if container.tty and (size := _console_size(container)):
        await console.resize(*size)
    live.console = console
    undo.callback(setattr, live, "console", None)
    for bind in live.pending:
        bind(console)
    live.pending.clear()

    # Taken before the start: a short process ends before the runtime has answered.
    begun = time.time_ns()
    await context.runtime.start(container.id, first=known)
    state.status, state.error, state.exit_code = "running", "", 0
    state.oom_killed = False
    state.started = begun  # when it last ended stays, as in Docker
    container.phase = ""
    live.exited.clear()
    await context.roster.save(container)


def _launch(context: Context, container: Container) -> conmon.Launch:
    return conmon.Launch(
        id=container.id,
        name=container.name,
        bundle=container.bundle,
        tty=container.tty,
        stdin_open=bool(container.config["OpenStdin"]),
        stdin_once=bool(container.config["StdinOnce"]),
        log_path=logconfig.path(container),
        exit_dir=context.options.run_root / "exits",
    )


def _mount(context: Context, container: Container, save: Callable[[], None]) -> Path:
    """Write the row, then mount the root, and the volumes and images that are mounts; blocks."""
    save()
    for point in container.mounts:
        if point["Type"] == "volume":
            # A volume with driver options is itself a mount; after a reboot it is none yet.
            context.store.volumes.mount(point["Name"])
    imagemounts.mount(context.store, container)
    return context.store.snapshots.mount(container.id)


async def _delete(context: Context, container: Container) -> None:
    """Undo of the creation: the runtime's container goes, started or not."""
    await context.runtime.delete(container.id, force=True)
    await offload(files.unlink, context.options.run_root / "exits" / container.id)


def _image_config(context: Context, container: Container) -> Json:
    """The OCI config of its image; what the container needs of it, it has since its creation."""
    try:
        return context.store.images.get(container.image).config
    except NotFoundError:
        return {}  # removed by force meanwhile


def _console_size(container: Container) -> tuple[int, int] | None:
    size = container.host_config.get("ConsoleSize") or [0, 0]
    return (size[0], size[1]) if size[0] and size[1] else None


def _donor(context: Context, container: Container) -> Container | None:
    """The container whose /dev/shm this one is to have. Raises NotFoundError."""
    mode = str(container.host_config["IpcMode"])
    if not mode.startswith("container:"):
        return None
    return context.roster.find(mode.partition(":")[2])


def _shared_memory(options: Options, container: Container, donor: Container | None) -> Path | None:
    """The folder on the host that is its /dev/shm, when it shares that with others; blocks.

    Raises ConflictError when the container to share with does not share.
    """
    if container.host_config["IpcMode"] == "shareable":
        return shm.make(options, container.id, container.host_config["ShmSize"])
    if donor is None:
        return None
    if donor.host_config["IpcMode"] == "host":
        return Path("/dev/shm")
    folder = shm.folder(options, donor.id)
    if not folder.is_mount():
        raise ConflictError(
            f"cannot join IPC of container {donor.name}: non-shareable IPC "
            "(hint: use IpcMode:shareable for the donor container)"
        )
    return folder


def _namespace(context: Context, container: Container, mode: str, kind: str) -> str | None:
    """The namespace file of another container this one shares, for `container:NAME` modes.

    Raises NotFoundError, or ConflictError when the other one does not run.
    """
    value: str = container.host_config.get(mode) or ""
    if not value.startswith("container:"):
        return None
    try:
        other = context.roster.find(value.partition(":")[2])
    except NotFoundError as error:
        raise NotFoundError(f"cannot join {kind} namespace: {error}") from error
    if not other.state.running:
        raise ConflictError(
            f"cannot join {kind} namespace of container {other.name}: it is not running"
        )
    return f"/proc/{other.state.pid}/ns/{kind}"
