"""Removing a container: its writable layer, its folder, its own volumes, its row.

The row says "removing" from the first step on and goes last, so that a crash anywhere between is
completed by `core.reconcile`.
"""

from __future__ import annotations

import contextlib

from ..host.errors import BayError, ConflictError, NoSpaceError, NotFoundError
from ..host.threads import offload, offload_long
from . import departure
from .context import Context
from .types import Container


async def remove(context: Context, container: Container, force: bool, volumes: bool) -> None:
    """Remove `container`; with `force` kill it first, with `volumes` its anonymous volumes too.

    Raises ConflictError when it runs and `force` is not given, or it is being removed already.
    """
    live, state = context.live(container), container.state
    if state.status == "removing":
        raise ConflictError(f"removal of container {container.name} is already in progress")
    while True:
        if container.phase == "starting":
            # What is being started runs in a moment: that decides.
            async with live.lock:
                pass
        _refuse_running(container, force)
        if live.restart is not None:
            live.restart.cancel()
            live.restart = None
        # Whoever watches must find it settled and not bring it back.
        container.user_stopped = True
        if state.running:
            await _end(context, container)
        async with live.lock:
            if context.roster.get(container.id) is None:
                return
            if not state.running:
                await finish(context, container, volumes)
                return


def _refuse_running(container: Container, force: bool) -> None:
    state = container.state
    if (state.running or state.status == "restarting") and not force:
        hint = (
            "unpause and then stop the container"
            if state.status == "paused"
            else "stop the container"
        )
        raise ConflictError(
            f'cannot remove container "/{container.name}": container is {state.status}: '
            f"{hint} before removing or force remove"
        )


async def _end(context: Context, container: Container) -> None:
    from .lifecycle import Lifecycle  # the two call each other

    live = context.live(container)
    live.keep = True
    with contextlib.suppress(ConflictError):
        await Lifecycle(context).kill(container, "SIGKILL")
    await live.exited.wait()


async def finish(context: Context, container: Container, volumes: bool) -> None:
    """The removal itself, of a container that does not run; repeatable. The caller has the lock.

    One that fails leaves the container dead, as Docker calls it: it can only be removed again.
    """
    container.state.status = "removing"
    try:
        try:
            await context.roster.save(container)
        except NoSpaceError:
            # Not even the journal can be written: what the container wrote makes the room.
            await offload_long(_make_room, context, container)
            await context.roster.save(container)
        await _clear_away(context, container, volumes)
    except (BayError, OSError) as error:
        container.state.status, container.state.error = "dead", str(error)
        with contextlib.suppress(NoSpaceError):
            await context.roster.save(container)
        raise
    live = context.live(container)
    live.settle(live.removal, container.state.exit_code, container.state.error)
    live.settle(live.next_exit, container.state.exit_code, container.state.error)
    context.emit(container, "destroy")
    context.lives.forget(container.id)


def _make_room(context: Context, container: Container) -> None:
    """Delete what a container wrote, ahead of its row; blocks until the space is free."""
    snapshots = context.store.snapshots
    with contextlib.suppress(NotFoundError):
        snapshots.unmount(container.id)
        context.store.trash.put(snapshots.upper(container.id))
        context.store.trash.drain()


def _discard(context: Context, container: Container) -> None:
    """Away with its writable layer and its folder, which are deleted behind; blocks."""
    store = context.store
    layers: list[str] = []
    for snapshot, image in ((container.id, container.image), *container.mounted_images.items()):
        if not store.images.has(image):
            # Removed by force before: the container was the last to need its layers.
            with contextlib.suppress(NotFoundError):
                layers += store.snapshots.diff_ids(snapshot)
        store.snapshots.remove(snapshot)
    store.trash.put(container.bundle)
    if layers:
        store.release(layers)


async def _clear_away(context: Context, container: Container, volumes: bool) -> None:
    if not context.live(container).clean:
        await departure.clear(context, container)
    await offload(_discard, context, container)
    if volumes:
        for name in container.anonymous_volumes:
            # Another container may use it by --volumes-from; then it stays.
            with contextlib.suppress(NotFoundError, ConflictError):
                await context.volumes.remove(name, ignore=container.id)
    await context.roster.drop(container)
