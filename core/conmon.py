"""Creating a container under conmon, which holds its output, terminal and exit code.

conmon is started with the launcher's word still owed (the start pipe), is moved out of the
launcher's cgroups, gets the word, has the runtime create the container, and tells the pid over the
sync pipe. From then on neither it nor the container needs this process. conmon 2.1.
"""

from __future__ import annotations

import asyncio
import fcntl
import os
import time
from dataclasses import dataclass, field
from pathlib import Path

from ..host.errors import RuntimeFailedError
from ..host.files import read_text, unlink, write_json
from ..host.threads import offload
from .runtime import Runtime
from .runtimeerrors import explain
from .supervisor import Supervisor
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
    supervisor = Supervisor(
        _arguments(runtime, launch), launch.bundle, launch.bundle / "conmon.pid", launch.env
    )
    held = await _lock(launch.bundle)
    try:
        try:
            await supervisor.start([held])
            answer = await supervisor.answer()
        finally:
            os.close(held)
        pid = int(answer.get("data", -1))
        if pid > 0:
            supervisor.release()
            if launch.spec is not None:
                await offload(runtime.keep_filter, launch.id, launch.spec)
            return pid
        log = await offload(read_text, launch.bundle / "oci.log", "")
        args = launch.spec["process"]["args"] if launch.spec else []
        raise explain(log, str(answer.get("message") or ""), args, "create")
    except BaseException:
        await asyncio.shield(_abort(runtime, launch, supervisor))
        raise


def _prepare(runtime: Runtime, launch: Launch) -> None:
    for name in _STALE:
        unlink(launch.bundle / name)
    unlink(launch.exit_dir / launch.id)
    launch.exit_dir.mkdir(parents=True, exist_ok=True)
    if launch.spec is not None:
        write_json(launch.bundle / "config.json", runtime.with_filter(launch.spec))


async def _lock(bundle: Path) -> int:
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
        try:
            await asyncio.sleep(0.005)
        except asyncio.CancelledError:
            os.close(fd)
            raise


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
    await supervisor.settle()
    await offload(supervisor.kill)
    await runtime.delete(launch.id, force=True)
    for name in ("attach", "ctl", "winsz", "pidfile", "conmon.pid", "exit"):
        unlink(launch.bundle / name)
    unlink(launch.exit_dir / launch.id)
