"""From the end of a container's process to a container at rest.

The process is watched by pidfd; its exit code is in the file conmon writes to the exit folder a
moment later. Then the runtime's state, the network and the mount go, those who wait are told, and
the restart policy has its say.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import time
from collections.abc import Awaitable, Callable

from ..host import files, process
from ..host.errors import BayError, NotFoundError
from ..host.inotify import MOVED_TO, Inotify
from ..host.threads import offload, together
from . import conmon, imagemounts, restart, shm, subpaths
from .context import Context, cgroup_path, tell_volumes
from .runtimeerrors import lacking
from .types import Container

_log = logging.getLogger(__name__)

# Of a process whose supervisor died with it: nobody has its code.
UNKNOWN = 255
# The longest time between two ticks of the kernel's clock (CONFIG_HZ=100), in ns.
_TICK = 10_000_000
# Seconds for which the exit file is waited for once conmon has let go of its lock, and between two
# looks at that.
_PATIENCE, _LOOK = 0.1, 0.01
# Until the next try where there is no descriptor left.
SCARCE_SECONDS = 1.0
AfterExit = Callable[[Container], Awaitable[None]]


async def watch(context: Context, container: Container, after: AfterExit) -> None:
    """Wait for the running process of `container` to end, settle it, then call `after`.

    `after` is called without the lock: it may start the container again, or remove it.
    """
    live = context.live(container)
    await _ended(container.state.pid, container.state.pid_started)
    while True:
        try:
            code, finished, oom = await _verdict(context, container)
            break
        except OSError as error:  # out of descriptors: the code is still there when some are free
            _log.warning("%s: its exit code cannot be read yet: %s", container.name, error)
            await pause(SCARCE_SECONDS)
    async with live.lock:
        await settle(context, container, code, finished, oom, restarting=True)
    await after(container)


async def _ended(pid: int, started: int) -> None:
    """Until the process is gone, by pidfd: no polling, and no mistaking a reused pid for it."""
    while True:
        try:
            fd = os.pidfd_open(pid)
            break
        except ProcessLookupError:
            return
        except OSError as error:  # out of descriptors
            _log.warning("process %d cannot be watched yet: %s", pid, error)
            await pause(SCARCE_SECONDS)
    loop = asyncio.get_running_loop()
    gone = asyncio.Event()
    try:
        if not process.is_alive(pid, started):
            return
        loop.add_reader(fd, gone.set)
        await gone.wait()
    finally:
        loop.remove_reader(fd)
        os.close(fd)


async def _verdict(context: Context, container: Container) -> tuple[int, int, bool]:
    """(exit code, end in ns, whether out of memory) as conmon wrote them.

    conmon drains the output before it writes: for as long as it lives the file will come. Its
    lock is released just before the file appears, hence the last look after a pause.
    """
    path = context.options.run_root / "exits" / container.id
    written = asyncio.Event()

    def look(_mask: int, name: str) -> None:
        if name in (container.id, ""):
            written.set()

    watch = None
    with contextlib.suppress(OSError):  # over the host's limit of watches: it is looked for, too
        watch = Inotify.shared().watch(path.parent, MOVED_TO, look)
    try:
        patience = _PATIENCE
        while not path.exists() and patience > 0:
            if not conmon.is_held(container.bundle):
                patience -= _LOOK
            await pause(_LOOK, written)
    finally:
        if watch is not None:
            watch.close()
    return read_exit(context, container)


async def pause(seconds: float, written: asyncio.Event | None = None) -> None:
    """Give conmon that long to write; the kernel has no event for the release of a lock.

    No longer than until `written`, which is then cleared.
    """
    if written is None:
        await asyncio.sleep(seconds)
        return
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(seconds):
            await written.wait()
    written.clear()


def read_exit(context: Context, container: Container) -> tuple[int, int, bool]:
    """(exit code, end in ns, whether out of memory) from the exit file; blocks.

    Without a file the code is `UNKNOWN` and the time is now.
    """
    path = context.options.run_root / "exits" / container.id
    oom = (container.bundle / "oom").exists()
    try:
        return int(path.read_text(encoding="ascii")), path.stat().st_mtime_ns, oom
    except (FileNotFoundError, ValueError):
        return UNKNOWN, time.time_ns(), oom


async def settle(
    context: Context,
    container: Container,
    code: int,
    finished: int,
    oom: bool,
    restarting: bool = False,
) -> None:
    """Record that the process ended and clear what it used; the caller holds the lock.

    `restarting` says that the caller carries the restart policy out: then whoever waits for the
    end finds the container restarting, and does not remove it.
    """
    live, state = context.live(container), container.state
    if finished <= state.started:  # the kernel's coarse clock, which stamps the file, lags a tick
        finished = min(time.time_ns(), state.started + _TICK)
    state.status, state.exit_code, state.finished = "exited", code, finished
    state.oom_killed = oom
    state.pid = state.pid_started = 0
    if restarting and restart.wanted(container):
        state.status = "restarting"
    if code == UNKNOWN and not (context.options.run_root / "exits" / container.id).exists():
        full = lacking(context.options.run_root)
        why = full or "the container's supervisor (conmon) was killed"
        state.error = f"exit code unknown: {why}"
    container.phase = ""
    if live.health is not None:
        live.health.cancel()
        live.health = None
    if live.console is not None:
        live.console.close()
        live.console = None
    # On a full or failing disk the exit is known here all the same; after a crash it is read from
    # its file.
    try:
        await context.roster.save(container)
    except BayError as error:
        _log.warning("%s: its exit is not in the journal: %s", container.name, error)
    if oom:
        context.emit(container, "oom")
    seconds = max(0, finished - state.started) // 1_000_000_000
    context.emit(container, "die", exitCode=str(code), execDuration=str(seconds))
    tell_volumes(context, container, "unmount")
    live.settle(live.next_exit, code, state.error)
    try:
        await clear(context, container)
    except (BayError, OSError) as error:
        # The exit stands all the same; the next start or the removal clears again, and tells why.
        _log.warning("%s: what its last run used is still there: %s", container.name, error)
    finally:
        live.exited.set()


async def clear(context: Context, container: Container) -> None:
    """Take away what a run needs: runtime state, cgroup, network, mount, exit file. Idempotent."""
    context.execs.forget(container.id)
    # Without a pid namespace of its own a container's processes outlive its init: `force`.
    await together(
        context.runtime.delete(
            container.id, force=True, cgroup=cgroup_path(context.options, container)
        ),
        context.networks.leave(container.id),
        offload(_unmount, context, container, _own_volumes(context, container)),
    )
    await offload(files.unlink, context.options.run_root / "exits" / container.id)
    context.live(container).clean = True


def _unmount(context: Context, container: Container, volumes: set[str]) -> None:
    """Take away every mount of a run; blocks."""
    subpaths.remove(context.options, container.id)
    for name in volumes:
        with contextlib.suppress(NotFoundError):
            context.store.volumes.unmount(name)
    shm.remove(context.options, container.id)
    with contextlib.suppress(NotFoundError):  # a removal that a crash interrupted took it
        imagemounts.unmount(context.store, container)
        context.store.snapshots.unmount(container.id)


def _own_volumes(context: Context, container: Container) -> set[str]:
    """Volumes with driver options are mounts: away with those no running container uses."""
    own = {point["Name"] for point in container.mounts if point["Type"] == "volume"}
    for other in context.roster.all():
        if own and other.id != container.id and (other.state.running or other.phase):
            own -= {point["Name"] for point in other.mounts if point["Type"] == "volume"}
    return own


async def stop_tasks(context: Context) -> None:
    """End every watch, health check and pending restart; the containers run on."""
    tasks = [
        task
        for live in context.lives.all()
        for task in (live.watch, live.restart, live.health)
        if task is not None
    ]
    for task in tasks:
        task.cancel()
    for task in tasks:
        with contextlib.suppress(asyncio.CancelledError):
            await task
