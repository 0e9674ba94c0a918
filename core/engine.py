"""The engine: opens everything, holds it, closes it. Containers run on without it."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import time
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack

from ..host import clock, files, migration, removing
from ..host.errors import ConflictError, NotFoundError
from ..host.threads import offload
from ..storage.starter import build_starter
from ..storage.store import Store
from . import departure
from .build.builder import Builder
from .check import Check
from .containers import Containers
from .context import Context
from .events import Events
from .execs import Execs
from .filters import Filters
from .images import Images
from .inside import Inside
from .layerviews import LayerViews
from .lifecycle import Lifecycle
from .live import Lives
from .logrotation import Rotation
from .networks import Networks
from .options import Options
from .pruning import Preview, leftovers
from .reconcile import reconcile, start_wanted
from .roster import Roster
from .runtime import Runtime
from .savedlayers import ContainerSnapshots
from .stats import Stats
from .types import Json
from .volumes import Volumes

_log = logging.getLogger(__name__)


class Engine:
    """One engine over one root. `open` makes it, `close` lets go of it.

    Lifecycle: store, journal, runtime, networks; then the reconciliation with what runs; then
    statistics. Closing stops no container: conmon holds each one's streams, log and exit code.
    """

    builder: Builder
    containers: Containers
    images: Images
    layers: LayerViews
    inside: Inside
    snapshots: ContainerSnapshots
    networks: Networks
    volumes: Volumes
    execs: Execs
    events: Events
    stats: Stats
    store: Store
    runtime: Runtime

    def __init__(self, options: Options) -> None:
        self.options = options
        self.started = time.time_ns()
        self._stack = AsyncExitStack()

    @classmethod
    async def open(cls, options: Options) -> Engine:
        """Open the engine and bring its containers back under watch.

        Raises BayError when the host lacks what it needs; nothing stays open then.
        """
        engine = cls(options)
        try:
            await engine._open()
        except BaseException:
            await engine._stack.aclose()
            raise
        return engine

    async def _open(self) -> None:
        options = self.options
        _make_folders(options)
        self.events = Events()
        self.store = await offload(Store.open, options.root)
        self._stack.push_async_callback(offload, self.store.close)
        roster = Roster(self.store.db, options.root / "containers")
        await offload(roster.load)
        found = await Runtime.probe(options.runtime, options.run_root, options.cgroup_parent)
        self.runtime = await offload(found.pin, options.run_root)
        self._stack.push_async_callback(self.runtime.close)
        self.networks = Networks(self.store.db, options, self.events, roster)
        self._stack.push_async_callback(self.networks.close)
        await self.networks.open()
        self.images = Images(self.store, options, self.events, roster.all)
        self._stack.callback(self.images.close)
        self.layers = LayerViews(self.store)
        self._stack.callback(self.layers.close)
        self.volumes = Volumes(self.store, self.events, roster.all)
        migration.warm()
        self.execs = Execs(self.runtime, options, self.events)
        context = Context(
            options=options,
            store=self.store,
            roster=roster,
            lives=Lives(),
            runtime=self.runtime,
            networks=self.networks,
            images=self.images,
            volumes=self.volumes,
            events=self.events,
            execs=self.execs,
            boot=clock.boot_id(),
        )
        lifecycle = Lifecycle(context)
        self.containers = Containers(context, lifecycle)
        self.inside = Inside(context)
        self._context = context
        self.snapshots = ContainerSnapshots(context, lifecycle)
        self._stack.push_async_callback(departure.stop_tasks, context)
        await reconcile(context, lifecycle)
        self.builder = Builder(context, self.containers)
        await self.builder.recover()
        self._stack.push_async_callback(self.builder.close)
        await self._ensure_starter()
        self.stats = Stats(options, roster.all, self.networks.live)
        self._stack.callback(self.stats.close)
        sampling = asyncio.create_task(self.stats.run(), name="stats")
        self._stack.push_async_callback(_cancel, sampling)
        rotating = asyncio.create_task(Rotation(roster.all).run(), name="log rotation")
        self._stack.push_async_callback(_cancel, rotating)
        await start_wanted(context, lifecycle)

    async def _ensure_starter(self) -> None:
        """The embedded image, once in the life of a root: who removed it does not want it."""
        marker = self.options.root / ".starter"
        if marker.exists():
            return
        image = await offload(build_starter, self.store)
        if image is not None:
            await offload(marker.touch)
            _log.info("built the starter image %s", image.id[7:19])

    async def info(self) -> Json:
        """Docker's `/info`."""
        from .info import info  # it reads the engine whole, as this module reads its parts

        return await info(self)

    async def version(self) -> Json:
        """Docker's `/version`."""
        from .info import version

        return await version(self)

    def check(self, repair: bool) -> AsyncIterator[Json]:
        """Read back all that is stored, told as it goes; see `Check.run`."""
        return Check(self._context, self.images.repairs).run(repair)

    async def prunable(self, kinds: list[str], everything: bool, filters: Filters) -> Json:
        """What a prune would remove; see `Preview.of`."""
        return await Preview(self._context, self.builder).of(kinds, everything, filters)

    async def leftovers(self) -> list[Json]:
        """Layers of no image and downloads cut short; see `pruning.leftovers`."""
        return await leftovers(self._context)

    async def purge(self) -> None:
        """Remove every container and all this engine made in the kernel; repeatable.

        The files of both roots stay: `purge_files` takes them once the engine is closed.
        """
        for container in self.containers.all():
            with contextlib.suppress(NotFoundError):  # with --rm it may have gone by itself
                await self.containers.remove(container.id, force=True, volumes=True)
        await self.networks.purge()

    async def close(self) -> None:
        """Let go of everything; the containers run on."""
        await self._stack.aclose()


def purge_files(options: Options) -> None:
    """Remove what both roots hold, and the roots; blocks. For an engine that is closed.

    Raises ConflictError when something is mounted below them, OSError when it can't be removed.
    """
    # A bind mount that is left would let the removal reach into the user's own files.
    for line in files.read_text("/proc/self/mountinfo").splitlines():
        point = line.split()[4].encode().decode("unicode_escape")
        if point.startswith((f"{options.root}/", f"{options.run_root}/")):
            raise ConflictError(f"{point} is still mounted: unmount it, then purge again")
    for folder in (options.run_root, options.root):
        while entries := list(folder.iterdir()):
            for entry in entries:
                removing.remove(entry, folder)
        # A root may be a mount point or a folder that the user made; empty is enough then.
        with contextlib.suppress(OSError):
            folder.rmdir()


async def _cancel(task: asyncio.Task[None]) -> None:
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)


def _make_folders(options: Options) -> None:
    """The engine's own folders, closed to everyone else as Docker's are."""
    options.root.mkdir(mode=0o711, parents=True, exist_ok=True)
    # Others must pass through to the socket, and conmon's terminals need a short, private path.
    options.run_root.mkdir(mode=0o711, parents=True, exist_ok=True)
    os.chmod(options.root, 0o711)
    (options.root / "containers").mkdir(mode=0o710, exist_ok=True)
    for name in ("exits", "netns", "runtime"):
        (options.run_root / name).mkdir(mode=0o700, exist_ok=True)
