"""Creating a container under conmon, which holds its output, terminal and exit code.

conmon is started with the launcher's word still owed (the start pipe), is moved out of the
launcher's cgroups, gets the word, has the runtime create the container, and tells the pid over the
sync pipe. From then on neither it nor the container needs this process. conmon 2.1.
"""

from __future__ import annotations

import asyncio
import contextlib
import fcntl
import json
import os
import signal
import subprocess
import time
from dataclasses import dataclass, field
from pathlib import Path

from ..host import cgroups, process
from ..host.errors import RuntimeFailedError
from ..host.files import read_text, unlink, write_json
from ..host.threads import offload
from .runtime import Runtime
from .runtimeerrors import explain
from .types import Json

LOCK = "conmon.lock"
# What a former run of the same container left; conmon refuses to overwrite some of it.
_STALE = ("exit", "oom", "pidfile", "conmon.pid", "oci.log", "attach", "ctl", "winsz")
# conmon lets its lock go a moment before it is gone, and after the exit file is there.
_LOCK_SECONDS = 5.0


@dataclass(frozen=True)
class Launch:
    """One container's start under conmon.

    `bundle` is its folder with `config.json`, or gets that from `spec`. `log_path` None keeps no
    log. `stdin_once`: the end of the first client's input is the end of the container's; else it
    stays open. `env` is conmon's own beside PATH.
    """

    id: str
    name: str
    bundle: Path
    tty: bool
    stdin_open: bool
    stdin_once: bool
    log_path: Path | None
    exit_dir: Path
    env: dict[str, str] = field(default_factory=dict)
    spec: Json | None = None


def _arguments(runtime: Runtime, launch: Launch) -> list[str]:
    bundle = launch.bundle
    log = f"k8s-file:{launch.log_path}" if launch.log_path else "none"
    argv = [runtime.conmon, "--api-version", "1", "-c", launch.id, "-u", launch.id]
    argv += ["-n", launch.name, "-b", str(bundle), "-p", str(bundle / "pidfile")]
    argv += ["-P", str(bundle / "conmon.pid"), "--exit-dir", str(launch.exit_dir)]
    argv += ["--persist-dir", str(bundle), "--full-attach", "-l", log, "--no-sync-log"]
    if launch.tty:
        argv.append("-t")
    if launch.stdin_open:
        argv.append("-i")
        if launch.tty or not launch.stdin_once:
            argv.append("--leave-stdin-open")
    return argv + runtime.conmon_args(bundle / "oci.log", create=True)


async def create(runtime: Runtime, launch: Launch) -> int:
    """Create the container; its first process waits for `Runtime.start`. Returns its host pid.

    Raises RuntimeFailedError with Docker's sentence and code (125, 126, 127), and leaves nothing
    then, nor when cancelled: no conmon, no process, no cgroup, no runtime state.
    """
    await offload(_prepare, runtime, launch)
    argv = _arguments(runtime, launch)
    async with contextlib.AsyncExitStack() as undo:
        held = await offload(_lock, launch.bundle)
        undo.callback(os.close, held)
        supervisor = Supervisor(argv, launch.bundle, launch.env, launch.bundle / "conmon.pid")
        try:
            pid, message = await supervisor.launch([held])
        except BaseException:
            await asyncio.shield(_abort(runtime, launch, supervisor))
            raise
    if pid > 0:
        if launch.spec is not None:
            await offload(runtime.keep_filter, launch.id, launch.spec)
        return pid
    await asyncio.shield(_abort(runtime, launch, supervisor))
    log = read_text(launch.bundle / "oci.log", "")
    args = launch.spec["process"]["args"] if launch.spec else []
    raise explain(log, message, args, "create")


def _prepare(runtime: Runtime, launch: Launch) -> None:
    for name in _STALE:
        unlink(launch.bundle / name)
    unlink(launch.exit_dir / launch.id)
    launch.exit_dir.mkdir(parents=True, exist_ok=True)
    if launch.spec is not None:
        write_json(launch.bundle / "config.json", runtime.with_filter(launch.spec))


