"""A container's files as `docker cp` sees them: its layers, volumes and binds, running or not.

Neither what the kernel makes up (/proc, /sys, /dev) nor tmpfs is in it, as with Docker. The mounts
are made in a mount namespace of their own, of which a thread pivots away all of the host's: it
lives as long as the view, pins nobody else's mounts, and ends with the process at the latest.
"""

from __future__ import annotations

import errno
import os
import stat
import threading
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from ..host import syscalls
from ..host.errors import BayError, NotFoundError
from ..host.inroot import make_mount_point, open_inside
from . import subpaths
from .types import Container

_FOLDER = os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC
_ETC = ("resolv.conf", "hostname", "hosts")


@dataclass(frozen=True)
class Bind:
    """`subpath` of `source`, a path of the host, shown at `target` in the container."""

    source: str
    target: str
    writable: bool
    subpath: str = ""


class RootView:
    """The root folder of a container by descriptor: `fd` (O_PATH). A context manager; blocks.

    Paths below `fd` must be opened with RESOLVE_IN_ROOT, from any thread.
    """

    def __init__(self, merged: Path, binds: Sequence[Bind] = ()) -> None:
        self.fd = -1
        self._namespace = -1
        self._error: BaseException | None = None
        if not binds:
            self.fd = os.open(merged, _FOLDER)
            return
        # A namespace belongs to a thread and cannot be left: this one is made for it and ends.
        thread = threading.Thread(target=self._enter, args=(merged, binds), name="bay-rootview")
        thread.start()
        thread.join()
        if self._error is not None:
            self.close()
            raise self._error

    def __enter__(self) -> RootView:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Let go; the kernel takes the mounts away."""
        for fd in (self.fd, self._namespace):
            if fd >= 0:
                os.close(fd)
        self.fd = self._namespace = -1

    def _enter(self, merged: Path, binds: Sequence[Bind]) -> None:
        try:
            syscalls.unshare(syscalls.CLONE_NEWNS)
            self._namespace = os.open("/proc/thread-self/ns/mnt", os.O_RDONLY | os.O_CLOEXEC)
            syscalls.mount("", "/", "", syscalls.MS_REC | syscalls.MS_PRIVATE)
            for bind in binds:
                _bind(merged, bind)
            os.chdir(merged)
            syscalls.pivot_root(".", ".")
            syscalls.umount(".", syscalls.MNT_DETACH)
            self.fd = os.open("/", _FOLDER)
        except BaseException as error:
            self._error = error


def binds_of(container: Container) -> list[Bind]:
    """What is mounted into a container from the host, outer targets first."""
    parts = {point["Destination"]: path for point, path in subpaths.wanted(container)}
    found = [
        Bind(point["Source"], target, bool(point["RW"]), parts.get(target, ""))
        for point in container.mounts
        if point["Type"] != "tmpfs" and (target := point["Destination"])
    ]
    taken = {bind.target for bind in found}
    for name in _ETC:
        if (container.bundle / name).exists() and f"/etc/{name}" not in taken:
            found.append(Bind(str(container.bundle / name), f"/etc/{name}", True))
    return sorted(found, key=lambda bind: bind.target)


def _bind(merged: Path, bind: Bind) -> None:
    try:
        source = _source(bind)
    except (FileNotFoundError, NotADirectoryError):
        raise NotFoundError(
            f"cannot see the container's files: {bind.source}, mounted at {bind.target}, is gone"
        ) from None
    try:
        # Made where it is missing, as for the container when it starts.
        folder = stat.S_ISDIR(os.fstat(source).st_mode)
        target = make_mount_point(merged, bind.target, folder=folder)
        try:
            shown, place = f"/proc/self/fd/{source}", f"/proc/self/fd/{target}"
            syscalls.mount(shown, place, "", syscalls.MS_BIND | syscalls.MS_REC)
        finally:
            os.close(target)
    finally:
        os.close(source)
    if not bind.writable:
        # The mount just made lies over the old descriptor: it is found by its path again.
        target = open_inside(merged, bind.target, os.O_PATH)
        try:
            flags = syscalls.MS_BIND | syscalls.MS_REMOUNT | syscalls.MS_RDONLY
            syscalls.mount("", f"/proc/self/fd/{target}", "", flags)
        finally:
            os.close(target)


def _source(bind: Bind) -> int:
    if bind.subpath:
        return open_inside(Path(bind.source), bind.subpath, os.O_PATH | os.O_CLOEXEC)
    return os.open(bind.source, os.O_PATH | os.O_CLOEXEC)


def explain(error: OSError, path: str, container: Container) -> BayError:
    """What a failing call on a container's path means, in Docker's words where it has some."""
    if error.errno in (errno.ENOENT, errno.ENOTDIR):
        return NotFoundError(f"Could not find the file {path} in container {container.name}")
    return BayError(f"{path} in container {container.name}: {error.strerror or error}")
