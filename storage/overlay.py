"""Mounting overlayfs: lower layers, a writable one, the merged view.

By the mount API of file descriptors (fsopen(2)…), which takes up to 500 layers of any path; on
kernels whose overlayfs knows no `FSCONFIG_SET_FD` (before 6.13) by mount(2) with
`/proc/self/fd/N` as paths, since its options end at 4095 bytes.
"""

from __future__ import annotations

import ctypes
import errno
import os
import threading
from collections.abc import Sequence
from pathlib import Path

from ..host import files, syscalls
from ..host.errors import BayError, NoSpaceError

# The defaults of this kernel may differ (modprobe.d). redirect_dir and metacopy leave marks in
# the upper directory that mean nothing without its lower ones; index refuses copied layers.
_OPTIONS = (("redirect_dir", "nofollow"), ("metacopy", "off"), ("index", "off"))

# The same numbers on every architecture.
_SYS_MOVE_MOUNT, _SYS_FSOPEN, _SYS_FSCONFIG, _SYS_FSMOUNT = 429, 430, 431, 432
_CLOEXEC = 1
_SET_STRING, _SET_FD, _CREATE = 1, 5, 6
_MOVE_EMPTY_PATH = 4

_libc = ctypes.CDLL(None, use_errno=True)


class _TooOldError(Exception):
    """This kernel's overlayfs takes no descriptors."""


def mount(lowers: Sequence[Path], upper: Path, work: Path, target: Path) -> None:
    """Mount the overlay at `target`; `lowers` from the top one to the bottom one.

    Raises BayError, NoSpaceError for one, with the kernel's own words where it has any.
    """
    folders = []
    try:
        for path in (upper, work, *lowers):
            folders.append(os.open(path, os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC))
        try:
            _mount_by_fds(folders[2:], folders[0], folders[1], target)
        except _TooOldError:
            _mount_by_options(folders[2:], folders[0], folders[1], target)
    except OSError as error:
        # Overlayfs makes a folder of its own in `work`.
        kind = NoSpaceError if error.errno in (errno.ENOSPC, errno.EDQUOT) else BayError
        raise kind(f"cannot mount the layers at {target}: {error.strerror or error}") from error
    finally:
        for fd in folders:
            os.close(fd)


def view(lowers: Sequence[Path], place: Path) -> int:
    """A descriptor (O_PATH) of the root of these layers, the top one first, read-only.

    It is mounted nowhere: the mount ends when the descriptor is closed, at the latest with this
    process. `place` is any folder, needed on old kernels. Raises BayError.
    """
    folders: list[int] = []
    try:
        for path in lowers:
            folders.append(os.open(path, os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC))
        if len(folders) < 2:  # overlayfs wants two layers when none is writable
            return os.dup(folders[0]) if folders else _empty()
        try:
            return _create(_lower_options(folders))
        except _TooOldError:
            return _view_by_mount(lowers, place)
    except OSError as error:
        raise BayError(f"cannot look into the layers: {error.strerror or error}") from error
    finally:
        for fd in folders:
            os.close(fd)


def _empty() -> int:
    """An image without layers has an empty root."""
    context = _call(_SYS_FSOPEN, b"tmpfs", _CLOEXEC)
    try:
        _config(context, _CREATE, None, None, 0)
        return _call(_SYS_FSMOUNT, context, _CLOEXEC, 0)
    finally:
        os.close(context)


def _view_by_mount(lowers: Sequence[Path], place: Path) -> int:
    """The same by mount(2), in a mount namespace that ends with its thread; the fd stays."""
    made: list[int | OSError] = []

    def work() -> None:
        try:
            syscalls.unshare(syscalls.CLONE_NEWNS)
            syscalls.mount("", "/", "", syscalls.MS_REC | syscalls.MS_PRIVATE)
            # Opened here: the kernel takes no folder of another namespace's mounts.
            folders = [os.open(p, os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC) for p in lowers]
            data = f"lowerdir={':'.join(f'/proc/self/fd/{fd}' for fd in folders)}"
            try:
                syscalls.mount("overlay", str(place), "overlay", syscalls.MS_RDONLY, data)
            finally:
                for fd in folders:
                    os.close(fd)
            made.append(os.open(place, os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC))
        except OSError as error:
            made.append(error)

    thread = threading.Thread(target=work, name="bay-view")
    thread.start()
    thread.join()
    if isinstance(made[0], OSError):
        raise made[0]
    return made[0]


