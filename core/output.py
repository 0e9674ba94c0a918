"""What a process writes, read always and handed on to whoever looks.

Nobody may keep a process waiting for long by not reading. One that falls behind is waited for only
a moment, unless it is `patient`: the client of a foreground `run`, for which the process waits as
it would for a pipe. Once the process is dead nobody is waited for.
"""

from __future__ import annotations

import asyncio
import os
from abc import ABC, abstractmethod
from collections import deque

# A session this far behind makes the reader stop, until it has caught up to half.
_BEHIND = 4 << 20
# So far only when its process is dead and others still write to its output.
_MOST_BEHIND = 64 << 20
# How long a session may read nothing meanwhile before it is dropped.
_PATIENCE = 2.0
PACKET = 65536
# Reads in one go of the event loop, so that a flood does not starve the others.
_BURST = 64


class Session:
    """One client of an output: it reads from now on, and may write input."""

    def __init__(self, console: Output, stdin: bool, patient: bool) -> None:
        self._console = console
        self._stdin = stdin
        self._queue: deque[tuple[int, bytes]] = deque()
        self._ready = asyncio.Event()
        self._ended = False
        self.patient = patient
        self.size = 0
        # Why it ended, when it was not the end of the output.
        self.dropped = False

    @property
    def tty(self) -> bool:
        """Whether the output comes from a terminal, all of it as stream 1."""
        return self._console.tty

    async def read(self) -> tuple[int, bytes] | None:
        """The next output as stream (1 stdout, 2 stderr) and bytes; None at the end."""
        while not self._queue:
            if self._ended:
                return None
            self._ready.clear()
            await self._ready.wait()
        stream, data = self._queue.popleft()
        parts = [data]
        total = len(data)
        while self._queue and self._queue[0][0] == stream and total < PACKET:
            parts.append(self._queue.popleft()[1])
            total += len(parts[-1])
        self.size -= total
        self._console.caught_up()
        return stream, b"".join(parts)

    async def write(self, data: bytes) -> None:
        """Give input to the process; waits while it takes none. Dropped once it has ended."""
        if self._stdin and not self._ended:
            await self._console.write(data)

    async def close_stdin(self) -> None:
        """The client's input is at its end: the process's is too, if it was started for that."""
        if self._stdin:
            self._stdin = False
            await self._console.close_stdin()

    async def resize(self, rows: int, cols: int) -> None:
        """Set the terminal's size, in characters."""
        await self._console.resize(rows, cols)

    def close(self) -> None:
        """Leave. What was not read is gone; the process goes on, its input as `close_stdin`."""
        if self._stdin:
            self._stdin = False
            self._console.end_input()
        self._console.forget(self)
        self.end()

    def push(self, stream: int, data: bytes) -> None:
        """Take output (the output's side)."""
        self._queue.append((stream, data))
        self.size += len(data)
        self._ready.set()

    def end(self) -> None:
        """There will be no more output (the output's side)."""
        self._ended = True
        self._ready.set()


