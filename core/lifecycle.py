"""The moves of one container: start, stop, kill, pause, restart; and what follows an exit.

Every move holds the container's lock for its duration; a stop waits for the exit without it, so
that the exit itself can be recorded.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import signal

from ..host import cgroups, process
from ..host.errors import (
    BayError,
    ConflictError,
    NoSpaceError,
    NotModifiedError,
)
from ..host.threads import offload
from . import departure, health, launch, removal, restart
from .context import Context, cgroup_path, tell_volumes
from .signals import signal_number
from .types import Container

_log = logging.getLogger(__name__)


class Lifecycle:
    """Moves containers between created, running, paused, restarting and exited."""

    def __init__(self, context: Context) -> None:
        self._context = context

    async def start(self, container: Container) -> None:
        """Start a container that does not run.

        Raises NotModifiedError when it runs already, ConflictError when it is paused or being
        removed, and what `launch` raises.
        """
        live = self._context.live(container)
        self._cancel_restart(container)
        async with live.lock:
            self._check_startable(container)
            container.user_stopped = False
            container.restart_count = 0
            live.backoff = 0.0
            await self._launch(container)

    def _check_startable(self, container: Container) -> None:
        status = container.state.status
        if status == "paused":
            raise ConflictError("cannot start a paused container, try unpause instead")
        if status == "running":
            raise NotModifiedError(f"container {container.name} is already running")
        if status in ("removing", "dead"):
            raise ConflictError(
                f"container {container.name} is marked for removal and cannot be started"
            )

    async def _launch(self, container: Container) -> None:
        """Launch with events, and watch what was launched; the caller holds the lock."""
        context, live = self._context, self._context.live(container)
        try:
            await launch.launch(context, container)
        except Exception as error:
            context.emit(container, "die", exitCode=str(container.state.exit_code))
            live.settle(live.next_exit, container.state.exit_code, str(error))
            if container.host_config["AutoRemove"]:
                asyncio.get_running_loop().create_task(self._auto_remove(container))
            raise
        self.adopt(container)
        tell_volumes(context, container, "mount")
        context.emit(container, "start")

    def adopt(self, container: Container) -> None:
        """Watch a running container, and check its health if it says how."""
        live = self._context.live(container)
        live.exited.clear()
        live.watch = asyncio.create_task(
            departure.watch(self._context, container, self._after_exit),
            name=f"watch {container.name}",
        )
        live.health = health.start(self._context, container)

    async def _auto_remove(self, container: Container) -> None:
        with contextlib.suppress(BayError):
            await removal.remove(self._context, container, force=True, volumes=True)

    async def _after_exit(self, container: Container) -> None:
        """What follows an exit: a restart, a removal, or rest."""
        live = self._context.live(container)
        if container.state.running:
            return  # started again meanwhile
        if restart.wanted(container):
            live.backoff = restart.next_backoff(container, live.backoff)
            self.schedule_restart(container, live.backoff)
            return
        if container.state.status == "restarting":  # stopped by the user since its end
            container.state.status = "exited"
            with contextlib.suppress(BayError):
                await self._context.roster.save(container)
        if container.host_config["AutoRemove"] and not live.keep:
            await self._auto_remove(container)

    def schedule_restart(self, container: Container, delay: float) -> None:
        """Start the container after `delay` seconds, unless the user stops it before."""
        container.state.status = "restarting"
        live = self._context.live(container)
        live.restart = asyncio.create_task(
            self._restart_later(container, delay), name=f"restart {container.name}"
        )

    async def _restart_later(self, container: Container, delay: float) -> None:
        context, live = self._context, self._context.live(container)
        with contextlib.suppress(BayError):  # a full disk keeps nothing from running again
            await context.roster.save(container)
        await asyncio.sleep(delay)
        async with live.lock:
            live.restart = None
            if container.state.status != "restarting":
                return
            if container.user_stopped:
                container.state.status = "exited"
                with contextlib.suppress(BayError):
                    await context.roster.save(container)
                return
            container.restart_count += 1
            try:
                await self._launch(container)
                return
            except Exception as error:
                # Whatever it was, out of descriptors for one: the policy goes on trying.
                _log.warning("container %s could not be restarted: %s", container.name, error)
                container.state.status = "exited"
                again = restart.wanted(container)
        if again:
            live.backoff = restart.next_backoff(container, live.backoff)
            self.schedule_restart(container, live.backoff)

    def _cancel_restart(self, container: Container) -> None:
        live = self._context.live(container)
        if live.restart is not None:
            live.restart.cancel()
            live.restart = None
            if container.state.status == "restarting":
                container.state.status = "exited"

    async def stop(self, container: Container, timeout: int | None, name: str | None) -> None:
        """Ask the process to end, and after `timeout` seconds make it; -1 waits for ever.

        Raises NotModifiedError when nothing runs.
        """
        context, live = self._context, self._context.live(container)
        pending = container.state.status == "restarting"
        self._cancel_restart(container)
        if container.phase == "starting":
            # It runs in a moment, and that is what is meant.
            async with live.lock:
                pass
            self._cancel_restart(container)
        if not container.state.running:
            if pending:
                await self._note_stop(container)
                return
            raise NotModifiedError(f"container {container.name} is already stopped")
        number = signal_number(name or container.config.get("StopSignal") or "SIGTERM")
        if timeout is None:
            timeout = container.config.get("StopTimeout")
        timeout = 10 if timeout is None else timeout
        async with live.lock:
            # While this waited for the lock it may have ended by itself, and a restart be due.
            self._cancel_restart(container)
            await self._note_stop(container)
            if not container.state.running:
                return
            self._signal(container, number)
            if container.state.status == "paused":
                await context.runtime.resume(container.id)
                container.state.status = "running"
        context.emit(container, "kill", signal=str(number))
        if not await self._wait_exit(container, timeout):
            async with live.lock:
                self._signal(container, signal.SIGKILL)
                if container.state.status == "paused":  # meanwhile, by somebody else
                    await context.runtime.resume(container.id)
                    container.state.status = "running"
            context.emit(container, "kill", signal="9")
            if not await self._wait_exit(container, 10):
                await offload(cgroups.kill, cgroup_path(context.options, container))
                await live.exited.wait()
        context.emit(container, "stop")

    async def _note_stop(self, container: Container) -> None:
        """Save before the signal that a policy must not bring back what the user stopped.

        On a full disk it is known as long as this engine lives: who makes room must be able to.
        """
        container.user_stopped = True
        with contextlib.suppress(NoSpaceError):
            await self._context.roster.save(container)

    async def _wait_exit(self, container: Container, timeout: float) -> bool:
        live = self._context.live(container)
        try:
            await asyncio.wait_for(live.exited.wait(), None if timeout < 0 else timeout)
        except TimeoutError:
            return False
        return True

    def _signal(self, container: Container, number: int) -> None:
        process.send_signal(container.state.pid, container.state.pid_started, number)

    async def kill(self, container: Container, name: str) -> None:
        """Send a signal, by name or number. Raises ConflictError when nothing runs."""
        number = signal_number(name or "SIGKILL")
        context, live = self._context, self._context.live(container)
        async with live.lock:
            if not container.state.running:
                raise ConflictError(
                    f"Cannot kill container: {container.name}: "
                    f"container {container.id} is not running"
                )
            ends = {9, signal_number(container.config.get("StopSignal") or "SIGTERM")}
            if number in ends:
                await self._note_stop(container)
            self._signal(container, number)
            if container.state.status == "paused" and number == signal.SIGKILL:
                # A frozen process dies only once it is thawed (cgroup v1).
                await context.runtime.resume(container.id)
                container.state.status = "running"
        context.emit(container, "kill", signal=str(number))
        if number == signal.SIGKILL:
            await self._wait_exit(container, 10)

    async def restart(self, container: Container, timeout: int | None, name: str | None) -> None:
        """Stop if running, then start; when somebody else has started it meanwhile, that is it."""
        live = self._context.live(container)
        # One that removes itself must live through the pause between stop and start.
        live.keep = True
        try:
            with contextlib.suppress(NotModifiedError):
                await self.stop(container, timeout, name)
                if live.watch is not None:
                    await asyncio.shield(live.watch)  # others need it when our caller hangs up
            with contextlib.suppress(NotModifiedError):
                await self.start(container)
        finally:
            live.keep = False
        self._context.emit(container, "restart")

    async def pause(self, container: Container, hold: bool = False) -> None:
        """Freeze every process. Raises ConflictError unless it is running.

        `hold`: only while the engine does something with it, so that one that starts lets it go on.
        """
        async with self._context.live(container).lock:
            if container.state.status == "paused":
                raise ConflictError(f"Container {container.id} is already paused")
            self._check_running(container)
            container.phase = "held" if hold else ""
            if hold:
                await self._context.roster.save(container)
            await self._context.runtime.pause(container.id)
            container.state.status = "paused"
            await self._context.roster.save(container)
        self._context.emit(container, "pause")

    async def unpause(self, container: Container) -> None:
        """Let a paused container go on. Raises ConflictError unless it is paused."""
        async with self._context.live(container).lock:
            if container.state.status != "paused":
                raise ConflictError(f"Container {container.id} is not paused")
            await self._context.runtime.resume(container.id)
            container.state.status, container.phase = "running", ""
            await self._context.roster.save(container)
        self._context.emit(container, "unpause")

    def _check_running(self, container: Container) -> None:
        if not container.state.running:
            raise ConflictError(f"Container {container.id} is not running")