def _lock(bundle: Path) -> int:
    """The locked file descriptor that conmon inherits: while it is held, conmon lives."""
    fd = os.open(bundle / LOCK, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    limit = time.monotonic() + _LOCK_SECONDS
    while True:
        try:
            fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
            return fd
        except BlockingIOError:
            if time.monotonic() > limit:
                os.close(fd)
                raise RuntimeFailedError(
                    f"the supervisor of the former run still holds {bundle / LOCK}"
                ) from None
        time.sleep(0.005)


def is_held(bundle: Path) -> bool:
    """Whether the container's conmon lives."""
    try:
        fd = os.open(bundle / LOCK, os.O_RDONLY | os.O_CLOEXEC)
    except FileNotFoundError:
        return False
    try:
        fcntl.flock(fd, fcntl.LOCK_SH | fcntl.LOCK_NB)
        return False
    except BlockingIOError:
        return True
    finally:
        os.close(fd)


async def _abort(runtime: Runtime, launch: Launch, supervisor: Supervisor) -> None:
    """Undo a create at whatever point it is."""
    await offload(supervisor.kill)
    await runtime.delete(launch.id, force=True)
    for name in ("attach", "ctl", "winsz", "pidfile", "conmon.pid", "exit"):
        unlink(launch.bundle / name)
    unlink(launch.exit_dir / launch.id)


class Supervisor:
    """One conmon process from its start until it has told the pid of what it supervises."""

    def __init__(self, argv: list[str], folder: Path, env: dict[str, str], pid_file: Path) -> None:
        self._argv = argv
        self._folder = folder
        self._env = env
        self._pid_file = pid_file
        self._process: subprocess.Popen[bytes] | None = None
        self._told = False
        self._fds: list[int] = []
        # The read end of the sync pipe, while `keep_sync` asks for it.
        self.sync = -1

    async def launch(self, inherit: list[int], attach: int = -1) -> tuple[int, str]:
        """Start conmon, take it out of our cgroups, give the word; the pid (or -1) and message.

        `inherit` are file descriptors it keeps; `attach` the write end of an attach pipe.
        """
        self.sync, sync_end = os.pipe()
        start_end, start = os.pipe()
        env = {"_OCI_SYNCPIPE": str(sync_end), "_OCI_STARTPIPE": str(start_end)}
        passed = [sync_end, start_end, *inherit]
        if attach >= 0:
            env["_OCI_ATTACHPIPE"] = str(attach)
            passed.append(attach)
        try:
            try:
                await offload(self._spawn, env, passed)
            finally:
                os.close(sync_end)
                os.close(start_end)
            self._told = True
            os.write(start, b"\0")
            return await self.answer()
        finally:
            os.close(start)
            os.close(self.sync)
            self.sync = -1

    def _spawn(self, env: dict[str, str], passed: list[int]) -> None:
        self._process = subprocess.Popen(
            self._argv,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            cwd=self._folder,
            env={"PATH": process.PATH, **self._env, **env},
            pass_fds=passed,
            start_new_session=True,
        )
        cgroups.move_to_root(self._process.pid)

    async def answer(self) -> tuple[int, str]:
        """The next `{"data":…,"message":…}` line of the sync pipe; -1 at its end."""
        line = await read_line(self.sync)
        process_ = self._process
        if process_ is not None:
            # conmon's first process ends as soon as it has forked the one that stays.
            await offload(process_.wait)
        if not line:
            return -1, ""
        entry = json.loads(line)
        return int(entry.get("data", -1)), str(entry.get("message") or "")

    def kill(self) -> None:
        """End conmon, with a runtime that is at work for it, and wait until it is gone; blocks."""
        if self._process is None:
            return
        if not self._told:
            # It has not forked yet: it is waiting for the word.
            self._process.kill()
        self._process.wait()
        pid = int(read_text(self._pid_file, "0").strip() or 0)
        if not pid:
            return
        try:
            fd = os.pidfd_open(pid)
        except ProcessLookupError:
            return
        try:
            if _is_ours(pid, self._argv):
                signal.pidfd_send_signal(fd, signal.SIGKILL)
                while process.start_time(pid):
                    time.sleep(0.002)
        except ProcessLookupError:
            pass
        finally:
            os.close(fd)


def _is_ours(pid: int, argv: list[str]) -> bool:
    """Whether `pid` runs this very command: the pid file may be older than the pid."""
    try:
        with open(f"/proc/{pid}/cmdline", "rb") as file:
            return file.read().split(b"\0")[:-1] == [os.fsencode(word) for word in argv]
    except (FileNotFoundError, ProcessLookupError):
        return False


async def readable(fd: int) -> None:
    """Wait until `fd` has something to read, or its end."""
    loop = asyncio.get_running_loop()
    ready = loop.create_future()
    loop.add_reader(fd, _settle, ready)
    try:
        await ready
    finally:
        loop.remove_reader(fd)


def _settle(future: asyncio.Future[None]) -> None:
    if not future.done():
        future.set_result(None)


async def read_line(fd: int) -> bytes:
    """A line from a pipe, or what came before its end, without blocking the event loop.

    It may read on behind a line that has more behind it: conmon's next line comes only after what
    its reader does in answer to this one.
    """
    os.set_blocking(fd, False)
    data = b""
    while not data.endswith(b"\n"):
        await readable(fd)
        try:
            chunk = os.read(fd, 65536)
        except BlockingIOError:
            continue
        if not chunk:
            break
        data += chunk
    return data
