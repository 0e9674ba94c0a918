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

from ..host import migration
from ..host.errors import RuntimeFailedError
from ..host.files import read_text, unlink, write_json
from ..host.threads import complete, offload
from .runtime import Runtime
from .runtimeerrors import explain, lacking
from .supervisor import Supervisor
from .types import Json

LOCK = "conmon.lock"
# What a former run of the same container left; conmon refuses to overwrite some of it.
_STALE = ("exit", "oom", "pidfile", "conmon.pid", "oci.log", "attach", "ctl", "winsz")
# conmon lets its lock go a moment before it is gone, and after the exit file is there.
_LOCK_SECONDS = 20.0


@dataclass(frozen=True)
class Launch:
    """One container's start under conmon.

    `bundle` is its folder, which gets `config.json`. `log_path` None keeps no log. `stdin_once`:
    the end of the first client's input is the end of the container's; else it stays open. `env` is
    conmon's own beside PATH.
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


def _arguments(runtime: Runtime, launch: Launch) -> list[str]:
    bundle = launch.bundle
    log = f"k8s-file:{launch.log_path}" if launch.log_path else "none"
    argv = [runtime.conmon, "--api-version", "1", "-c", launch.id, "-u", launch.id]
    argv += ["-n", launch.name, "-b", str(bundle), "-p", str(bundle / "pidfile")]
    argv += ["-P", str(bundle / "conmon.pid"), "--exit-dir", str(launch.exit_dir)]
    # No --persist-dir: conmon gives up, and with it the exit code, when that disk is full.
    argv += ["--full-attach", "-l", log, "--no-sync-log"]
    if launch.tty:
        argv.append("-t")
    if launch.stdin_open:
        argv.append("-i")
        if launch.tty or not launch.stdin_once:
            argv.append("--leave-stdin-open")
    return argv + runtime.conmon_args(bundle / "oci.log", create=True)


class Creation:
    """One container on its way under conmon: `spawn`, `write`, `finish`; `abort` in between.

    `spawn` and `write` block and may be at work while what the container needs is still being
    made: nothing is created before `finish`.
    """

    def __init__(self, runtime: Runtime, launch: Launch) -> None:
        self._runtime = runtime
        self._launch = launch
        self._supervisor = Supervisor(
            _arguments(runtime, launch), launch.bundle, launch.bundle / "conmon.pid", launch.env
        )
        self._spec: Json = {}
        self._created = self._compiled = False

    def spawn(self) -> None:
        """Start conmon, which waits; blocks. `abort` takes it back, also after an error here.

        Raises RuntimeFailedError when the former run's conmon does not end.
        """
        launch = self._launch
        # The configuration too: a conmon whose launcher dies goes ahead, and must not find one.
        for name in (*_STALE, "config.json"):
            unlink(launch.bundle / name)
        unlink(launch.exit_dir / launch.id)
        launch.exit_dir.mkdir(parents=True, exist_ok=True)
        held = _lock(launch.bundle)
        try:
            self._supervisor.spawn([held])
        finally:
            os.close(held)

    def write(self, spec: Json) -> None:
        """Write the OCI configuration; blocks."""
        self._spec = self._runtime.with_filter(spec)
        self._compiled = self._spec is not spec
        write_json(self._launch.bundle / "config.json", self._spec)

    async def finish(self) -> int:
        """Create the container; its first process waits for `Runtime.start`. Returns its host pid.

        Raises RuntimeFailedError with Docker's sentence and code (125, 126, 127): then, and when
        cancelled, `abort`.
        """
        self._supervisor.begin()
        answer = await self._supervisor.answer()
        pid = int(answer.get("data", -1))
        if pid > 0:
            if not self._compiled:
                await complete(self._runtime.keep_filter, self._launch.id, self._spec)
            # Last: who is cancelled before has no pid, and `abort` must undo the whole.
            self._supervisor.release()
            self._created = True
            return pid
        log = await offload(read_text, self._launch.bundle / "oci.log", "")
        said = str(answer.get("message") or "") or await offload(lacking, self._launch.bundle)
        raise explain(log, said, self._spec["process"]["args"], "create")

    async def abort(self) -> None:
        """Undo it at whatever point it is: no conmon, process, cgroup or runtime state is left.

        Of a container that was created, nothing: from there on it is `Runtime.delete`'s.
        """
        if self._created:
            return
        await self._supervisor.settle()
        await offload(self._supervisor.kill)
        await self._runtime.delete(self._launch.id, force=True)
        for name in ("attach", "ctl", "winsz", "pidfile", "conmon.pid", "exit"):
            unlink(self._launch.bundle / name)
        unlink(self._launch.exit_dir / self._launch.id)


async def create(runtime: Runtime, launch: Launch, spec: Json) -> int:
    """A whole `Creation` in one go: the pid. Leaves nothing when it fails or is cancelled."""
    creation = Creation(runtime, launch)
    try:
        await migration.outside(creation.spawn)
        await offload(creation.write, spec)
        return await creation.finish()
    except BaseException:
        await asyncio.shield(creation.abort())
        raise


def _lock(bundle: Path) -> int:
    """The locked file descriptor that conmon inherits: while it is held, conmon lives; blocks."""
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
        time.sleep(0.002)


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
