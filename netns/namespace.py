"""Network namespaces pinned by a bind mount, as `ip netns` has them (network_namespaces(7)).

A namespace is made by a short-lived thread that unshares: forking the engine for it would cost
milliseconds per MB it holds and is unsafe among threads. The mount keeps it for the OCI runtime,
for `container:ID` and across a restart of the engine.
"""

from __future__ import annotations

import errno
import os
import threading
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

from ..host import syscalls
from . import sysctl
from .netlink import Netlink, ignoring

T = TypeVar("T")


class Namespace:
    """An open network namespace: `fd` names it to the kernel, `netlink` configures it."""

    def __init__(self, path: Path, fd: int, netlink: Netlink) -> None:
        self.path = path
        self.fd = fd
        self.netlink = netlink

    @classmethod
    def create(cls, path: Path) -> Namespace:
        """Make a namespace and pin it at `path`; blocks about 1.5 ms. Raises OSError.

        Links born in it have IPv6 off until an IPv6 address is given to them, as Docker has it: a
        link-local address alone makes resolvers ask for addresses that lead nowhere.
        """

        def born() -> tuple[int, Netlink]:
            syscalls.unshare(syscalls.CLONE_NEWNET)
            fd = os.open("/proc/thread-self/ns/net", os.O_RDONLY | os.O_CLOEXEC)
            try:
                sysctl.write("net/ipv6/conf/default/disable_ipv6", "1")
                return fd, Netlink()
            except BaseException:
                os.close(fd)
                raise

        fd, netlink = in_thread(born)
        try:
            path.parent.mkdir(parents=True, exist_ok=True, mode=0o711)
            path.touch(mode=0o444, exist_ok=False)
            syscalls.mount(f"/proc/self/fd/{fd}", str(path), "", syscalls.MS_BIND)
        except BaseException:
            netlink.close()
            os.close(fd)
            with ignoring(errno.ENOENT):
                path.unlink()
            raise
        return cls(path, fd, netlink)

    @classmethod
    def open(cls, path: Path) -> Namespace:
        """Open the namespace pinned at `path`. Raises FileNotFoundError, or OSError EINVAL."""
        fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
        try:
            return cls(path, fd, inside(fd, Netlink))
        except BaseException:
            os.close(fd)
            raise

    def run(self, function: Callable[[], T]) -> T:
        """Run `function` in this namespace, in a thread of its own, and return its result."""
        return inside(self.fd, function)

    def close(self) -> None:
        """Let go of it; it lives on while it is pinned or a process is in it."""
        self.netlink.close()
        os.close(self.fd)

    def __enter__(self) -> Namespace:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def inside(fd: int, function: Callable[[], T]) -> T:
    """Run `function` in the namespace of `fd`, in a short-lived thread; never in a pool's."""

    def entered() -> T:
        syscalls.setns(fd, syscalls.CLONE_NEWNET)
        return function()

    return in_thread(entered)


def in_thread(function: Callable[[], T]) -> T:
    """Run `function` in a thread that ends with it, and return or raise what it did."""
    done: list[T] = []
    failed: list[BaseException] = []

    def run() -> None:
        try:
            done.append(function())
        except BaseException as error:
            failed.append(error)

    thread = threading.Thread(target=run, name="bay-netns", daemon=True)
    thread.start()
    thread.join()
    if failed:
        raise failed[0]
    return done[0]


def is_pinned(path: Path) -> bool:
    """Whether `path` is a pinned namespace, and not the empty file that a reboot leaves of one."""
    try:
        return path.stat().st_dev != path.parent.stat().st_dev
    except FileNotFoundError:
        return False


def unpin(path: Path) -> None:
    """Take the pin away: the kernel removes namespace and links once no process is in it."""
    with ignoring(errno.ENOENT, errno.EINVAL):
        syscalls.umount(str(path), syscalls.MNT_DETACH | syscalls.UMOUNT_NOFOLLOW)
    with ignoring(errno.ENOENT):
        path.unlink()
