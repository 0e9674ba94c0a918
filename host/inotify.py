"""Watching files by inotify(7): one file descriptor for the whole process, never closed.

Closing an inotify descriptor costs 7 to 10 ms (the kernel waits for a grace period), removing one
watch does not.
"""

from __future__ import annotations

import asyncio
import ctypes
import os
import struct
from collections.abc import Callable
from pathlib import Path

from .syscalls import _check, _libc

MODIFY = 0x2
CLOSE_WRITE = 0x8
MOVED_FROM = 0x40
MOVED_TO = 0x80
CREATE = 0x100
DELETE = 0x200
DELETE_SELF = 0x400
MOVE_SELF = 0x800
# Events the kernel sends unasked: the queue was full and some are lost; the watch is gone.
Q_OVERFLOW = 0x4000
IGNORED = 0x8000

_HEAD = struct.Struct("iIII")
_MASK_ADD = 0x20000000
Callback = Callable[[int, str], None]


class Watch:
    """One subscription; `close` ends it. Its callback gets the event's mask and file name."""

    def __init__(self, owner: Inotify, number: int, mask: int, callback: Callback) -> None:
        self._owner = owner
        self.number = number
        self.mask = mask | Q_OVERFLOW | IGNORED
        self.callback = callback

    def close(self) -> None:
        """Get no more events. Fine when closed already."""
        self._owner.remove(self)


class Inotify:
    """The process's inotify descriptor, read by the event loop that uses it."""

    _shared: Inotify | None = None

    def __init__(self) -> None:
        self._fd = _check(_libc.inotify_init1(os.O_CLOEXEC | os.O_NONBLOCK), "inotify_init1")
        self._watches: dict[int, list[Watch]] = {}
        self._loop: asyncio.AbstractEventLoop | None = None

    @classmethod
    def shared(cls) -> Inotify:
        """The one of this process, read by the running event loop from now on."""
        if cls._shared is None:
            cls._shared = cls()
        cls._shared._attach(asyncio.get_running_loop())
        return cls._shared

    def _attach(self, loop: asyncio.AbstractEventLoop) -> None:
        if self._loop is loop:
            return
        # A loop that has ended took its reader with it; its watches have no one left.
        for watch in [watch for found in self._watches.values() for watch in found]:
            self.remove(watch)
        loop.add_reader(self._fd, self._read)
        self._loop = loop

    def watch(self, path: str | Path, mask: int, callback: Callback) -> Watch:
        """Call `callback(mask, name)` for events of `mask` on `path`; `name` is "" for itself.

        `Q_OVERFLOW` may come too: look at everything again. Raises OSError as
        inotify_add_watch(2) does (ENOENT, ENOSPC over fs.inotify.max_user_watches).
        """
        name = os.fsencode(path)
        number = _check(
            _libc.inotify_add_watch(self._fd, name, ctypes.c_uint32(mask | _MASK_ADD)),
            os.fsdecode(name),
        )
        watch = Watch(self, number, mask, callback)
        self._watches.setdefault(number, []).append(watch)
        return watch

    def remove(self, watch: Watch) -> None:
        """End a subscription; the kernel's watch goes with the last one on that file."""
        found = self._watches.get(watch.number, [])
        if watch not in found:
            return
        found.remove(watch)
        if not found:
            del self._watches[watch.number]
            # EINVAL: the file is gone, and its watch with it.
            _libc.inotify_rm_watch(self._fd, watch.number)

    def _read(self) -> None:
        try:
            data = os.read(self._fd, 65536)
        except BlockingIOError:
            return
        offset = 0
        while offset < len(data):
            number, mask, _, length = _HEAD.unpack_from(data, offset)
            offset += _HEAD.size
            name = os.fsdecode(data[offset : offset + length].rstrip(b"\0"))
            offset += length
            self._deliver(number, mask, name)

    def _deliver(self, number: int, mask: int, name: str) -> None:
        if mask & Q_OVERFLOW:
            targets = [watch for found in self._watches.values() for watch in found]
        else:
            targets = list(self._watches.get(number, ()))
        if mask & IGNORED:
            self._watches.pop(number, None)
        for watch in targets:
            if mask & watch.mask:
                watch.callback(mask, name)
