"""`docker exec`: more processes in a running container, each under a conmon of its own.

An exec is a record in memory until it is started; then it has a folder in the container's bundle,
and a conmon that holds its streams and tells its exit code. It survives its client, and the engine
too, but an engine that comes back knows nothing of it: as with Docker, execs are not persistent.
"""

from __future__ import annotations

import asyncio
import json
import logging
import secrets
import shutil
import signal
import time
from collections.abc import Coroutine
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

from ..host import migration, process
from ..host.errors import BayError, ConflictError, InvalidError, NotFoundError
from ..host.files import read_text, write_json
from ..host.threads import offload
from . import commandcheck, specprocess
from .console import Console, Session
from .events import Events
from .options import Options
from .runtime import Runtime
from .runtimeerrors import explain
from .supervisor import Supervisor
from .types import Container, Json

T = TypeVar("T")
_log = logging.getLogger(__name__)
# Docker forgets an exec that has ended after five minutes.
_KEPT_SECONDS = 300
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
    size: tuple[int, int] | None = None
    console: Console | None = None
    ended: asyncio.Event = field(default_factory=asyncio.Event)

    @property
    def folder(self) -> Path:
        """Where its conmon has its files."""
        return self.container.bundle / "execs" / self.id

    @property
    def quiet(self) -> bool:
        """Whether it is a health check's: those make no events of their own."""
        return bool(self.config.get("Probe"))


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
        conmon = Supervisor(
            self._arguments(found, detach), found.folder, found.folder / "conmon.pid"
        )
        launching = self._spawn(self._launch(found, conmon, detach))
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

    async def _launch(self, found: Exec, conmon: Supervisor, detach: bool) -> Session | None:
        try:
            with migration.hurried():
                session = await self._steps(found, conmon, detach)
        except BaseException as error:
            await asyncio.shield(self._spawn(self._abort(found, conmon)))
            self._end(found, getattr(error, "code", 126))
            raise
        self._spawn(self._follow(found, conmon))
        return session

    async def _steps(self, found: Exec, conmon: Supervisor, detach: bool) -> Session | None:
        await migration.outside(self._prepare, found, conmon, not detach)
        conmon.begin()
        session = None
        if not detach:
            # conmon has its socket now and waits again: what is connected here misses nothing.
            if (await conmon.attached()).get("data") != 0:
                raise BayError(f"conmon has no attach socket for exec {found.id[:12]}")
            tty, stdin = bool(found.config.get("Tty")), bool(found.config.get("AttachStdin"))
            found.console = await Console.open(found.folder, tty, stdin_once=True)
            session = found.console.session(stdin, patient=True)
            conmon.go()
        answer = await conmon.answer()
        found.pid = int(answer.get("data", -1))
        if found.pid <= 0:
            log = await offload(read_text, found.folder / "oci.log", "")
            said = str(answer.get("message") or "")
            raise explain(log, said, found.config["Cmd"], "exec")
        found.pid_started = process.start_time(found.pid)
        if found.console is not None:
            found.console.watch_process(found.pid)
            if found.size and found.config.get("Tty"):
                await found.console.resize(*found.size)
        return session

    def _arguments(self, found: Exec, detach: bool) -> list[str]:
        folder = found.folder
        argv = [self._runtime.conmon, "--api-version", "1", "-c", found.container.id]
        argv += ["-u", found.id, "-n", found.container.name, "-b", str(folder)]
        argv += ["-p", str(folder / "pidfile"), "-P", str(folder / "conmon.pid")]
        argv += ["-e", "--exec-process-spec", str(folder / "process.json"), "-l", "none"]
        argv += ["--full-attach"]
        if not detach:
            argv.append("--exec-attach")
        if found.config.get("Tty"):
            argv.append("-t")
        if found.config.get("AttachStdin") and not detach:
            argv.append("-i")
        return argv + self._runtime.conmon_args(folder / "oci.log", create=False)

    def _prepare(self, found: Exec, conmon: Supervisor, attach: bool) -> None:
        """Write what conmon is to run, and start it."""
        found.folder.mkdir(mode=0o700, parents=True)
        spec = json.loads((found.container.bundle / "config.json").read_text(encoding="utf-8"))
        # What the container's processes see, mounts included, is what users are looked up in.
        rootfs = Path(f"/proc/{found.container.state.pid}/root")
        value = specprocess.exec_process(
            found.container, spec["process"], found.config, rootfs, found.size
        )
        commandcheck.check(rootfs, value["args"], value["env"], value["cwd"], "exec")
        write_json(found.folder / "process.json", value)
        conmon.spawn(attach=attach)

    async def _follow(self, found: Exec, conmon: Supervisor) -> None:
        """Wait for its end, and clean up behind it."""
        answer: Json = {}
        try:
            answer = await conmon.answer()
        except (OSError, ValueError) as error:
            _log.warning("exec %s: its exit code is not known: %s", found.id[:12], error)
        finally:
            conmon.release()
        code = answer.get("exit_code", answer.get("data"))
        if found.console is not None:
            await found.console.ended.wait()
            found.console.close()
        self._end(found, _KILLED if code is None else int(code))
        await offload(shutil.rmtree, found.folder, ignore_errors=True)

    async def _abort(self, found: Exec, conmon: Supervisor) -> None:
        if found.console is not None:
            found.console.close()
        await conmon.settle()
        await offload(conmon.kill)
        await offload(shutil.rmtree, found.folder, ignore_errors=True)

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
        if found.console is not None and found.running:
            await found.console.resize(rows, cols)

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
        limit = time.monotonic() - _KEPT_SECONDS
        for found in list(self._all.values()):
            if found.exit_code is not None and found.ended_at < limit:
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
