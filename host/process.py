"""Other processes: running a command to its end, and telling one process from its successor."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass

# Debian's root has sbin in its PATH, a process started by su or cron may not.
PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"


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


async def run_async(
    argv: Sequence[str], *, stdin: bytes | None = None, timeout: float = 60
) -> Finished:
    """`run` for the event loop."""
    return await asyncio.get_running_loop().run_in_executor(
        None, lambda: run(argv, stdin=stdin, timeout=timeout)
    )


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
