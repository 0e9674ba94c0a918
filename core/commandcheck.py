"""Whether a command can be run in a container's root, found out before the runtime is asked.

A runtime whose exec fails leaves a zombie behind: its parent is then the container's first
process, which need not reap (crun 1.8.1 under conmon). A health check of a missing command would
fill the container's pids limit with them.
"""

from __future__ import annotations

import errno
import os
import stat
from collections.abc import Sequence
from pathlib import Path

from ..host.errors import ConflictError, RuntimeFailedError
from ..host.inroot import open_inside
from .runtimeerrors import failure

_MISSING = (errno.ENOENT, errno.ENOTDIR, errno.ELOOP, errno.ENAMETOOLONG)


def check(rootfs: Path, args: Sequence[str], env: Sequence[str], cwd: str, verb: str) -> None:
    """Look `args[0]` up as execvp(3) does, links kept inside `rootfs`.

    Raises RuntimeFailedError with Docker's sentence: 127 when there is no such file, 126 when it
    is not executable; ConflictError when `rootfs`, of a process, has gone with it. What only the
    kernel can tell (a wrong format) is left to it. Blocks.
    """
    try:
        _check(rootfs, args, env, cwd, verb)
    except RuntimeFailedError:
        # Of a process that has ended /proc/PID/root leads nowhere (proc(5)): nothing was found.
        if rootfs.exists():
            raise
        raise ConflictError("the container is not running: it has just ended") from None


def _check(rootfs: Path, args: Sequence[str], env: Sequence[str], cwd: str, verb: str) -> None:
    command = args[0]
    if "/" in command:
        code = _look(rootfs, os.path.join(cwd, command))
    else:
        path = next((entry[5:] for entry in env if entry.startswith("PATH=")), "")
        found = [_look(rootfs, os.path.join(cwd, part, command)) for part in path.split(":")]
        if 0 in found:
            return
        code = errno.EACCES
        if code not in found:
            raise failure(verb, 127, f'exec: "{command}": executable file not found in $PATH')
    if code in _MISSING:
        why = os.strerror(code).lower()
        raise failure(verb, 127, f'exec: "{command}": stat {command}: {why}')
    if code == errno.EISDIR:
        raise failure(verb, 126, f'exec: "{command}": is a directory')
    if code:
        raise failure(verb, 126, f'exec: "{command}": permission denied')


def _look(rootfs: Path, path: str) -> int:
    """0 when `path` is an executable file, else an errno."""
    try:
        fd = open_inside(rootfs, path, os.O_PATH)
    except OSError as error:
        return error.errno or errno.ENOENT
    try:
        mode = os.fstat(fd).st_mode
    finally:
        os.close(fd)
    if stat.S_ISDIR(mode):
        return errno.EISDIR
    return 0 if stat.S_ISREG(mode) and mode & 0o111 else errno.EACCES
