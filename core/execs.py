"""`docker exec`: more processes in a running container.

An exec is a record in memory until it is started. Then crun holds it (child.py), or a conmon where
it has a terminal or the runtime is runc (conmonexec.py). It survives its client, and the engine
too, but an engine that comes back knows nothing of it: as with Docker, execs are not persistent.
"""

from __future__ import annotations

import asyncio
import json
import logging
import secrets
import signal
import time
from collections.abc import Callable, Coroutine
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol, TypeVar

from ..host import migration, process
from ..host.errors import ConflictError, InvalidError, NotFoundError
from ..host.threads import offload
from . import detach, specprocess
from .child import Child
from .conmonexec import ConmonExec
from .events import Events
from .options import Options
from .output import Output, Session
from .runtime import Runtime
from .types import Container, Json

T = TypeVar("T")
_log = logging.getLogger(__name__)
# Docker forgets an exec that has ended after five minutes.
_KEPT_SECONDS = 300
# Of one container. Docker keeps them all; a client that starts none of its execs fills memory.
_WAITING = 1000
# When the container, or conmon, was killed and took the exit code along.
_KILLED = 137


@dataclass
class Exec:
    """One exec: as asked for, and what became of it. `exit_code` None until it has ended."""

    id: str
    container: Container
    config: Json
    pid: int = 0
    pid_started: int = 0
    running: bool = False
    exit_code: int | None = None
    ended_at: float = 0.0
    made_at: float = field(default_factory=time.monotonic)
    size: tuple[int, int] | None = None
    output: Output | None = None
    ended: asyncio.Event = field(default_factory=asyncio.Event)

    @property
    def quiet(self) -> bool:
        """Whether it is a health check's: those make no events of their own."""
        return bool(self.config.get("Probe"))


class Run(Protocol):
    """What holds one exec from its start to its end: a `Child`, or a `ConmonExec`."""

    async def begin(self, make: Callable[[], Json]) -> Output | None:
        """Start it on the OCI `process` that `make` gives; its streams, of which nothing is lost
        that is looked at before the next await."""

    async def pid(self) -> int:
        """The pid on the host, once it runs; 0 when that was not told. Raises as `Execs.start`."""

    async def code(self) -> int | None:
        """The exit code, once it has ended; None when that is not known."""

    async def abort(self) -> None:
        """End it, at whatever point it is, and `close`."""

    async def close(self) -> None:
        """Leave nothing of it."""


