"""An exec as a child of the engine's: crun in the foreground, which waits for what it started.

That is a third of what a conmon in between costs, and leaves nothing on disk: the process's
specification and crun's log are memory, and its pid comes through a pipe. crun keeps the other ends
of the streams open. So the process outlives the engine as it would under conmon, but once nobody
reads, it waits when it has written what its pipes take.
"""

from __future__ import annotations

import asyncio
import contextlib
import fcntl
import json
import os
import signal
from collections.abc import Callable, Sequence
from pathlib import Path

from ..host import cgroups, migration, process
from ..host.threads import offload
from . import commandcheck
from .pipes import Pipes, make_pipe
from .runtime import Runtime
from .runtimeerrors import explain
from .supervisor import readable
from .types import Json

# Where crun finds what. 0 to 2 are the process's own streams.
_SPEC, _PID, _LOG, _HELD = 3, 4, 5, 6
# Above what is dealt out to crun, so that no descriptor is overwritten before its turn.
_ABOVE = 16
# How long an abandoned exec may take before its runtime is killed.
_SETTLE_SECONDS = 10.0


class Child:
    """One exec: `begin`, `pid`, `code`; or `abort` at any point.

    `rootfs` is what its container's processes see. `streams` (1 stdout, 2 stderr) are those that
    are read; what is written to another goes nowhere.
    """

    def __init__(
        self,
        runtime: Runtime,
        container_id: str,
        rootfs: Path,
        streams: Sequence[int],
        stdin: bool,
    ) -> None:
        self._runtime = runtime
        self._container = container_id
        self._rootfs = rootfs
        self._streams = streams
        self._input = stdin
        self._spec: Json = {}
        self._process = 0
        self._started: int | None = None
        self._code: int | None = None
        self._pidfd = self._pid = self._log = self._stdin = -1
        self._outputs: dict[int, int] = {}
        self.output: Pipes | None = None

    async def begin(self, make: Callable[[], Json]) -> Pipes | None:
        """Start crun on the OCI `process` that `make` gives (it blocks); its streams, if any.

        Nothing of them is read before the caller awaits again.
        """
        await migration.outside(self._spawn, make)
        if self._outputs or self._stdin >= 0:
            self.output = Pipes(self._outputs, self._stdin)
            self._outputs, self._stdin = {}, -1
        return self.output

    def _spawn(self, make: Callable[[], Json]) -> None:
        self._spec = make()
        self._log = os.memfd_create("log")
        self._pid, pid = os.pipe()
        theirs = {_PID: pid}
        try:
            theirs[_SPEC] = _memory(self._spec)
            theirs[0], self._stdin = os.pipe() if self._input else (_nowhere(), -1)
            for stream in (1, 2):
                if stream in self._streams:
                    self._outputs[stream], theirs[stream] = make_pipe()
                else:
                    theirs[stream] = _nowhere()
            self._start(theirs)
        finally:
            for fd in theirs.values():
                os.close(fd)

    def _start(self, theirs: dict[int, int]) -> None:
        passed = {**theirs, _LOG: self._log}
        passed |= dict(enumerate(self._outputs.values(), _HELD))
        copies: dict[int, int] = {}
        try:
            for to, fd in passed.items():
                copies[to] = fcntl.fcntl(fd, fcntl.F_DUPFD_CLOEXEC, _ABOVE)
            argv = self._runtime.exec_argv(
                self._container, *(f"/proc/self/fd/{fd}" for fd in (_SPEC, _PID, _LOG))
            )
            self._process = os.posix_spawn(
                argv[0],
                argv,
                {"PATH": process.PATH},
                file_actions=[(os.POSIX_SPAWN_DUP2, fd, to) for to, fd in copies.items()],
                setsid=True,
                setsigdef=process.IGNORED_BY_PYTHON,
            )
        finally:
            for fd in copies.values():
                os.close(fd)
        try:
            self._pidfd = os.pidfd_open(self._process)
        except OSError:  # no descriptor is left for it
            os.kill(self._process, signal.SIGKILL)
            os.waitpid(self._process, 0)
            raise
        with contextlib.suppress(ProcessLookupError):  # it has ended
            cgroups.move_to_root(self._process)

    async def pid(self) -> int:
        """The process's pid on the host, once it runs; 0 when it has ended before that was told.

        Raises RuntimeFailedError with Docker's sentence and code when it cannot run.
        """
        if pid := await self._told():
            self._shut("_pid", "_log")
            return pid
        await self.code()
        log = os.pread(self._log, 1 << 16, 0).decode(errors="replace")
        if not log.strip():
            return 0
        args = self._spec["args"]
        error = explain(log, "", args, "exec")
        if error.code in (126, 127):
            # What is wrong with the command, in Docker's words, of which crun has fewer.
            env, cwd = self._spec["env"], self._spec["cwd"]
            await offload(commandcheck.check, self._rootfs, args, env, cwd, "exec")
        raise error

    async def _told(self) -> int:
        """What comes through the pipe of the pid; 0 at its end."""
        if self._started is None:
            await readable(self._pid)
            self._started = int(os.read(self._pid, 32) or 0)
        return self._started

    async def code(self) -> int:
        """Its exit code once it has ended: 128 and the signal where one ended it.

        All of its output is handed on by then.
        """
        if self._code is None:
            await readable(self._pidfd)
            self._code = self._collected()
            if self.output is not None:
                self.output.close()
        return self._code

    def _collected(self) -> int:
        status = os.waitstatus_to_exitcode(os.waitpid(self._process, 0)[1])
        return status if status >= 0 else 128 - status

    async def abort(self) -> None:
        """End it at whatever point it is, and close. Fine when it was never started.

        crun that is killed half-way leaves a process that is in no cgroup yet: it may finish.
        """
        if self._pidfd >= 0 and self._code is None:
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(_SETTLE_SECONDS):
                    if pid := await self._told():
                        process.send_signal(pid, process.start_time(pid), signal.SIGKILL)
                    await self.code()
            if self._code is None:
                signal.pidfd_send_signal(self._pidfd, signal.SIGKILL)
                await self.code()
        await self.close()

    async def close(self) -> None:
        """Let go of it."""
        self._shut("_pidfd", "_pid", "_log", "_stdin")
        while self._outputs:
            os.close(self._outputs.popitem()[1])

    def _shut(self, *names: str) -> None:
        for name in names:
            if (fd := getattr(self, name)) >= 0:
                os.close(fd)
            setattr(self, name, -1)


def _memory(spec: Json) -> int:
    fd = os.memfd_create("process")
    os.write(fd, json.dumps(spec).encode())
    return fd


def _nowhere() -> int:
    return os.open(os.devnull, os.O_RDWR | os.O_CLOEXEC)
