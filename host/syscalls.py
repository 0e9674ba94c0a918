"""System calls Python has no function for, through the C library.

Each raises OSError with the kernel's errno. They follow the man pages of the same names.
"""

from __future__ import annotations

import ctypes
import os

_libc = ctypes.CDLL(None, use_errno=True)

MS_RDONLY = 1
MS_NOSUID = 2
MS_NODEV = 4
MS_NOEXEC = 8
MS_REMOUNT = 32
MS_BIND = 4096
MS_REC = 16384
MS_PRIVATE = 1 << 18
MS_SLAVE = 1 << 19
MS_SHARED = 1 << 20
MNT_FORCE = 1
MNT_DETACH = 2
UMOUNT_NOFOLLOW = 8
CLONE_NEWNS = 0x00020000
CLONE_NEWNET = 0x40000000

RESOLVE_NO_XDEV = 0x01
RESOLVE_NO_MAGICLINKS = 0x02
RESOLVE_NO_SYMLINKS = 0x04
RESOLVE_BENEATH = 0x08
RESOLVE_IN_ROOT = 0x10
_RENAME_EXCHANGE = 2
_AT_FDCWD = -100
_SYS_OPENAT2 = 437  # the same on every architecture
_SYS_PIVOT_ROOT = {"x86_64": 155, "aarch64": 41, "riscv64": 41, "ppc64le": 203, "s390x": 217}


def _check(result: int, what: str) -> int:
    if result < 0:
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number), what)
    return result


def mount(source: str, target: str, kind: str, flags: int = 0, data: str = "") -> None:
    """mount(2). `data` over 4095 bytes is cut by the kernel without a word, so it is refused."""
    raw = os.fsencode(data)
    if len(raw) > 4095:
        raise OSError(7, "mount options over 4095 bytes", target)
    _check(
        _libc.mount(
            os.fsencode(source), os.fsencode(target), kind.encode(), ctypes.c_ulong(flags), raw
        ),
        target,
    )


def umount(target: str, flags: int = 0) -> None:
    """umount2(2)."""
    _check(_libc.umount2(os.fsencode(target), flags), target)


def unshare(flags: int) -> None:
    """unshare(2), for the calling thread."""
    _check(_libc.unshare(flags), "unshare")


def setns(fd: int, kind: int) -> None:
    """setns(2), for the calling thread."""
    _check(_libc.setns(fd, kind), "setns")


def pivot_root(new: str, old: str) -> None:
    """pivot_root(2), for the calling thread's mount namespace."""
    number = _SYS_PIVOT_ROOT.get(os.uname().machine)
    if number is None:
        raise OSError(38, "pivot_root has no known number on this machine", new)
    _check(_libc.syscall(ctypes.c_long(number), os.fsencode(new), os.fsencode(old)), new)


def exchange(one: str, other: str) -> None:
    """renameat2(2) with RENAME_EXCHANGE: what the two paths name changes places, atomically."""
    flags = ctypes.c_uint(_RENAME_EXCHANGE)
    _check(
        _libc.renameat2(_AT_FDCWD, os.fsencode(one), _AT_FDCWD, os.fsencode(other), flags), other
    )


def syncfs(fd: int) -> None:
    """syncfs(2): everything written to the file system of `fd` is on the disk."""
    _check(_libc.syncfs(fd), "syncfs")


class _OpenHow(ctypes.Structure):
    _fields_ = [
        ("flags", ctypes.c_uint64),
        ("mode", ctypes.c_uint64),
        ("resolve", ctypes.c_uint64),
    ]


def openat2(folder: int, path: str | bytes, flags: int, mode: int = 0, resolve: int = 0) -> int:
    """openat2(2): open `path` below the folder fd, resolved by the `RESOLVE_*` rules."""
    how = _OpenHow(flags | os.O_CLOEXEC, mode, resolve)
    name = os.fsencode(path)
    return _check(
        _libc.syscall(
            ctypes.c_long(_SYS_OPENAT2), folder, name, ctypes.byref(how), ctypes.sizeof(how)
        ),
        os.fsdecode(name),
    )
