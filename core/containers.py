"""The engine's containers: every verb of the API, by a name, an id or the start of one."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator

from ..host import clock, process
from ..host.errors import BayError, ConflictError, InvalidError, NotFoundError
from ..host.threads import offload, offload_long
from . import (
    creation,
    inspection,
    listing,
    logconfig,
    netlinks,
    pathcopy,
    removal,
    top,
    update,
    waits,
)
from . import logs as logging
from .attachment import Attachment
from .context import Context
from .filters import Filters
from .lifecycle import Lifecycle
from .logs import LogEntry
from .types import Container, Json

# Seconds after a start within which a process may not have said anything yet.
_JUST_NOW = 0.15
# Rows made in one turn of the event loop, which has other work: 0.1 ms each.
_AT_ONCE = 50


class Containers:
    """Docker's container verbs. `ref` is a name, an id, or a prefix of one id.

    Every method raises NotFoundError("No such container: …") for a `ref` that means none.
    """

    def __init__(self, context: Context, lifecycle: Lifecycle) -> None:
        self._context = context
        self._lifecycle = lifecycle

    def get(self, ref: str) -> Container:
        """The container `ref` means."""
        return self._context.roster.find(ref)

    def all(self) -> list[Container]:
        """Every container, oldest first."""
        return self._context.roster.all()

    async def create(
        self,
        name: str | None,
        config: Json,
        host_config: Json,
        networking: Json,
        platform: str | None = None,
    ) -> tuple[str, list[str]]:
        """Make a container: (its id, warnings). See `creation.create`."""
        if platform:
            await self._context.images.check_platform(config.get("Image") or "", platform)
        container, warnings = await creation.create(
            self._context, name, config, host_config, networking
        )
        return container.id, warnings

    async def start(self, ref: str) -> None:
        """Start it; NotModifiedError when it runs."""
        await self._lifecycle.start(self.get(ref))

    async def stop(self, ref: str, timeout: int | None = None, signal: str | None = None) -> None:
        """Stop it, by force after `timeout` seconds; NotModifiedError when nothing runs."""
        await self._lifecycle.stop(self.get(ref), timeout, signal)

    async def restart(
        self, ref: str, timeout: int | None = None, signal: str | None = None
    ) -> None:
        """Stop it if it runs, then start it."""
        await self._lifecycle.restart(self.get(ref), timeout, signal)

    async def kill(self, ref: str, signal: str = "SIGKILL") -> None:
        """Send it a signal; ConflictError when nothing runs."""
        try:
            container = self.get(ref)
        except NotFoundError as error:
            raise NotFoundError(f"Cannot kill container: {ref}: {error}") from None
        await self._lifecycle.kill(container, signal)

    async def pause(self, ref: str) -> None:
        """Freeze it."""
        await self._lifecycle.pause(self.get(ref))

    async def unpause(self, ref: str) -> None:
        """Let it go on."""
        await self._lifecycle.unpause(self.get(ref))

    async def rename(self, ref: str, new: str) -> None:
        """Give it another name; ConflictError when that is taken."""
        container = self.get(ref)
        old, new = container.name, new.removeprefix("/")
        if new == old:
            raise InvalidError("Renaming a container with the same name as its current name")
        try:
            await self._context.roster.rename(container, new)
        except (ConflictError, InvalidError) as error:
            told = str(error).replace(f"({new})", f"(/{new})")
            raise type(error)(f"Error when allocating new name: {told}") from error
        self._context.networks.renamed(container)
        await self._context.roster.save(container)
        self._context.emit(container, "rename", oldName=f"/{old}")

    async def remove(self, ref: str, force: bool = False, volumes: bool = False) -> None:
        """Remove it; ConflictError when it runs and `force` is not set."""
        await removal.remove(self._context, self.get(ref), force, volumes)

    async def remove_link(self, ref: str, alias: str) -> None:
        """Take away the legacy link `alias` that it has to another."""
        container = self.get(ref)
        context = self._context
        await netlinks.remove(context.roster, container, alias, context.options)

    async def update(self, ref: str, wanted: Json) -> Json:
        """Change limits and restart policy, also while it runs: Docker's `{"Warnings": …}`."""
        return await update.update(self._context, self.get(ref), wanted)

    async def prune(self, filters: Filters) -> Json:
        """Remove what does not run and matches: Docker's prune report."""
        deleted, freed = [], 0
        for container in listing.prunable(self.all(), filters):
            size = await offload_long(self._context.store.snapshots.size, container.id)
            saved = await offload(self._context.store.saved.of, container.id)
            size += sum(one.size for one in saved)
            try:
                await removal.remove(self._context, container, force=False, volumes=False)
            except BayError:
                continue  # started, or removed by another, meanwhile
            deleted.append(container.id)
            freed += size
        self._context.events.emit("container", "prune", "", {"reclaimed": str(freed)})
        return {"ContainersDeleted": deleted or None, "SpaceReclaimed": freed}

    def wait(self, ref: str, condition: str = "not-running") -> asyncio.Future[tuple[int, str]]:
        """A future of (exit code, error) for Docker's conditions; see `waits`."""
        container = self.get(ref)
        return waits.subscribe(container, self._context.live(container), condition or "not-running")

    def attach(
        self,
        ref: str,
        *,
        stdin: bool,
        stdout: bool,
        stderr: bool,
        logs: bool = False,
        stream: bool = True,
    ) -> Attachment:
        """Attach to its streams; one that does not run yet is waited for."""
        container = self.get(ref)
        live = self._context.live(container)
        streams = frozenset(number for number, on in ((1, stdout), (2, stderr)) if on)
        replay = None
        if logs:
            replay = logging.read(
                logconfig.readable(container),
                follow=False,
                since=0,
                until=0,
                tail=None,
                running=lambda: False,
            )
        attachment = Attachment(
            live,
            stdin=stdin and bool(container.config["OpenStdin"]),
            patient=live.console is None,
            streams=streams,
            logs=replay,
        )
        if stream:
            attachment.follow()
        else:
            attachment.end()
        self._context.emit(container, "attach")
        return attachment

    async def spoken(self, ref: str) -> None:
        """Wait a moment for the first words of a container that was started just now.

        `start` answers before the process does, and sooner than Docker's: who asks for the log
        next would find it empty.
        """
        container = self.get(ref)
        rest = _JUST_NOW - (time.time_ns() - container.state.started) / 1e9
        if container.state.running and rest > 0:
            with contextlib.suppress(TimeoutError):
                exited = self._context.live(container).exited
                await asyncio.wait_for(exited.wait(), min(rest, _JUST_NOW))

    def logs(
        self,
        ref: str,
        *,
        follow: bool = False,
        since: int = 0,
        until: int = 0,
        tail: int | None = None,
    ) -> AsyncIterator[LogEntry]:
        """Its log, oldest first; with `follow` until it ends. Times in ns, 0 for none."""
        container = self.get(ref)
        return logging.read(
            logconfig.readable(container),
            follow=follow,
            since=since,
            until=until,
            tail=tail,
            running=lambda: container.state.running and self._known(container),
            exit_file=self._context.options.run_root / "exits" / container.id,
        )

    def _known(self, container: Container) -> bool:
        return self._context.roster.get(container.id) is not None

    async def resize(self, ref: str, rows: int, columns: int) -> None:
        """Set its terminal's size. Raises ConflictError for one that does not run."""
        if rows < 0 or columns < 0:
            raise InvalidError(f"invalid terminal size {columns}x{rows}")
        container = self.get(ref)
        console = self._context.live(container).console
        if console is None:
            raise ConflictError(f"container {container.id} is not running")
        await console.resize(rows, columns)

    async def inspect(self, ref: str, size: bool = False) -> Json:
        """Docker's `ContainerJSON`."""
        container = self.get(ref)
        result = inspection.inspect(self._context, container)
        lowers = await offload(self._context.store.snapshots.lowers, container.id)
        result["GraphDriver"]["Data"]["LowerDir"] = ":".join(map(str, lowers))
        if size:
            result.update(await self._sizes(container))
        return result

    async def _sizes(self, container: Container) -> Json:
        written = await offload_long(self._context.store.snapshots.size, container.id)
        try:
            image = await offload(self._context.store.images.get, container.image)
            below = image.size
        except NotFoundError:
            below = 0
        return {"SizeRw": written, "SizeRootFs": written + below}

    async def summaries(
        self,
        all: bool = False,  # noqa: A002 - Docker's name for it
        limit: int | None = None,
        size: bool = False,
        filters: Filters | None = None,
    ) -> list[Json]:
        """The rows of `docker ps`, newest first."""
        # Off the loop: an `ancestor` filter reads the images' rows.
        chosen = await offload(
            listing.select, self._context, self.all(), all, limit or 0, filters or {}
        )
        rows = []
        links = netlinks.names(self._context.roster)
        for number, container in enumerate(chosen):
            if number % _AT_ONCE == _AT_ONCE - 1:
                await asyncio.sleep(0)  # a thousand rows take a tenth of a second
            row = inspection.summary(self._context, container, links)
            if size:
                row.update(await self._sizes(container))
            rows.append(row)
        return rows

    async def top(self, ref: str, arguments: str = "-ef") -> Json:
        """Its processes as `ps` with `arguments` shows them: titles and rows."""
        return await top.top(self._context, self.get(ref), arguments)

    async def changes(self, ref: str) -> list[Json]:
        """What its writable layer changes: Docker's `[{"Path", "Kind"}]`."""
        container = self.get(ref)
        found = await offload_long(self._context.store.snapshots.changes, container.id)
        return [{"Path": change.path, "Kind": change.kind} for change in found]

    async def stat_path(self, ref: str, path: str) -> Json:
        """What is at `path`: Docker's `ContainerPathStat`."""
        return await pathcopy.stat_path(self._context, self.get(ref), path)

    async def get_archive(self, ref: str, path: str) -> tuple[Json, AsyncIterator[bytes]]:
        """`stat_path` and a tar of what is there; see `pathcopy`."""
        container = self.get(ref)
        found = await pathcopy.get_archive(self._context, container, path)
        self._context.emit(container, "archive-path")
        return found

    async def put_archive(
        self,
        ref: str,
        path: str,
        chunks: AsyncIterator[bytes],
        *,
        no_overwrite: bool = False,
        copy_owner: bool = False,
    ) -> None:
        """Unpack a tar into the folder `path`; see `pathcopy`."""
        container = self.get(ref)
        await pathcopy.put_archive(
            self._context,
            container,
            path,
            chunks,
            no_overwrite=no_overwrite,
            copy_owner=copy_owner,
        )
        self._context.emit(container, "extract-to-dir")

    def export(self, ref: str) -> AsyncIterator[bytes]:
        """Its files as a tar, without what is mounted into it. To be closed when left early."""
        container = self.get(ref)
        self._context.emit(container, "export")
        return pathcopy.export(self._context, container)

    async def commit(
        self,
        ref: str,
        *,
        repo: str = "",
        tag: str = "",
        author: str = "",
        message: str = "",
        changes: list[str] | None = None,
        config: Json | None = None,
        pause: bool = True,
    ) -> str:
        """Make an image of it, paused meanwhile unless `pause` is off: the image's id."""
        container = self.get(ref)
        hold = pause and container.state.status == "running"
        if hold:
            try:
                await self._lifecycle.pause(container, hold=True)
            except BayError:
                # It may have ended by itself: then nothing is left to hold still.
                if process.is_alive(container.state.pid, container.state.pid_started):
                    raise
                hold = False
        try:
            image = await self._context.images.commit(
                container,
                repo=repo,
                tag=tag,
                author=author,
                message=message,
                changes=changes or [],
                config=config,
            )
            name = f"{repo}:{tag or 'latest'}" if repo else ""
            self._context.emit(container, "commit", comment=message, imageID=image, imageRef=name)
        finally:
            if hold and container.state.status == "paused":
                await self._lifecycle.unpause(container)
        return image


def since_ns(text: str) -> int:
    """Docker's `since`/`until`: seconds with a fraction since 1970, or RFC 3339; as ns."""
    if not text or text == "0":
        return 0
    try:
        whole, _, fraction = text.partition(".")
        return int(whole) * 1_000_000_000 + int((fraction or "0")[:9].ljust(9, "0"))
    except ValueError:
        pass
    try:
        return clock.to_ns(text)
    except ValueError:
        raise InvalidError(f'invalid time "{text}": give seconds since 1970 or RFC 3339') from None
