"""RUN: a container over the stage's layers; what it wrote is the next layer."""

from __future__ import annotations

import asyncio
import codecs
import os
import stat
from collections.abc import Iterator
from contextlib import AsyncExitStack
from pathlib import Path

from ...host import clock, syscalls
from ...host.errors import NoSpaceError, NotFoundError
from ...host.inroot import below_root
from ...host.threads import offload, offload_long
from ...storage import treetar
from ...storage.images import Image
from .. import creation, removal
from ..attachment import Attachment
from ..containers import Containers
from ..types import Container, Json
from .below import Below
from .cached import Wanted
from .clamping import clamped
from .job import Job
from .report import Step
from .request import BuildFailedError
from .runmounts import Prepared
from .state import State, short

# Of one step; a build that prints more is read on, and no longer shown.
_MOST_OUTPUT = 16 << 20


class Run:
    """One RUN, its flags read and its mounts prepared.

    `arguments` is the command, `shown` how Docker's message of a failure names it, `environment`
    what it sees beside the stage's own variables, of which `quiet` are no part of the key.
    """

    def __init__(
        self,
        job: Job,
        containers: Containers,
        state: State,
        arguments: list[str],
        environment: dict[str, str],
        quiet: dict[str, str],
        network: str,
        mounts: Prepared,
    ) -> None:
        self._job = job
        self._containers = containers
        self._state = state
        self._arguments = arguments
        self._environment = environment
        self._quiet = quiet
        self._network = job.request.network if network == "default" else network
        self._mounts = mounts

    def wanted(self, text: str, first: bool) -> Wanted:
        """What its result depends on."""
        config = self._state.config
        env = dict(item.partition("=")[::2] for item in config.get("Env") or [])
        parts: Json = {
            "kind": "RUN",
            "base": self._state.chain(),
            "command": self._arguments,
            "arguments": short(self._environment),
            "environment": short(env),
            "user": config.get("User") or "",
            "workdir": config.get("WorkingDir") or "",
            "mounts": self._mounts.key,
            "network": self._network,
            "hosts": self._job.request.host.get("ExtraHosts") or [],
            "epoch": self._job.request.epoch(),
        }
        return Wanted(text, parts, first=first)

    async def make(self, step: Step) -> str | None:
        """Run it: the DiffID of what it wrote, None for nothing. Raises BuildFailedError."""
        store, job = self._job.context.store, self._job
        below = Below([store.layers.path(diff_id) for diff_id in self._state.diff_ids])
        async with AsyncExitStack() as undo:
            mounts = await self._mounts.enter(undo)
            container = await self._create(mounts)
            undo.push_async_callback(self._remove, container)
            step.running(container.id)
            await self._execute(container, step)
            await offload(_clear_targets, store.snapshots.upper(container.id), below, mounts)
            diff_id = await job.work(_layer, job, container.id)
        return diff_id

    async def _create(self, mounts: list[Json]) -> Container:
        state, request = self._state, self._job.request
        environment = {**self._quiet, **self._environment, **self._mounts.environment}
        config: Json = {
            # What is shown of it: it comes from no image that has a name.
            "Image": self._state.chain()[:12],
            "Cmd": self._arguments,
            "Entrypoint": [],
            "Env": [f"{name}={value}" for name, value in environment.items()],
            "Labels": {"com.bayplan.build": self._job.id},
        }
        own = {key: state.config[key] for key in ("Env", "User", "WorkingDir")
               if state.config.get(key)}  # fmt: skip
        host: Json = {
            **request.host,
            "NetworkMode": self._network,
            "LogConfig": {"Type": "none"},
            "Mounts": mounts,
        }
        image = Image("", {"config": own}, tuple(state.diff_ids), 0, clock.ZERO, None, 0)
        making = asyncio.ensure_future(
            creation.create(
                self._job.context, None, config, host, {}, image=image, build=self._job.id
            )
        )
        try:
            made, _ = await asyncio.shield(making)
        except asyncio.CancelledError:
            # What is made in threads cannot be stopped half-way: it is undone once it is there.
            done = (await asyncio.gather(making, return_exceptions=True))[0]
            if not isinstance(done, BaseException):
                await self._remove(done[0])
            raise
        return made

    async def _execute(self, container: Container, step: Step) -> None:
        attachment = self._containers.attach(container.id, stdin=False, stdout=True, stderr=True)
        following = asyncio.create_task(_follow(attachment, step))
        try:
            waiting = self._containers.wait(container.id, "next-exit")
            await self._containers.start(container.id)
            code, error = await waiting
            await self._job.context.live(container).exited.wait()
            await following
        finally:
            attachment.close()
            following.cancel()
            await asyncio.gather(following, return_exceptions=True)
        if code != 0:
            shown = " ".join(self._arguments)
            reason = f": {error}" if error else ""
            raise BuildFailedError(
                f"The command '{shown}' returned a non-zero code: {code}{reason}", code
            )

    async def _remove(self, container: Container) -> None:
        context = self._job.context
        try:
            await removal.remove(context, container, force=True, volumes=True)
        except NotFoundError:
            pass
        except NoSpaceError:
            # Once more, when what was deleted meanwhile has made some room.
            await offload_long(context.store.trash.drain)
            await removal.remove(context, container, force=True, volumes=True)


async def _follow(attachment: Attachment, step: Step) -> None:
    decoders = {n: codecs.getincrementaldecoder("utf-8")("replace") for n in (1, 2)}
    left = _MOST_OUTPUT
    while (packet := await attachment.read()) is not None:
        text = decoders[packet[0]].decode(packet[1])
        if left <= 0 or not text:
            continue
        left -= len(text)
        # What a slow client has not taken waits in the engine's memory.
        clipped = "" if left > 0 else "\n[output clipped: over 16 MiB]\n"
        step.log(text + clipped, error=packet[0] == 2)


def _layer(job: Job, snapshot: str) -> str | None:
    """What a container wrote as a layer; None when there is nothing. Blocks."""
    store = job.context.store
    upper = store.snapshots.upper(snapshot)
    if not any(os.scandir(upper)):
        return None
    chunks = clamped(treetar.layer(upper), job.latest())

    def watched() -> Iterator[bytes]:
        for chunk in chunks:
            job.cancel.check()
            yield chunk

    return store.layers.apply(None, watched()).diff_id


def _clear_targets(upper: Path, below: Below, mounts: list[Json]) -> None:
    """Take away the places that the runtime made for mounts, unless the stage has them."""
    for mount in mounts:
        path = below_root(mount["Target"])
        while path:
            raw = os.fsencode(path)
            if below.lstat(below.real(raw)) is not None:
                break
            if not _cleared(upper, below.real(raw)):
                break
            path = os.path.dirname(path)


def _cleared(upper: Path, path: bytes) -> bool:
    """Take away an empty folder or file; False when it is not there, or not what was made.

    No link is followed: one that the command put in the way would lead to files of the host.
    """
    above, _, name = path.rpartition(b"/")
    rule = syscalls.RESOLVE_BENEATH | syscalls.RESOLVE_NO_SYMLINKS
    flags = os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC
    try:
        root = os.open(upper, flags)
        try:
            folder = syscalls.openat2(root, above or b".", flags, resolve=rule)
        finally:
            os.close(root)
        try:
            found = os.stat(name, dir_fd=folder, follow_symlinks=False)
            if stat.S_ISDIR(found.st_mode):
                os.rmdir(name, dir_fd=folder)
            elif stat.S_ISREG(found.st_mode) and not found.st_size:
                os.unlink(name, dir_fd=folder)
        finally:
            os.close(folder)
    except OSError:
        return False
    return True
