"""The streams of a process that is a child of ours, through pipes."""

from __future__ import annotations

import asyncio
import contextlib
import fcntl
import os

from .output import PACKET, Output

# What a process may write while no engine reads; by default a pipe takes 64 KiB.
_CAPACITY = 1 << 20
# What the pipes have at the end is handed on; who still writes then (a child left behind) is not
# waited for.
_MOST_WAITING = 2 * _CAPACITY // PACKET


def make_pipe() -> tuple[int, int]:
    """A pipe (read end, write end) with room for what is written while no engine reads."""
    ends = os.pipe()
    # Refused over the user's limit (pipe(7), pipe-user-pages-soft): then it stays as it is.
    with contextlib.suppress(OSError):
        fcntl.fcntl(ends[1], fcntl.F_SETPIPE_SZ, _CAPACITY)
    return ends


class Pipes(Output):
    """Our ends of a process's pipes, from its start to its `close`.

    `outputs` are the read ends by stream (1 stdout, 2 stderr), `stdin` the write end or -1. All
    are closed here.
    """

    def __init__(self, outputs: dict[int, int], stdin: int) -> None:
        super().__init__(list(outputs.values()), tty=False)
        self._streams = {fd: stream for stream, fd in outputs.items()}
        self._stdin = stdin
        self._waiting: asyncio.Future[None] | None = None
        for fd in (*self._streams, *([stdin] if stdin >= 0 else [])):
            os.set_blocking(fd, False)
        self._resume()

    def _packet(self, source: int) -> tuple[int, bytes] | None:
        data = os.read(source, PACKET)
        return (self._streams[source], data) if data else None

    def _finished(self, source: int) -> None:
        """Nobody can write to it any more; the process may go on without."""
        if self._reading:
            self._loop.remove_reader(source)
        self._sources.remove(source)

    async def write(self, data: bytes) -> None:
        """Give input to the process, in the order of the calls; waits while it takes none."""
        async with self._input:
            view = memoryview(data)
            while view and self._stdin >= 0:
                try:
                    view = view[os.write(self._stdin, view[:PACKET]) :]
                except BlockingIOError:
                    await self._room()
                except BrokenPipeError:
                    return  # it has ended: Docker drops the rest as well

    async def _room(self) -> None:
        """Wait until the process takes input again, or never will."""
        self._waiting = self._loop.create_future()
        self._loop.add_writer(self._stdin, self._go_on)
        try:
            await self._waiting
        finally:
            self._waiting = None
            if self._stdin >= 0:
                self._loop.remove_writer(self._stdin)

    def _go_on(self) -> None:
        if self._waiting is not None and not self._waiting.done():
            self._waiting.set_result(None)

    def end_input(self) -> None:
        """End the process's input; what was written before is still read."""
        if self._stdin >= 0:
            self._loop.remove_writer(self._stdin)
            os.close(self._stdin)
            self._stdin = -1
            self._go_on()

    async def resize(self, rows: int, cols: int) -> None:
        """There is no terminal."""

    def close(self) -> None:
        """The process has ended: hand on what it wrote last, and close our ends."""
        self._drop_pidfd()
        for source in list(self._sources):
            for _ in range(_MOST_WAITING):
                if self.ended.is_set() or not self._take(source):
                    break
        self._end()
        self.end_input()
        for fd in self._streams:
            os.close(fd)
        self._streams.clear()
