"""A folder of a volume or an image as a mount (`Subpath`): bound on the host while it is used.

Whoever writes to the volume could turn the folder into a link between a look at it and the mount.
So it is opened with links kept inside the volume, what was opened is bound to a place of the
engine's, and the container mounts that (moby does the same, volume/safepath).
"""

from __future__ import annotations

import errno
import os
import stat
from pathlib import Path, PurePosixPath

from ..host.errors import InvalidError
from ..host.inroot import open_inside
from ..host.syscalls import MNT_DETACH, MS_BIND, MS_REC, UMOUNT_NOFOLLOW, mount, umount
from .options import Options
from .types import Container, Json


def check(path: str, what: str = "volume") -> str:
    """The subpath of a mount option; InvalidError for one that leads out of the volume."""
    if path.startswith("/") or ".." in PurePosixPath(path).parts:
        raise InvalidError(f"subpath {path!r} must be a relative path within the {what}")
    return path


def folder(options: Options, container_id: str) -> Path:
    """Where a container's subpaths are bound while it runs."""
    return options.run_root / "subpaths" / container_id


def make(options: Options, container: Container) -> dict[str, str]:
    """Bind each of them: {target in the container: path on the host}; blocks.

    Raises InvalidError for one that is not there.
    """
    asked = wanted(container)
    sources: dict[str, str] = {}
    for number, (point, subpath) in enumerate(asked):
        place = folder(options, container.id) / str(number)
        place.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        _bind(point, subpath, place)
        sources[point["Destination"]] = str(place)
    return sources


def wanted(container: Container) -> list[tuple[Json, str]]:
    """The MountPoints of which only a folder is mounted, each with the path of that."""
    asked = {
        (entry["Type"], os.path.normpath(str(entry.get("Target")))): str(options["Subpath"])
        for entry in container.host_config.get("Mounts") or ()
        if (options := entry.get("VolumeOptions") or entry.get("ImageOptions") or {}).get("Subpath")
    }
    return [
        (point, asked[key])
        for point in container.mounts
        if (key := (point["Type"], point["Destination"])) in asked
    ]


def _bind(point: Json, subpath: str, place: Path) -> None:
    try:
        fd = open_inside(Path(point["Source"]), subpath, os.O_PATH | os.O_CLOEXEC)
    except OSError as error:
        why = os.strerror(error.errno or 0).lower()
        if point["Type"] == "image":
            raise InvalidError(f"cannot access subpath {subpath} of the image: {why}") from None
        raise InvalidError(
            f"cannot access subpath {subpath} of volume {point['Name']}: {why}; "
            "make it in the volume first"
        ) from None
    try:
        if stat.S_ISDIR(os.fstat(fd).st_mode):
            place.mkdir(mode=0o700, exist_ok=True)
        else:
            place.touch(mode=0o600)
        mount(f"/proc/self/fd/{fd}", str(place), "", MS_BIND | MS_REC)
    finally:
        os.close(fd)


def remove(options: Options, container_id: str) -> None:
    """Unmount them, for those who have them mounted once they end. Fine when there are none."""
    place = folder(options, container_id)
    try:
        entries = list(place.iterdir())
    except FileNotFoundError:
        return
    for entry in entries:
        _unmount(entry)
        # Only an empty folder or file can be left: never what was bound on it.
        if entry.is_dir() and not entry.is_symlink():
            entry.rmdir()
        elif entry.stat().st_size == 0:
            entry.unlink()
    place.rmdir()


def _unmount(path: Path) -> None:
    """Take away every mount on `path`: a start that failed may have left one."""
    while True:
        try:
            umount(str(path), MNT_DETACH | UMOUNT_NOFOLLOW)
        except OSError as error:
            if error.errno in (errno.EINVAL, errno.ENOENT):
                return
            raise
