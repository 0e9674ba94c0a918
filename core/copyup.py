"""Filling a new volume from what the image has where it will be mounted."""

from __future__ import annotations

import os
from pathlib import Path

from ..host import files
from ..host.errors import BayError
from ..host.inroot import open_inside
from ..storage import treetar
from ..storage.applier import Applier
from ..storage.tarstream import TarStream

# Beside a volume's content while it is being filled: a crash leaves it, and the next container
# that gets the volume fills it to the end.
_MARK = "filling"


def is_due(folder: Path) -> bool:
    """Whether the volume's content is to come from the image: none is there, or half; blocks."""
    try:
        with os.scandir(folder) as entries:
            empty = next(entries, None) is None
    except FileNotFoundError:
        return False
    return empty or folder.with_name(_MARK).exists()


def copy_up(rootfs: Path, target: str, folder: Path) -> None:
    """Copy what `rootfs` has at `target` into the empty volume `folder`, with its own mode; blocks.

    Links are resolved inside `rootfs` and copied as links below `target`. Nothing happens when
    there is no folder. Another container may have the volume: whatever it puts in the way, nothing
    is written outside of it. Raises BayError when the copy fails, NoSpaceError on a full disk.
    """
    try:
        fd = open_inside(rootfs, target, os.O_RDONLY | os.O_DIRECTORY)
    except (FileNotFoundError, NotADirectoryError):
        return
    mark = folder.with_name(_MARK)
    try:
        mark.touch(mode=0o600)
        chunks = treetar.tree(Path(f"/proc/self/fd/{fd}"))
        with Applier(folder, whiteouts=False) as applier:
            applier.apply(TarStream(chunks))
        files.unlink(mark)
    except BayError as error:
        error.args = (f"could not copy {target} of the image into its volume: {error}",)
        raise
    finally:
        os.close(fd)