def unmount(target: Path) -> None:
    """Unmount what is at `target`, if anything; lazily when something still uses it."""
    for flags in (syscalls.UMOUNT_NOFOLLOW, syscalls.UMOUNT_NOFOLLOW | syscalls.MNT_DETACH):
        try:
            syscalls.umount(str(target), flags)
            return
        except OSError as error:
            if error.errno in (errno.EINVAL, errno.ENOENT):
                return
            if error.errno != errno.EBUSY:
                raise BayError(f"cannot unmount {target}: {error.strerror}") from error


def is_mounted(target: Path) -> bool:
    """Whether something is mounted at `target`, be it a folder of the same file system."""
    try:
        return _mount_id(target) != _mount_id(target.parent)
    except FileNotFoundError:
        return False


def _mount_id(path: Path) -> str:
    """The kernel's number of the mount that `path` is on (proc_pid_fdinfo(5))."""
    fd = os.open(path, os.O_PATH | os.O_NOFOLLOW | os.O_CLOEXEC)
    try:
        for line in files.read_text(f"/proc/self/fdinfo/{fd}").splitlines():
            if line.startswith("mnt_id:"):
                return line
    finally:
        os.close(fd)
    raise BayError(f"the kernel does not tell what {path} is mounted on")


def _mount_by_fds(lowers: Sequence[int], upper: int, work: int, target: Path) -> None:
    options = [*_lower_options(lowers), (_SET_FD, "upperdir", upper), (_SET_FD, "workdir", work)]
    mounted = _create(options)
    try:
        _call(_SYS_MOVE_MOUNT, mounted, b"", -100, os.fsencode(target), _MOVE_EMPTY_PATH)
    finally:
        os.close(mounted)


# A command of fsconfig(2), a key, and a value or a descriptor.
_Option = tuple[int, str, str | int]


def _lower_options(lowers: Sequence[int]) -> list[_Option]:
    return [(_SET_FD, "lowerdir+", fd) for fd in lowers]


def _create(options: Sequence[_Option]) -> int:
    """An overlay mounted nowhere yet: its descriptor. Raises OSError, _TooOldError."""
    context = _call(_SYS_FSOPEN, b"overlay", _CLOEXEC)
    try:
        _config(context, _SET_STRING, b"source", b"overlay", 0)
        given: list[_Option] = [*options, *((_SET_STRING, key, value) for key, value in _OPTIONS)]
        for command, key, value in given:
            try:
                if isinstance(value, int):
                    _config(context, command, key.encode(), None, value)
                else:
                    _config(context, command, key.encode(), value.encode(), 0)
            except OSError as error:
                # Before 6.5 the old mount API stands behind the new one and refuses every
                # descriptor with EOPNOTSUPP; from then to 6.13 only the key is known.
                if key == "lowerdir+" and error.errno in (errno.EINVAL, errno.EOPNOTSUPP):
                    raise _TooOldError from error
                raise
        try:
            _config(context, _CREATE, None, None, 0)
            return _call(_SYS_FSMOUNT, context, _CLOEXEC, 0)
        except OSError as error:
            raise OSError(error.errno, _kernel_says(context) or error.strerror) from error
    finally:
        os.close(context)


def _mount_by_options(lowers: Sequence[int], upper: int, work: int, target: Path) -> None:
    def path(fd: int) -> str:
        return f"/proc/self/fd/{fd}"

    options = [f"lowerdir={':'.join(map(path, lowers))}"]
    options += [f"upperdir={path(upper)}", f"workdir={path(work)}"]
    options += [f"{key}={value}" for key, value in _OPTIONS]
    syscalls.mount("overlay", str(target), "overlay", 0, ",".join(options))


def _kernel_says(context: int) -> str:
    """The messages the kernel left on the context (fsconfig(2))."""
    lines = []
    try:
        while line := os.read(context, 4096):
            lines.append(line.decode(errors="replace").strip().removeprefix("e "))
    except OSError:
        pass  # ENODATA: no more
    return "; ".join(lines)


def _config(context: int, command: int, key: bytes | None, value: bytes | None, aux: int) -> None:
    _call(_SYS_FSCONFIG, context, command, key, value, aux)


def _call(number: int, *args: int | bytes | None) -> int:
    # Variadic: an int must be passed as a full word, or its upper half is undefined.
    words = [ctypes.c_long(arg) if isinstance(arg, int) else arg for arg in args]
    result: int = _libc.syscall(ctypes.c_long(number), *words)
    if result < 0:
        code = ctypes.get_errno()
        if number == _SYS_FSOPEN and code == errno.ENOSYS:
            raise _TooOldError
        raise OSError(code, os.strerror(code))
    return result
