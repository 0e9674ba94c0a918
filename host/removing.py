"""Removing trees, with more hands where the disk makes each of them wait.

On a file system that discards at once (ext4 mounted with `discard` and without a journal), removing
a file waits for the device, some milliseconds each: 100,000 files took eight minutes, one after
another. Where it is the kernel's work alone, which is usual, one thread does it and others have
the processors.
"""

from __future__ import annotations

import contextlib
import os
import resource
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from . import syscalls

_FOLDER = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
_DEPTH = 100
# Files that one hand takes at a time, and such handfuls that may wait for a hand.
_HANDFUL, _WAITING = 32, 64
_HANDS = 16
# From so many times a file on that the processor was given away, the disk is what one waits for.
_WAITS_A_FILE = 0.5


def remove(path: Path, spare: Path, stopping: threading.Event | None = None) -> list[Path]:
    """Remove a file, or a folder with all in it; blocks. No link is followed, no mount entered.

    What lies too deep for descriptors is moved into the folder `spare` of the same disk: the caller
    removes what this returns next. Once `stopping` is set it ends soon, with the rest left.
    Raises OSError for the first that could not be removed, once all else is: ENOTEMPTY or ENOENT
    when somebody writes to the tree meanwhile.
    """
    if path.is_symlink() or not path.is_dir():
        path.unlink(missing_ok=True)
        return []
    work = _Removal(spare, stopping or threading.Event())
    work.run(path)
    return work.rests


class _Folder:
    """An open folder that goes once `pending` is none: its walker, handfuls, folders in it."""

    __slots__ = ("above", "fd", "name", "pending")

    def __init__(self, fd: int, name: str, above: _Folder | None) -> None:
        self.fd = fd
        self.name = name
        self.above = above
        self.pending = 1


class _Removal:
    def __init__(self, spare: Path, stopping: threading.Event) -> None:
        self.rests: list[Path] = []
        self._spare = spare
        self._stopping = stopping
        self._lock = threading.Lock()
        self._error: OSError | None = None
        self._hands: ThreadPoolExecutor | None = None
        self._room = threading.Semaphore(_WAITING)
        self._alone = 0
        self._waits = _waits()

    def run(self, path: Path) -> None:
        try:
            self._walk(_Folder(os.open(path, _FOLDER), "", None))
        finally:
            if self._hands is not None:
                self._hands.shutdown()
        if self._error is not None:
            raise self._error
        if not self._stopping.is_set():
            path.rmdir()

    def _walk(self, top: _Folder) -> None:
        stack = [(top, self._folders(top))]
        try:
            while stack:
                folder, inner = stack[-1]
                name = next(inner, None)
                if name is None or self._stopping.is_set():
                    self._done(stack.pop()[0])
                    continue
                if len(stack) > _DEPTH:
                    self._put_aside(folder, name)
                    continue
                with self._noted():
                    resolve = syscalls.RESOLVE_NO_XDEV
                    fd = syscalls.openat2(folder.fd, name, _FOLDER, resolve=resolve)
                    self._add(folder)
                    child = _Folder(fd, name, folder)
                    stack.append((child, self._folders(child)))
        finally:
            while stack:
                self._done(stack.pop()[0])

    def _folders(self, folder: _Folder) -> Iterator[str]:
        """The names of the folders in it, once all else in it is on its way out."""
        folders: list[str] = []
        files: list[str] = []
        with self._noted(), os.scandir(folder.fd) as entries:
            for entry in entries:
                (folders if entry.is_dir(follow_symlinks=False) else files).append(entry.name)
        for start in range(0, len(files), _HANDFUL):
            self._add(folder)
            self._take(folder, files[start : start + _HANDFUL])
        yield from folders

    def _take(self, folder: _Folder, names: list[str]) -> None:
        if self._hands is not None:
            self._room.acquire()
            self._hands.submit(self._by_hand, folder, names)
            return
        self._unlink(folder, names)
        self._alone += len(names)
        if self._alone >= _HANDFUL:
            before, self._waits = self._waits, _waits()
            if self._waits - before > _WAITS_A_FILE * self._alone:
                self._hands = ThreadPoolExecutor(_HANDS, thread_name_prefix="bay-removing")
            self._alone = 0

    def _by_hand(self, folder: _Folder, names: list[str]) -> None:
        try:
            self._unlink(folder, names)
        finally:
            self._room.release()

    def _unlink(self, folder: _Folder, names: list[str]) -> None:
        for name in names:
            if self._stopping.is_set():
                break
            # A folder that is written to may have listed it twice (readdir(3)).
            with self._noted(), contextlib.suppress(FileNotFoundError):
                os.unlink(name, dir_fd=folder.fd)
        self._done(folder)

    def _put_aside(self, folder: _Folder, name: str) -> None:
        rest = self._spare / os.urandom(16).hex()
        with self._noted():
            os.rename(name, rest, src_dir_fd=folder.fd)
            self.rests.append(rest)

    def _add(self, folder: _Folder) -> None:
        with self._lock:
            folder.pending += 1

    def _done(self, folder: _Folder | None) -> None:
        """One less is pending in the folder; the last one removes it, and those above likewise."""
        while folder is not None:
            with self._lock:
                folder.pending -= 1
                if folder.pending:
                    return
            os.close(folder.fd)
            if folder.above is not None and not self._stopping.is_set():
                with self._noted():
                    os.rmdir(folder.name, dir_fd=folder.above.fd)
            folder = folder.above

    @contextlib.contextmanager
    def _noted(self) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            with self._lock:
                self._error = self._error or error


def _waits() -> int:
    """How often this thread gave the processor away to wait (getrusage(2))."""
    return resource.getrusage(resource.RUSAGE_THREAD).ru_nvcsw
