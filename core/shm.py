"""/dev/shm that several containers share: a tmpfs on the host, for IpcMode `shareable`.

Others join it with `container:ID`. A private one needs none of this: its /dev/shm is mounted by
the runtime and goes with it.
"""

from __future__ import annotations

import errno
import os
from pathlib import Path

from ..host.syscalls import (
    MNT_DETACH,
    MS_NODEV,
    MS_NOEXEC,
    MS_NOSUID,
    UMOUNT_NOFOLLOW,
    mount,
    umount,
)
from .options import Options

DEFAULT_SIZE = 64 << 20


def folder(options: Options, container_id: str) -> Path:
    """Where a container's shared /dev/shm is mounted while it runs."""
    return options.run_root / "shm" / container_id


def make(options: Options, container_id: str, size: int) -> Path:
    """Mount it, `size` bytes at most; fine when it is mounted."""
    path = folder(options, container_id)
    path.mkdir(mode=0o700, parents=True, exist_ok=True)
    if not os.path.ismount(path):
        flags = MS_NOSUID | MS_NODEV | MS_NOEXEC
        mount("shm", str(path), "tmpfs", flags, f"mode=1777,size={size or DEFAULT_SIZE}")
    return path


def remove(options: Options, container_id: str) -> None:
    """Unmount it, for those who have it mounted once they end. Fine when there is none."""
    path = folder(options, container_id)
    try:
        umount(str(path), MNT_DETACH | UMOUNT_NOFOLLOW)
    except OSError as error:
        if error.errno not in (errno.EINVAL, errno.ENOENT):
            raise
    try:
        path.rmdir()
    except FileNotFoundError:
        pass