class Execs:
    """All execs of an engine, by their ids. Belongs to the event loop's thread."""

    def __init__(self, runtime: Runtime, options: Options, events: Events) -> None:
        self._runtime = runtime
        self._options = options
        self._events = events
        self._all: dict[str, Exec] = {}
        self._tasks: set[asyncio.Task[Any]] = set()

    async def create(self, container: Container, config: Json) -> str:
        """Note an exec of Docker's `ExecConfig` in a running container; returns its id.

        Raises ConflictError when the container does not run, InvalidError without a command.
        """
        _check_running(container)
        if not config.get("Cmd"):
            raise InvalidError("No exec command specified")
        if keys := config.get("DetachKeys"):
            try:
                detach.parse(keys)
            except InvalidError:
                raise InvalidError(f"Invalid escape keys ({keys}) provided") from None
        self._prune()
        made = Exec(secrets.token_hex(32), container, config)
        self._all[made.id] = made
        self._emit(made, f"exec_create: {_line(made)}")
        return made.id

    async def start(
        self, exec_id: str, *, detach: bool, tty: bool, size: tuple[int, int] | None
    ) -> Session | None:
        """Start it; its session with all its output, or None when detached.

        `tty` is what the client expects; the exec's own `Tty` decides. `size` is rows and columns.
        Raises ConflictError when it was started before, RuntimeFailedError with Docker's sentence
        and code when the command cannot run; `inspect` has that code, too.
        """
        found = self._get(exec_id)
        if found.running or found.exit_code is not None:
            raise ConflictError(f"Error: Exec command {exec_id} has already run")
        _check_running(found.container)
        found.running = True
        found.size = size or found.size or _asked_size(found.config)
        launching = self._spawn(self._launch(found, self._run_of(found, detach)))
        try:
            session = await asyncio.shield(launching)
        except asyncio.CancelledError:
            await asyncio.shield(self._spawn(self._give_up(found, launching)))
            raise
        self._emit(found, f"exec_start: {_line(found)}")
        return session

    def _spawn(self, work: Coroutine[Any, Any, T]) -> asyncio.Task[T]:
        """Run in the background; kept from being collected."""
        task = asyncio.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return task

    async def _give_up(self, found: Exec, launching: asyncio.Task[Session | None]) -> None:
        """Its caller is gone. A runtime killed half-way leaves processes: let it come up first."""
        await asyncio.wait([launching])
        if not launching.cancelled() and launching.exception() is None:
            await self.kill(found.id)
            await found.ended.wait()

    def _run_of(self, found: Exec, detach: bool) -> Run:
        """What is to hold it. Only crun tells the pid through a pipe."""
        config, container = found.config, found.container
        tty, stdin = bool(config.get("Tty")), bool(config.get("AttachStdin")) and not detach
        if self._runtime.name != "crun" or tty:
            return ConmonExec(
                self._runtime,
                container,
                found.id,
                _rootfs(container),
                attach=not detach,
                tty=tty,
                stdin=stdin,
            )
        streams = () if detach else (1, 2)
        return Child(self._runtime, container.id, _rootfs(container), streams, stdin)

    async def _launch(self, found: Exec, run: Run) -> Session | None:
        try:
            with migration.hurried():
                session = await self._steps(found, run)
        except BaseException as error:
            await asyncio.shield(self._spawn(run.abort()))
            self._end(found, getattr(error, "code", 126))
            raise
        self._spawn(self._follow(found, run))
        return session

    async def _steps(self, found: Exec, run: Run) -> Session | None:
        found.output = await run.begin(lambda: self._specification(found))
        session = None
        if found.output is not None:
            # Before anything is read: it sees all.
            session = found.output.session(bool(found.config.get("AttachStdin")), patient=True)
        found.pid = await run.pid()
        found.pid_started = process.start_time(found.pid)
        if found.output is not None and found.pid:
            found.output.watch_process(found.pid)
            if found.size and found.config.get("Tty"):
                await found.output.resize(*found.size)
        return session

    def _specification(self, found: Exec) -> Json:
        """The OCI `process`; blocks."""
        container = found.container
        spec = json.loads((container.bundle / "config.json").read_text(encoding="utf-8"))
        return specprocess.exec_process(
            container, spec["process"], found.config, _rootfs(container), found.size
        )

    async def _follow(self, found: Exec, run: Run) -> None:
        """Wait for its end, and clean up behind it."""
        code = await run.code()
        self._end(found, _KILLED if code is None else code)
        await run.close()

    def _end(self, found: Exec, code: int) -> None:
        found.running, found.exit_code, found.ended_at = False, code, time.monotonic()
        found.ended.set()
        self._emit(found, "exec_die", exitCode=str(code))

    async def wait(self, exec_id: str) -> int:
        """Its exit code, once it has ended."""
        found = self._get(exec_id)
        await found.ended.wait()
        return found.exit_code or 0

    async def kill(self, exec_id: str) -> None:
        """Kill its process (SIGKILL). Fine when it has ended or never started."""
        found = self._get(exec_id)
        if found.running and found.pid > 0:
            await offload(process.send_signal, found.pid, found.pid_started, 9)

    async def hang_up(self, exec_id: str) -> None:
        """Tell its process that its terminal is gone, as closing one does (SIGHUP, SIGCONT).

        A shell passes it on to its jobs; the kernel tells the terminal's foreground group when the
        session's leader ends (setsid(2), tty_ioctl(4)). Fine when it has ended or never started.
        """
        found = self._get(exec_id)
        if found.running and found.pid > 0:
            for number in (signal.SIGHUP, signal.SIGCONT):
                await offload(process.send_signal, found.pid, found.pid_started, number)

    async def resize(self, exec_id: str, rows: int, cols: int) -> None:
        """Set its terminal's size; before its start, the size it will have."""
        found = self._get(exec_id)
        found.size = (rows, cols)
        if found.output is not None and found.running:
            await found.output.resize(rows, cols)

    def inspect(self, exec_id: str) -> Json:
        """Docker's `ExecInspect`."""
        found = self._get(exec_id)
        config, command = found.config, found.config["Cmd"]
        return {
            "ID": found.id,
            "Running": found.running,
            "ExitCode": found.exit_code,
            "ProcessConfig": {
                "tty": bool(config.get("Tty")),
                "entrypoint": command[0],
                "arguments": command[1:],
                "privileged": bool(config.get("Privileged")),
                "user": config.get("User") or "",
            },
            "OpenStdin": bool(config.get("AttachStdin")),
            "OpenStderr": bool(config.get("AttachStderr")),
            "OpenStdout": bool(config.get("AttachStdout")),
            "CanRemove": found.exit_code is not None,
            "ContainerID": found.container.id,
            "DetachKeys": config.get("DetachKeys") or "",
            "Pid": max(found.pid, 0),
        }

    def ids(self, container_id: str) -> list[str]:
        """The container's execs that have not ended."""
        return [
            found.id
            for found in self._all.values()
            if found.container.id == container_id and found.exit_code is None
        ]

    def forget(self, container_id: str) -> None:
        """The container has ended: what was not started never will be.

        What ran dies with it and is known for a while, so that its client gets the exit code.
        """
        for found in list(self._all.values()):
            if found.container.id == container_id and not found.running and found.exit_code is None:
                del self._all[found.id]
        self._prune()

    def _prune(self) -> None:
        """Forget what has ended a while ago, and what waits for its start as long, beyond many."""
        limit = time.monotonic() - _KEPT_SECONDS
        waiting: dict[str, int] = {}
        for found in reversed(list(self._all.values())):  # the youngest first
            if found.exit_code is not None:
                if found.ended_at < limit:
                    del self._all[found.id]
            elif not found.running:
                count = waiting[found.container.id] = waiting.get(found.container.id, 0) + 1
                if count > _WAITING and found.made_at < limit:
                    del self._all[found.id]

    def _get(self, exec_id: str) -> Exec:
        found = self._all.get(exec_id)
        if found is None:
            matches = [entry for key, entry in self._all.items() if key.startswith(exec_id)]
            if not exec_id or len(matches) != 1:
                raise NotFoundError(f"No such exec instance: {exec_id}")
            found = matches[0]
        return found

    def _emit(self, found: Exec, action: str, **extra: str) -> None:
        if found.quiet:
            return
        container = found.container
        labels: dict[str, str] = container.config.get("Labels") or {}
        known = {"execID": found.id, "image": container.image_ref, "name": container.name}
        self._events.emit("container", action, container.id, {**labels, **known, **extra})


def _line(found: Exec) -> str:
    """The command as Docker's events have it: one without arguments ends in a space."""
    command = [str(word) for word in found.config["Cmd"]]
    return f"{command[0]} {' '.join(command[1:])}"


def _rootfs(container: Container) -> Path:
    """What the container's processes see, mounts included: users and commands are found there."""
    return Path(f"/proc/{container.state.pid}/root")


def _check_running(container: Container) -> None:
    if container.state.status == "paused":
        raise ConflictError(
            f"Container {container.name} is paused, unpause the container before exec"
        )
    if not container.state.running:
        raise ConflictError(f"container {container.id} is not running")


def _asked_size(config: Json) -> tuple[int, int] | None:
    size = config.get("ConsoleSize") or (0, 0)
    return (int(size[0]), int(size[1])) if all(size) else None
