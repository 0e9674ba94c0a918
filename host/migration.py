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


def _leave() -> None:
    """Take the calling thread to the root of every v1 hierarchy, as far as it may."""
    me = str(threading.get_native_id())
    for base, path in _own():
        if path != "/" and base != cgroups.layout().unified:
            with contextlib.suppress(OSError):
                (base / "tasks").write_text(me)


def _own() -> list[tuple[Path, str]]:
    """Where the calling thread is: each hierarchy's mount point, and the path below it."""
    with open("/proc/thread-self/cgroup", encoding="utf-8") as file:
        fields = [line.split(":", 2) for line in file.read().splitlines()]
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

    def enter(self) -> None:
        """One more is in a hurry; returns at once."""
        with self._lock:
            self._users += 1
            self._wanted.set()
            if self._thread is None:
                self._thread = threading.Thread(target=self._run, name="bay-hurry", daemon=True)
                self._thread.start()

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
        """Until nobody is in a hurry. Where one is, is looked up each time: systemd may move us."""
        fd, me = self._place()
        try:
            while self._wanted.is_set():
                os.write(fd, me)
                time.sleep(_BEAT)
        finally:
            os.close(fd)

    def _place(self) -> tuple[int, bytes]:
        """What to write where, to be moved to where one is."""
        base, path = _own()[0]
        if base == cgroups.layout().unified:
            name, me = "cgroup.procs", os.getpid()
        else:
            name, me = "tasks", threading.get_native_id()
        place = base / path.lstrip("/") / name
        return os.open(place, os.O_WRONLY | os.O_CLOEXEC), str(me).encode()


_hurry = _Hurry()


@contextlib.contextmanager
def hurried() -> Iterator[None]:
    """While inside, moves of others wait for no grace period, but for the first 10 ms or so."""
    _hurry.enter()
    try:
        yield
    finally:
        _hurry.leave()
