"""Filling a new volume from what the image has where it will be mounted."""

from __future__ import annotations

import os
from pathlib import Path

from ..host import process
from ..host.errors import BayError
from ..host.inroot import open_inside


def copy_up(rootfs: Path, target: str, folder: Path) -> None:
    """Copy what `rootfs` has at `target` into the empty volume `folder`, with its own mode; blocks.

    Links are resolved inside `rootfs` and copied as links below `target`. Nothing happens when
    there is no folder. Raises BayError when the copy fails, a full disk for one.
    """
    try:
        fd = open_inside(rootfs, target, os.O_RDONLY | os.O_DIRECTORY)
    except (FileNotFoundError, NotADirectoryError):
        return
    try:
        # The host's own cp keeps hard links, xattrs, devices and sparse files.
        done = process.run(
            ["cp", "-a", "--", f"/proc/{os.getpid()}/fd/{fd}/.", str(folder)], timeout=3600
        )
        if done.code != 0:
            words = (done.stderr.strip() or f"cp ended with {done.code}").splitlines()[-1]
            raise BayError(f"could not copy {target} of the image into its volume: {words}")
    finally:
        os.close(fd)
