"""The processes that unpack layers: Python's lock would have threads of one process take turns.

The first one only imports what they need, and forks: that takes milliseconds where a start takes a
tenth of a second, and they share its memory. Its standard input is a socket of packets (unix(7),
SOCK_SEQPACKET): each brings two descriptors, the socket of a process to be forked and a pipe. What
became of it, as waitpid(2) tells, is written there; until it has ended the pipe stays open.

A job is JSON with the layer's folder and the descriptor of a pipe, or of a file that may still be
growing to a size; a `GROWN` says that it did. The answers are counts of bytes read, and what came
out. When the other end is closed, by an engine that gives up or that died, a process ends at once.
"""

from __future__ import annotations

import contextlib
import gc
import json
import logging
import os
import queue
import select
import socket
import threading
from dataclasses import asdict
from pathlib import Path
from typing import Any, NoReturn

from ..host.errors import BayError
from .unpacking import unpack

log = logging.getLogger(__name__)

GROWN = b"+"
PACKET = 64 << 10
# Bytes between two words about progress.
_STEP = 1 << 20

Json = dict[str, Any]


class _Blob:
    """`read(n)` over the file, waiting for what has not come yet."""

    def __init__(self, fd: int, size: int, grown: threading.Event) -> None:
        self._fd = fd
        self._size = size
        self._grown = grown
        self._place = 0

    def read(self, size: int = -1, /) -> bytes:
        """At most `size` bytes; b"" only at the end."""
        while self._place < self._size:
            # Before looking: a word that comes in between is not lost.
            self._grown.clear()
            left = self._size - self._place
            data = os.pread(self._fd, left if size < 0 else min(size, left), self._place)
            if data:
                self._place += len(data)
                return data
            self._grown.wait()
        return b""


class _Pipe:
    """`read(n)` over the pipe: whoever fills it ends this process rather than closing it early."""

    def __init__(self, fd: int) -> None:
        self._fd = fd

    def read(self, size: int = -1, /) -> bytes:
        """At most `size` bytes; b"" only at the end."""
        return os.read(self._fd, size)


def main() -> None:
    """Fork processes until the socket is closed."""
    logging.basicConfig(format="%(levelname)s %(name)s: %(message)s")
    line = socket.socket(fileno=0)
    # Nothing here goes round in circles for long: the processes end when they have no work, and
    # looking for such would take time, and copy what they share.
    gc.disable()
    # By a descriptor of the process: its pid, and where to write.
    forked: dict[int, tuple[int, int]] = {}
    poll = select.poll()
    poll.register(line, select.POLLIN)
    while True:
        for fd, _ in poll.poll():
            if fd in forked:
                poll.unregister(fd)
                _bury(fd, *forked.pop(fd))
                continue
            try:
                data, given, _, _ = socket.recv_fds(line, PACKET, 2)
            except OSError:
                data = b""
            if not data:
                os._exit(0)
            try:
                pid = _fork()
            except OSError as error:
                log.error("cannot fork a process that unpacks layers: %s", error.strerror)
                for fd in given:  # fewer, where there was no room for them
                    os.close(fd)
                continue
            if not pid:
                for other, (_, told) in forked.items():
                    os.close(other)
                    os.close(told)
                _live(line, given[0])
            os.close(given[0])
            watched = os.pidfd_open(pid)
            forked[watched] = (pid, given[1])
            poll.register(watched, select.POLLIN)


def _fork() -> int:
    """fork(2), if one more descriptor can be had afterwards. Raises OSError."""
    place = os.open(os.devnull, os.O_RDONLY | os.O_CLOEXEC)
    try:
        return os.fork()
    finally:
        os.close(place)


def _bury(watched: int, pid: int, told: int) -> None:
    status = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
    os.close(watched)
    # An engine that died asks no more.
    with contextlib.suppress(OSError):
        os.write(told, b"%d" % status)
    os.close(told)


def _live(parents: socket.socket, fd: int) -> NoReturn:
    """The forked process: an error is seen in the engine's log, and ends this process alone."""
    try:
        # In the place of the parent's: a file could become the standard input else.
        os.dup2(fd, parents.detach())
        os.close(fd)
        _serve(socket.socket(fileno=0))
    except BaseException:
        log.exception("a process that unpacks layers failed")
    finally:
        os._exit(1)


def _serve(line: socket.socket) -> None:
    """Do jobs until the socket is closed, which ends the process."""
    jobs: queue.SimpleQueue[tuple[Json, int]] = queue.SimpleQueue()
    grown = threading.Event()
    threading.Thread(target=_listen, args=(line, jobs, grown), daemon=True).start()
    while True:
        job, fd = jobs.get()
        try:
            answer = _work(job, fd, grown, line)
        finally:
            os.close(fd)
        try:
            line.send(json.dumps(answer).encode())
        except OSError:
            os._exit(0)


def _listen(
    line: socket.socket, jobs: queue.SimpleQueue[tuple[Json, int]], grown: threading.Event
) -> None:
    """Take what the engine says; when it says no more, end the process, whatever it is doing."""
    try:
        # An engine that dies with words of ours unread resets the line.
        with contextlib.suppress(OSError):
            while True:
                data, descriptors, _, _ = socket.recv_fds(line, PACKET, 1)
                if not data:
                    break
                if data == GROWN:
                    grown.set()
                else:
                    jobs.put((json.loads(data), descriptors[0]))
    finally:
        os._exit(0)


def _work(job: Json, fd: int, grown: threading.Event, line: socket.socket) -> Json:
    told = 0

    def progress(count: int) -> None:
        nonlocal told
        if count - told >= _STEP:
            told = count
            # Nobody waits for it: a full socket holds older words, of a closed one `_listen` hears.
            with contextlib.suppress(OSError):
                line.send(b"%d" % count, socket.MSG_DONTWAIT)

    try:
        size = job["size"]
        source = _Pipe(fd) if size is None else _Blob(fd, size, grown)
        found = unpack(Path(job["folder"]), source, progress, ahead=job["ahead"])
    except BayError as error:
        return {"error": type(error).__name__, "message": str(error)}
    except OSError as error:
        return {"errno": error.errno, "message": error.strerror or str(error)}
    except MemoryError:
        return {"error": "BayError", "message": "there is not enough memory to unpack a layer"}
    return {**asdict(found), "head": found.head.hex()}


if __name__ == "__main__":
    main()
