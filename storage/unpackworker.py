"""The process that unpacks layers: Python's lock would have threads of one process take turns.

Its standard input is a socket of packets (unix(7), SOCK_SEQPACKET). A job is JSON with the layer's
folder and the descriptor of a pipe, or of a file that may still be growing to a size; a `GROWN`
says that it did. The answers are counts of bytes read, and what came out. When the other end is
closed, by an engine that gives up or that died, the process ends at once.
"""

from __future__ import annotations

import contextlib
import json
import logging
import os
import queue
import socket
import threading
from dataclasses import asdict
from pathlib import Path
from typing import Any

from ..host.errors import BayError
from .unpacking import unpack

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
    """Do jobs until the socket is closed."""
    logging.basicConfig(format="%(levelname)s %(name)s: %(message)s")
    line = socket.socket(fileno=0)
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
