"""Processes in the cgroups they belong to, without the kernel's wait for each move.

Who moves a task to another cgroup waits for a grace period, 5 to 15 ms (the writer's side of
cgroup_threadgroup_rwsem, kernel/cgroup/cgroup.c), unless somebody moved one within the last 10 ms
or so. A start has two such moves, of conmon and of the container. The first needs none where the
thread that starts it stands in the right cgroup (v1 tells threads apart); the second is spared the
wait by moves to nowhere that begin with the start.
"""

from __future__ import annotations

import asyncio
import contextlib
import functools
import os
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import ParamSpec, TypeVar

from . import cgroups

P = ParamSpec("P")
T = TypeVar("T")

# Seconds between two moves to nowhere; well within a grace period.
_BEAT = 0.004
# About a grace period: as long again others wait for nothing.
_EXPECTING = 0.01


def _leave() -> None:
    """Take the calling thread to the root of every v1 hierarchy, as far as it may."""
    me = str(threading.get_native_id())
    for base, path in _own():
        if path != "/" and base != cgroups.layout().unified:
            with contextlib.suppress(OSError):
                (base / "tasks").write_text(me)


def _own() -> list[tuple[Path, str]]:
    """Where the calling thread is: each hierarchy's mount point, and the path below it."""
    return _places(Path("/proc/thread-self/cgroup").read_text(encoding="utf-8"))


def _places(text: str) -> list[tuple[Path, str]]:
    """`_own` of what proc(5) says of a thread."""
    fields = [line.split(":", 2) for line in text.splitlines()]
    return [
        (base, path)
        for _, names, path in fields
        if (base := cgroups.mount_point(names)) is not None
    ]


_outside = ThreadPoolExecutor(4, thread_name_prefix="bay-spawn", initializer=_leave)


def warm() -> None:
    """Have the first thread outside ready before somebody waits for it."""
    _outside.submit(int)


async def outside(function: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
    """`host.threads.complete` in a thread whose children are born at the root of v1's hierarchies.

    In v2 they are born where the engine is: see `cgroups.move_to_root`.
    """
    call = functools.partial(function, *args, **kwargs)
    future = asyncio.get_running_loop().run_in_executor(_outside, call)
    try:
        return await asyncio.shield(future)
    except asyncio.CancelledError:
        await asyncio.wait([future])
        raise


class _Hurry:
    """The thread that moves itself to where it is, for as long as somebody is in a hurry."""

    def __init__(self) -> None:
        self._wanted = threading.Event()
        self._users = 0
        self._lock = threading.Lock()
        self._thread: threading.Thread | None = None
        # Its own: where it was when it last looked, what to write, and the files for both.
        self._seen = self._me = b""
        self._look = self._fd = -1

    def enter(self) -> None:
        """One more is in a hurry; returns at once."""
        with self._lock:
            self._users += 1
            self._wanted.set()
            if self._thread is None:
                thread = threading.Thread(target=self._run, name="bay-hurry", daemon=True)
                with contextlib.suppress(RuntimeError):  # no thread to be had: then without hurry
                    thread.start()
                    self._thread = thread

    @property
    def idle(self) -> bool:
        """Whether nobody is in a hurry."""
        return not self._users

    def leave(self) -> None:
        """One less."""
        with self._lock:
            self._users -= 1
            if not self._users:
                self._wanted.clear()

    def _run(self) -> None:
        while self._wanted.wait():
            # Where this cannot be done, starts wait as they would without it.
            with contextlib.suppress(OSError):
                self._move()
            time.sleep(_BEAT)

    def _move(self) -> None:
        """Until nobody is in a hurry."""
        try:
            while self._wanted.is_set():
                os.write(self._place(), self._me)
                time.sleep(_BEAT)
        except OSError:
            self._seen = b""
            raise

    def _place(self) -> int:
        """Where to write `_me`, to be moved to where one is.

        Looked up each time, since systemd may move us; by one system call where it did not, since
        each gives up Python's lock for as long as the event loop takes to do.
        """
        if self._look < 0:
            self._look = os.open("/proc/thread-self/cgroup", os.O_RDONLY | os.O_CLOEXEC)
        seen = os.pread(self._look, 1 << 16, 0)
        if seen == self._seen:
            return self._fd
        base, path = _places(seen.decode())[0]
        if base == cgroups.layout().unified:
            name, self._me = "cgroup.procs", str(os.getpid()).encode()
        else:
            name, self._me = "tasks", str(threading.get_native_id()).encode()
        if self._fd >= 0:
            os.close(self._fd)
            self._fd = -1
        self._fd = os.open(base / path.lstrip("/") / name, os.O_WRONLY | os.O_CLOEXEC)
        self._seen = seen
        return self._fd


_hurry = _Hurry()


def expect() -> None:
    """Somebody has come to the event loop and may be about to start something.

    The grace period that the first move waits for passes while they say what they want.
    """
    if _hurry.idle:
        _hurry.enter()
        asyncio.get_running_loop().call_later(_EXPECTING, _hurry.leave)


@contextlib.contextmanager
def hurried() -> Iterator[None]:
    """While inside, moves of others wait for no grace period, but for the first 10 ms or so."""
    _hurry.enter()
    try:
        yield
    finally:
        _hurry.leave()