class Output(ABC):
    """The streams of one process, through one descriptor or several.

    Who knows what these are says so: `_packet`, `write`, `end_input`, `resize`, `close`.
    """

    def __init__(self, sources: list[int], tty: bool) -> None:
        self.tty = tty
        self._loop = asyncio.get_running_loop()
        self._sources = sources
        self._sessions: list[Session] = []
        self._input = asyncio.Lock()
        self._reading = False
        self._timer: asyncio.TimerHandle | None = None
        self._pidfd = -1
        self.ended = asyncio.Event()

    @abstractmethod
    def _packet(self, source: int) -> tuple[int, bytes] | None:
        """The next of a source's output as (stream, bytes); None at its end.

        Raises BlockingIOError when there is none now.
        """

    @abstractmethod
    def _finished(self, source: int) -> None:
        """A source has come to its end."""

    @abstractmethod
    async def write(self, data: bytes) -> None:
        """Give input to the process, in the order of the calls; waits while it takes none."""

    @abstractmethod
    def end_input(self) -> None:
        """`close_stdin` without waiting for input that is on its way."""

    @abstractmethod
    async def resize(self, rows: int, cols: int) -> None:
        """Set the terminal's size, where there is one; of many in a row the last is what stays."""

    async def close_stdin(self) -> None:
        """End the process's input, if it was started for that; else it stays open."""
        async with self._input:
            self.end_input()

    def watch_process(self, pid: int) -> None:
        """Hold nothing back once `pid` is dead: what is left then is less than a pipe."""
        try:
            self._pidfd = os.pidfd_open(pid)
        except ProcessLookupError:
            return
        self._loop.add_reader(self._pidfd, self._process_died)

    def _process_died(self) -> None:
        self._drop_pidfd()
        self._resume()

    def _drop_pidfd(self) -> None:
        if self._pidfd >= 0:
            self._loop.remove_reader(self._pidfd)
            os.close(self._pidfd)
            self._pidfd = -1

    def session(self, stdin: bool, *, patient: bool = False) -> Session:
        """A new client. `patient`: the process waits for it when it is slow, for ever."""
        session = Session(self, stdin, patient)
        if self.ended.is_set():
            session.end()
        else:
            self._sessions.append(session)
        return session

    def forget(self, session: Session) -> None:
        """A session has left (the session's side)."""
        if session in self._sessions:
            self._sessions.remove(session)
        self.caught_up()

    def _read(self, source: int) -> None:
        for _ in range(_BURST):
            if not self._take(source):
                return

    def _take(self, source: int) -> bool:
        """Hand on one packet; False when there is none now, or no more are to be read."""
        try:
            packet = self._packet(source)
        except BlockingIOError:
            return False
        if packet is None:
            self._finished(source)
            return False
        for session in self._sessions:
            session.push(*packet)
        return not (any(session.size > _BEHIND for session in self._sessions) and self._hold())

    def _hold(self) -> bool:
        """Stop reading while the process lives; after that, only a flood loses a session."""
        if self._pidfd >= 0:
            self._pause()
            return True
        for session in [s for s in self._sessions if s.size > _MOST_BEHIND]:
            session.dropped = True
            session.close()
        return False

    def _pause(self) -> None:
        for source in self._sources:
            self._loop.remove_reader(source)
        self._reading = False
        if any(not s.patient and s.size > _BEHIND for s in self._sessions):
            self._timer = self._loop.call_later(_PATIENCE, self._drop_stalled)

    def _drop_stalled(self) -> None:
        self._timer = None
        for session in [s for s in self._sessions if not s.patient and s.size > _BEHIND // 2]:
            session.dropped = True
            session.close()

    def caught_up(self) -> None:
        """A session has read or left (the session's side): perhaps reading goes on."""
        if self._reading or self.ended.is_set():
            return
        if self._timer is not None:
            # Progress: slow is not stalled.
            self._timer.cancel()
            self._timer = None
        if all(session.size <= _BEHIND // 2 for session in self._sessions):
            self._resume()
        elif any(not s.patient and s.size > _BEHIND // 2 for s in self._sessions):
            self._timer = self._loop.call_later(_PATIENCE, self._drop_stalled)

    def _resume(self) -> None:
        if not self._reading and not self.ended.is_set():
            for source in self._sources:
                self._loop.add_reader(source, self._read, source)
            self._reading = True

    def _end(self) -> None:
        self._stop_reading()
        self.ended.set()
        for session in self._sessions:
            session.end()
        self._sessions.clear()

    def _stop_reading(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        if self._reading:
            for source in self._sources:
                self._loop.remove_reader(source)
            self._reading = False
        self._drop_pidfd()

    @abstractmethod
    def close(self) -> None:
        """Let go of the process's streams; sessions end once they have read what there was."""
