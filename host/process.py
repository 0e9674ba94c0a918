"""Other processes: running a command to its end, and telling one process from its successor."""

from __future__ import annotations

import asyncio
import os
import select
import signal
import subprocess
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

# Debian's root has sbin in its PATH, a process started by su or cron may not.
PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"

# What a child should have back.
IGNORED_BY_PYTHON = [signal.SIGPIPE, signal.SIGXFSZ]


@dataclass(frozen=True)
class Finished:
    """A command that has ended: `code` as the shell has it, and what it wrote."""

    code: int
    stdout: str
    stderr: str


def run(
    argv: Sequence[str],
    *,
    stdin: bytes | None = None,
    timeout: float = 60,
    cwd: str | None = None,
    env: dict[str, str] | None = None,
) -> Finished:
    """Run `argv` to its end; blocks. 127 when there is no such command, 124 after `timeout` s."""
    if stdin is None and cwd is None and "/" in argv[0]:
        return _spawned(argv, timeout, env if env is not None else {**os.environ, "PATH": PATH})
    try:
        done = subprocess.run(
            list(argv),
            input=stdin,
            stdin=subprocess.DEVNULL if stdin is None else None,
            capture_output=True,
            timeout=timeout,
            cwd=cwd,
            env=env if env is not None else {**os.environ, "PATH": PATH},
            check=False,
        )
    except (FileNotFoundError, PermissionError) as error:
        return Finished(127, "", f"{argv[0]}: {error.strerror}")
    except subprocess.TimeoutExpired:
        return Finished(124, "", f"{argv[0]}: no answer after {timeout:.0f} s")
    code = done.returncode if done.returncode >= 0 else 128 - done.returncode
    return Finished(
        code, done.stdout.decode(errors="replace"), done.stderr.decode(errors="replace")
    )


def _pipes() -> list[tuple[int, int]]:
    """Two pipes, or none."""
    first = os.pipe()
    try:
        return [first, os.pipe()]
    except OSError:
        for fd in first:
            os.close(fd)
        raise


def _spawned(argv: Sequence[str], timeout: float, env: dict[str, str]) -> Finished:
    """`run` by posix_spawn(3): a third of what subprocess spends, which each start pays twice."""
    ends = _pipes()
    actions: list[tuple[Any, ...]] = [(os.POSIX_SPAWN_OPEN, 0, os.devnull, os.O_RDONLY, 0)]
    actions += [(os.POSIX_SPAWN_DUP2, end[1], number) for number, end in enumerate(ends, 1)]
    try:
        try:
            # What Python ignores, its children should not (subprocess does the same).
            pid = os.posix_spawn(
                argv[0], list(argv), env, file_actions=actions, setsigdef=IGNORED_BY_PYTHON
            )
        finally:
            for _, end in ends:
                os.close(end)
        return _collected(argv, pid, [end for end, _ in ends], time.monotonic() + timeout, timeout)
    except (FileNotFoundError, PermissionError) as error:
        return Finished(127, "", f"{argv[0]}: {error.strerror}")
    finally:
        for end, _ in ends:
            os.close(end)


def _collected(
    argv: Sequence[str], pid: int, pipes: list[int], limit: float, timeout: float
) -> Finished:
    """What a child writes to `pipes`, and its code; killed at `limit`."""
    wrote = {fd: bytearray() for fd in pipes}
    poll = select.poll()
    for fd in pipes:
        poll.register(fd, select.POLLIN)
    try:
        left = set(pipes)
        while left:
            ready = poll.poll(max(0.0, limit - time.monotonic()) * 1000)
            if not ready:
                raise TimeoutError
            for fd, _ in ready:
                data = os.read(fd, 65536)
                wrote[fd] += data
                if not data:
                    poll.unregister(fd)
                    left.discard(fd)
        _await_end(pid, limit)
    except BaseException as error:
        os.kill(pid, signal.SIGKILL)
        os.waitpid(pid, 0)
        if isinstance(error, TimeoutError):
            return Finished(124, "", f"{argv[0]}: no answer after {timeout:.0f} s")
        raise
    code = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
    out, err = (wrote[fd].decode(errors="replace") for fd in pipes)
    return Finished(code if code >= 0 else 128 - code, out, err)


def _await_end(pid: int, limit: float) -> None:
    """Until the child has ended, which is then still to be collected. Raises TimeoutError."""
    if os.waitid(os.P_PID, pid, os.WEXITED | os.WNOHANG | os.WNOWAIT) is not None:
        return
    fd = os.pidfd_open(pid)
    try:
        poll = select.poll()
        poll.register(fd, select.POLLIN)
        if not poll.poll(max(0.0, limit - time.monotonic()) * 1000):
            raise TimeoutError
    finally:
        os.close(fd)


async def run_async(
    argv: Sequence[str],
    *,
    stdin: bytes | None = None,
    timeout: float = 60,
    first: Callable[[], None] | None = None,
) -> Finished:
    """`run` for the event loop; `first` is called before it, in the same thread."""

    def work() -> Finished:
        if first is not None:
            first()
        return run(argv, stdin=stdin, timeout=timeout)

    return await asyncio.get_running_loop().run_in_executor(None, work)


def start_time(pid: int) -> int:
    """When `pid` started, in clock ticks since boot (proc(5), stat field 22); 0 when it is gone.

    A pid and its start time name one process for ever, a pid alone does not. A zombie is gone.
    """
    try:
        with open(f"/proc/{pid}/stat", "rb") as file:
            fields = file.read().rpartition(b")")[2].split()
    except (FileNotFoundError, ProcessLookupError):
        return 0
    return 0 if fields[0] in (b"Z", b"X") else int(fields[19])


def is_alive(pid: int, started: int) -> bool:
    """Whether `pid` is still the process that started at `started` (see `start_time`)."""
    return pid > 0 and started > 0 and start_time(pid) == started


def send_signal(pid: int, started: int, number: int) -> bool:
    """Signal the process of that pid and start time; False when it is gone.

    By pidfd, opened before the start time is checked, so that a reused pid is never hit.
    """
    if pid <= 0:
        return False  # it ended while the caller waited for its turn
    try:
        fd = os.pidfd_open(pid)
    except ProcessLookupError:
        return False
    try:
        if not is_alive(pid, started):
            return False
        signal.pidfd_send_signal(fd, number)
        return True
    except ProcessLookupError:
        return False
    finally:
        os.close(fd)
