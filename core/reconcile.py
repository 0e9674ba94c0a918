"""At the engine's start: hold the journal against the world, and make them agree.

What runs is adopted. What ended meanwhile gets its exit code and time from the file conmon left.
What was half made or half removed is undone or completed. What no row speaks of is removed.
"""

from __future__ import annotations

import contextlib
import logging
import os
import signal
import time
from collections.abc import Awaitable
from pathlib import Path

from ..host import cgroups, files, process
from ..host.errors import BayError
from ..host.threads import offload, offload_long
from . import conmon, departure, imagemounts, removal, restart
from .console import Console
from .context import Context, cgroup_path
from .lifecycle import Lifecycle
from .types import Container

_log = logging.getLogger(__name__)

# How long the undo of a start waits for the end of those it has killed.
_UNDO_SECONDS = 10.0


async def reconcile(context: Context, lifecycle: Lifecycle) -> None:
    """Bring every container to rest or back under watch, then clear what belongs to none."""
    for container in context.roster.all():
        try:
            await _one(context, lifecycle, container)
        except (BayError, OSError) as error:
            _log.error("container %s could not be reconciled: %s", container.name, error)
            container.state.error = str(error)
    alive = {item.id for item in context.roster.all() if item.state.running}
    await context.networks.reconcile(alive)
    await _orphans(context, alive)


async def start_wanted(context: Context, lifecycle: Lifecycle) -> None:
    """Start what the restart policies want to run; called once everything else serves."""
    for container in context.roster.all():
        if container.state.status == "exited" and restart.wanted_at_boot(container):
            container.user_stopped = False
            lifecycle.schedule_restart(container, restart.FIRST)


async def _one(context: Context, lifecycle: Lifecycle, container: Container) -> None:
    state = container.state
    if state.status in ("removing", "dead"):
        # Whether it was `rm -v` is not known any more: data is kept, `volume prune` finds it.
        await removal.finish(context, container, volumes=bool(container.host_config["AutoRemove"]))
        return
    if not container.bundle.is_dir():
        # The crash was between the row and the folder: it never existed.
        await removal.finish(context, container, volumes=True)
        return
    if container.phase == "starting" or state.running:
        await _was_alive(context, lifecycle, container)
    elif state.status == "restarting":
        state.status = "exited"
        await departure.clear(context, container)
        await context.roster.save(container)
    if container.state.status == "exited" and container.host_config["AutoRemove"]:
        await removal.finish(context, container, volumes=True)


async def _was_alive(context: Context, lifecycle: Lifecycle, container: Container) -> None:
    state = container.state
    same_boot = container.boot == context.boot
    lives = same_boot and process.is_alive(state.pid, state.pid_started)
    if lives and (container.phase != "starting" or await _has_started(context, container)):
        await _adopt(context, lifecycle, container)
        return
    if container.phase == "starting" and lives:
        _log.warning("container %s was being started when the engine died", container.name)
        await _undo_start(context, container)
        return
    if container.phase == "starting" and not state.pid:
        await _undo_start(context, container)
        return
    await _record_exit(context, container)


async def _has_started(context: Context, container: Container) -> bool:
    status = await context.runtime.status(container.id)
    return status in ("running", "paused")


async def _adopt(context: Context, lifecycle: Lifecycle, container: Container) -> None:
    live, state = context.live(container), container.state
    paused = await _is_paused(context, container)
    if paused and container.phase == "held":
        await context.runtime.resume(container.id)
        paused = False
    state.status = "paused" if paused else "running"
    state.started = state.started or time.time_ns()
    container.phase = ""
    if await offload(conmon.is_held, container.bundle):
        live.console = await Console.open(
            container.bundle, container.tty, bool(container.config["StdinOnce"])
        )
    else:
        state.error = "degraded: its supervisor (conmon) was killed; output is no longer logged"
    await context.roster.save(container)
    lifecycle.adopt(container)


async def _is_paused(context: Context, container: Container) -> bool:
    """By the freezer: to ask the runtime is a process for each container, one after the other."""
    frozen = await offload(cgroups.is_frozen, cgroup_path(context.options, container))
    if frozen is None:
        return await context.runtime.status(container.id) == "paused"
    return frozen


async def _undo_start(context: Context, container: Container) -> None:
    """Take back a start that never reached its process; the container is as before it."""
    state = container.state
    limit = time.monotonic() + _UNDO_SECONDS
    while True:
        await offload(_kill_supervisor, container)
        await departure.clear(context, container)
        # Who still has its lock may be about to create the container.
        if not await offload(conmon.is_held, container.bundle) or time.monotonic() > limit:
            break
        await departure.pause(0.01)
    container.phase = ""
    state.pid = state.pid_started = 0
    if state.running:
        state.status = "exited"
    state.status = "exited" if state.started else "created"
    state.error = "the engine was killed while it started this container"
    await context.roster.save(container)


def _kill_supervisor(container: Container) -> None:
    """End a conmon whose engine died before it had told the pid: its container never starts.

    By its command: on a busy machine it may not have come to write its pid file, and then it would
    create the container behind our back.
    """
    mark = f"\0-c\0{container.id}\0".encode()
    for entry in os.listdir("/proc"):
        with contextlib.suppress(OSError, ValueError):
            command = Path(f"/proc/{int(entry)}/cmdline").read_bytes()
            if mark in command:
                os.kill(int(entry), signal.SIGKILL)


async def _record_exit(context: Context, container: Container) -> None:
    exit_file = context.options.run_root / "exits" / container.id
    if container.boot == context.boot and not exit_file.exists():
        # conmon may still be draining what the process wrote.
        for _ in range(500):
            if exit_file.exists() or not await offload(conmon.is_held, container.bundle):
                break
            await departure.pause(0.01)
    code, finished, oom = await offload(departure.read_exit, context, container)
    known = exit_file.exists()
    async with context.live(container).lock:
        await departure.settle(context, container, code, finished, oom)
    if not known:
        reason = (
            "its supervisor (conmon) was killed"
            if container.boot == context.boot
            else ("the host was restarted")
        )
        container.state.error = f"exit code unknown: {reason}"
        await context.roster.save(container)


def _cgroup_names(parent: str) -> set[str]:
    names: set[str] = set()
    for folder in cgroups.folders(parent):
        if folder.is_dir():
            names.update(entry.name for entry in folder.iterdir() if entry.is_dir())
    return names


async def _orphans(context: Context, alive: set[str]) -> None:
    """Folders, snapshots, cgroups and exit files that no row speaks of."""
    known = context.roster.ids()
    parent = context.options.cgroup_parent
    for name in await offload(_cgroup_names, parent):
        if name not in alive:
            await _away(offload(cgroups.kill, f"{parent}/{name}"))
            await _away(offload(cgroups.remove, f"{parent}/{name}"))
    for folder in (context.options.root / "containers").iterdir():
        if folder.name not in known:
            await _away(offload_long(files.remove_tree, folder))
    for key in await offload(context.store.snapshots.all):
        if imagemounts.owner(key) not in known:
            await _away(offload_long(context.store.snapshots.remove, key))
        elif imagemounts.owner(key) not in alive:
            await _away(offload(context.store.snapshots.unmount, key))
    for entry in (context.options.run_root / "exits").iterdir():
        if entry.name not in alive:
            await _away(offload(files.unlink, entry))


async def _away(removal: Awaitable[object]) -> None:
    """What cannot be taken away now is told and left: no reason for the engine not to start."""
    try:
        await removal
    except (BayError, OSError) as error:
        _log.warning("left over: %s", error)
