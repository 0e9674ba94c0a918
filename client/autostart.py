"""Starting the engine of this machine when a client finds none, as tmux does with its server."""

from __future__ import annotations

import contextlib
import fcntl
import os
import socket
import subprocess
import sys
import time

from ..host.light import Iterator
from ..host.logfile import put_aside
from .errors import UnreachableError
from .hosts import Host

TIMEOUT = 60.0  # seconds until the socket must answer; opening a large store takes a while
# For an engine that is about to serve, or on its way out, and holds the root meanwhile.
PATIENCE = 10.0
_HELD = "another engine (process"
_STEP = 0.01


def start_engine(host: Host) -> None:
    """Start `bay engine` detached and wait until the socket of `host` answers.

    Of many clients at once one starts it, the others wait for it. Raises UnreachableError when
    this user may not, or the engine dies: then with the last line it wrote.
    """
    folder = os.path.dirname(host.path)
    if os.geteuid() != 0:
        raise UnreachableError(
            f"Cannot connect to the engine at {host}: none runs, and only root can start it."
            " Use sudo, or start it with `sudo bay engine`."
        )
    lock = os.path.join(folder, "engine.start.lock")
    with contextlib.ExitStack() as stack:
        try:
            os.makedirs(folder, mode=0o755, exist_ok=True)
            stack.enter_context(_lock(lock))
        except OSError as error:  # a read-only disk, a full one, a file in the way
            raise UnreachableError(
                f"cannot start an engine at {host}: {error.filename or folder}: {error.strerror}"
            ) from error
        log_path = os.path.join(folder, "engine.log")
        patience = time.monotonic() + PATIENCE
        while not answers(host.path) and not _spawn_and_wait(host, log_path, patience):
            time.sleep(_STEP)


def answers(path: str) -> bool:
    """Whether something accepts connections on the unix socket at `path`."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as sock:
        try:
            sock.connect(path)
        except OSError:
            return False
        return True


@contextlib.contextmanager
def _lock(path: str) -> Iterator[None]:
    """Hold the file lock at `path`; it goes with the process, however that ends."""
    fd = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(fd, fcntl.LOCK_EX)
        yield
    finally:
        os.close(fd)


def engine_argv(run_root: str) -> list[str]:
    """The command that runs the engine: this interpreter, whatever the PATH holds.

    `-P` keeps the current folder off the module path: root may stand in anyone's folder.
    """
    argv = [sys.executable, "-P", "-m", "bayplan.cli.main", "engine", "--run-root", run_root]
    root = os.environ.get("BAY_ROOT")
    return [*argv, "--root", root] if root else argv


def _spawn_and_wait(host: Host, log_path: str, patience: float) -> bool:
    """Start one; False when another engine holds the root, before the time `patience`."""
    put_aside(log_path)
    log = os.open(log_path, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o640)
    try:
        start = os.fstat(log).st_size
        process = subprocess.Popen(
            engine_argv(os.path.dirname(host.path)),
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            cwd="/",
            start_new_session=True,
        )
    finally:
        os.close(log)
    deadline = time.monotonic() + TIMEOUT
    while not answers(host.path):
        if (code := process.poll()) is not None:
            said = _last_line(log_path, start)
            if _HELD in said and time.monotonic() < patience:
                return False
            raise UnreachableError(f"the engine ended at once (exit code {code}): {said}")
        if time.monotonic() > deadline:
            raise UnreachableError(
                f"the engine does not answer after {TIMEOUT:.0f} s; its log is {log_path}"
            )
        time.sleep(_STEP)
    return True


def _last_line(path: str, start: int) -> str:
    """The last line written to the log since byte `start`: a failing engine's own words."""
    with open(path, "rb") as file:
        file.seek(max(start, os.fstat(file.fileno()).st_size - 8192))
        lines = file.read().decode(errors="replace").strip().splitlines()
    return lines[-1].strip() if lines else f"it wrote nothing to {path}"
