"""The processes that unpack layers, started when there is something worth it.

An engine that dies leaves none: they end when their socket does. Until the last of them has ended
they hold a lock on the folder of the layers, for which the next engine waits before it sweeps.
"""

from __future__ import annotations

import contextlib
import fcntl
import itertools
import json
import os
import select
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

from ..host import errors
from ..host.errors import BayError, ConflictError
from .growing import Growing
from .unpacking import Unpacked, unpack
from .unpackworker import GROWN, PACKET

# Compressed bytes from which a layer is worth another process; and one that is there anyway.
WORTH = 2 << 20
SMALL = 64 << 10
# Seconds an idle process is kept, and those to wait for the processes of an engine that died.
_IDLE = 5.0
_PATIENCE = 30.0
# Milliseconds between two looks whether the work is still wanted.
_LOOK = 200
_PIPE = 1 << 20


class Unpackers:
    """Unpacks into folders below `root`. Thread-safe; its methods block."""

    def __init__(self, root: Path) -> None:
        self._fence = os.open(root, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        self._lock = threading.Lock()
        self._parent: _Parent | None = None
        # How many unpack, and who waits for work.
        self._busy = 0
        self._idle: list[_Worker] = []
        self._timer: threading.Timer | None = None
        try:
            _wait_for_all(self._fence, root)
        except BaseException:
            os.close(self._fence)
            raise

    def unpack(
        self,
        folder: Path,
        source: Growing,
        on_progress: Callable[[int], None] | None,
        *,
        ahead: bool,
    ) -> Unpacked:
        """What `unpacking.unpack` does, in another process, which has ended if this raises."""
        source.reach(0)
        with self._worker() as worker:
            return worker.follow(folder, source, on_progress, ahead)

    def feed(
        self, folder: Path, chunks: Iterator[bytes], on_progress: Callable[[int], None] | None
    ) -> Unpacked:
        """The same for what only this process can read: through a pipe, if it is worth it."""
        first: list[bytes] = []
        size = 0
        for chunk in chunks:
            first.append(chunk)
            size += len(chunk)
            if size >= WORTH:
                with self._worker() as worker:
                    return worker.feed(folder, itertools.chain(first, chunks), on_progress)
        return unpack(folder, first, on_progress, ahead=False)

    def warm(self, count: int) -> None:
        """Have so many processes start, which takes them a tenth of a second, for work to come."""
        with self._lock:
            missing = count - len(self._idle)
        for _ in range(missing):
            self._keep(self._new())

    @contextlib.contextmanager
    def _worker(self) -> Iterator[_Worker]:
        with self._lock:
            self._busy += 1
            worker = self._idle.pop() if self._idle else None
        try:
            if worker is not None and not worker.lives:
                worker.end()
                worker = None
            worker = worker or self._new()
            try:
                yield worker
            except BaseException:
                worker.end()
                raise
            self._keep(worker)
        finally:
            with self._lock:
                self._busy -= 1
                self._set_timer()

    def _new(self) -> _Worker:
        with self._lock:
            if self._parent is not None:
                try:
                    return self._parent.fork()
                except ConnectionError:
                    self._parent.end()  # somebody killed it while it had nothing to do
                    self._parent = None
            self._parent = _Parent(self._fence)
            return self._parent.fork()

    def _keep(self, worker: _Worker) -> None:
        with self._lock:
            self._idle.append(worker)
            self._set_timer()

    def _set_timer(self) -> None:
        if self._timer is None:
            self._timer = threading.Timer(_IDLE, self._trim)
            self._timer.daemon = True
            self._timer.start()

    def close(self) -> None:
        """End all that are idle; nobody may be unpacking any more."""
        with self._lock:
            timer, self._timer = self._timer, None
        if timer is not None:
            timer.cancel()
        self._trim()
        os.close(self._fence)

    def _trim(self) -> None:
        with self._lock:
            self._timer = None
            idle, self._idle = self._idle, []
            for worker in idle:
                worker.end()
            # Those that are busy are its children: it has to tell what becomes of them.
            if not self._busy and self._parent is not None:
                self._parent.end()
                self._parent = None


class _Parent:
    """The process that forks the others: see unpackworker.py."""

    def __init__(self, fence: int) -> None:
        self._line, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        try:
            with theirs:
                self._child = subprocess.Popen(
                    [sys.executable, "-P", "-m", "bayplan.storage.unpackworker"],
                    stdin=theirs.fileno(),
                    stdout=subprocess.DEVNULL,
                    # Its descriptor carries the lock that the next engine waits for.
                    pass_fds=[fence],
                    start_new_session=True,
                )
        except OSError as error:
            self._line.close()
            raise BayError(f"cannot start a process to unpack in: {error.strerror}") from error

    def fork(self) -> _Worker:
        """One more process; ConnectionError if this one is no more. It need not have started."""
        ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        told, tell = os.pipe()
        try:
            with theirs:
                socket.send_fds(self._line, [GROWN], [theirs.fileno(), tell])
        except BaseException:
            ours.close()
            os.close(told)
            raise
        finally:
            os.close(tell)
        return _Worker(ours, told)

    def end(self) -> None:
        """End the process, and wait for that; none that it forked may be busy."""
        self._line.close()
        self._child.kill()
        self._child.wait()


class _Worker:
    """One process: our ends of its socket, and of the pipe that tells of its end."""

    def __init__(self, line: socket.socket, told: int) -> None:
        self._line = line
        self._told = told
        self._status: int | None = None
        self._kills = _memory_kills()

    def follow(
        self,
        folder: Path,
        source: Growing,
        on_progress: Callable[[int], None] | None,
        ahead: bool,
    ) -> Unpacked:
        """Unpack a file while it grows."""
        self._order(folder, source.fileno(), source.size, ahead)
        place = 0
        while place < source.size:
            place = source.reach(place)
            self._tell_grown()
            if (unpacked := self._hear(on_progress, 0)) is not None:
                return unpacked
        while (unpacked := self._hear(on_progress, _LOOK)) is None:
            source.check()
        return unpacked

    def feed(
        self, folder: Path, chunks: Iterator[bytes], on_progress: Callable[[int], None] | None
    ) -> Unpacked:
        """Unpack what the chunks make up, handed over through a pipe."""
        theirs, ours = os.pipe()
        try:
            try:
                fcntl.fcntl(ours, fcntl.F_SETPIPE_SZ, _PIPE)
                self._order(folder, theirs, None, True)
            finally:
                os.close(theirs)
            for chunk in chunks:
                if (unpacked := self._hear(on_progress, 0)) is not None:
                    return unpacked
                if not _fill(ours, chunk):
                    break  # it will say why it wants no more
        except BaseException:
            # Before the pipe is closed: half an archive is not to be taken for a whole one.
            self.end()
            raise
        finally:
            os.close(ours)
        while (unpacked := self._hear(on_progress, -1)) is None:
            pass
        return unpacked

    def _order(self, folder: Path, fd: int, size: int | None, ahead: bool) -> None:
        job = {"folder": str(folder), "size": size, "ahead": ahead}
        try:
            socket.send_fds(self._line, [json.dumps(job).encode()], [fd])
        except ConnectionError:
            raise self._lost() from None

    def _lost(self) -> BayError:
        status = self.end()
        what = "the process that unpacked a layer"
        if status is None:
            return BayError(
                f"{what} was not started, or ended unseen: the engine's log may say why"
            )
        if status >= 0:
            return BayError(f"{what} ended with status {status}: the engine's log may say why")
        name = signal.Signals(-status).name
        if status == -signal.SIGKILL and _memory_kills() > self._kills:
            return BayError(
                f"{what} was killed ({name}), and the kernel has been killing for want of memory:"
                " free some, and try again"
            )
        return BayError(f"{what} was killed ({name}): try again")

    def _tell_grown(self) -> None:
        try:
            self._line.send(GROWN, socket.MSG_DONTWAIT)
        except BlockingIOError:
            pass  # it has such words waiting
        except ConnectionError:
            raise self._lost() from None

    def _hear(self, on_progress: Callable[[int], None] | None, wait: int) -> Unpacked | None:
        """Take what the process said, waiting for the first word at most `wait` ms (-1: long)."""
        poll = select.poll()
        poll.register(self._line, select.POLLIN)
        while poll.poll(wait):
            try:
                data = self._line.recv(PACKET)
            except ConnectionError:
                data = b""
            if not data:
                raise self._lost()
            if data.isdigit():
                wait = 0
                if on_progress is not None:
                    on_progress(int(data))
                continue
            return _result(data)
        return None

    @property
    def lives(self) -> bool:
        """Whether the process is still there."""
        poll = select.poll()
        poll.register(self._told, select.POLLIN)
        return not poll.poll(0)

    def end(self) -> int | None:
        """End the process, whatever it does, and wait for that.

        What waitpid(2) told of it, a signal as a negative number; None when nobody knows.
        """
        self._line.close()
        if self._told >= 0:
            try:
                if said := os.read(self._told, 16):
                    self._status = int(said)
                while os.read(self._told, 16):
                    pass
            finally:
                told, self._told = self._told, -1
                os.close(told)
        return self._status


def _memory_kills() -> int:
    """How many processes the kernel has killed for want of memory, in any cgroup: proc(5)."""
    for line in Path("/proc/vmstat").read_text(encoding="ascii").splitlines():
        if line.startswith("oom_kill "):
            return int(line.split()[1])
    return 0


def _fill(pipe: int, data: bytes) -> bool:
    """Write all of `data`; False when nobody reads any more."""
    view = memoryview(data)
    try:
        while view:
            view = view[os.write(pipe, view) :]
    except BrokenPipeError:
        return False
    return True


def _result(data: bytes) -> Unpacked:
    answer = json.loads(data)
    if "errno" in answer:
        raise OSError(answer["errno"], answer["message"])
    if "error" in answer:
        kind = getattr(errors, answer["error"], BayError)
        raise kind(answer["message"])
    return Unpacked(**{**answer, "head": bytes.fromhex(answer["head"])})


def _wait_for_all(fence: int, root: Path) -> None:
    """Wait for those of an engine that died, and hold the lock with those that are to come."""
    end = time.monotonic() + _PATIENCE
    while True:
        try:
            fcntl.flock(fence, fcntl.LOCK_EX | fcntl.LOCK_NB)
            break
        except BlockingIOError:
            if time.monotonic() > end:
                raise ConflictError(
                    f"a process of an engine that died still unpacks below {root}: wait for its end"
                ) from None
            time.sleep(0.02)
    fcntl.flock(fence, fcntl.LOCK_SH)
