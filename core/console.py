"""The output, input and size of one container or exec, through its conmon's attach socket.

conmon blocks on a client that does not read, and with it the container, its log and its exit
file (conmon 2.1). So one `Console` per container reads always and hands on to its sessions. One
that falls behind is waited for only a moment, unless it is `patient`: the client of a foreground
`run`, for which the process waits as it would for a pipe. Once the process is dead nobody is
waited for.
"""

from __future__ import annotations

import asyncio
import errno
import os
import socket
from collections import deque
from pathlib import Path

from ..host.files import read_text

# A session this far behind makes the console stop reading, until it has caught up to half.
_BEHIND = 4 << 20
# So far only when its process is dead and others still write to its output.
_MOST_BEHIND = 64 << 20
# How long a session may read nothing meanwhile before it is dropped.
_PATIENCE = 2.0
# conmon cuts a longer packet without a word.
_LONGEST_INPUT = 32768
_PACKET = 65536
# Reads in one go of the event loop, so that a flood does not starve the others.
_BURST = 64
# conmon applies the first of several sizes it finds in its FIFO, for each of them.
_RESIZE_PAUSE = 0.05
# More packets than a socket's buffer takes (unix(7), SO_SNDBUF), each with its overhead.
_MOST_WAITING = 4096
_STDIO = {2: 1, 3: 2}


class Session:
    """One client of a console: it reads output from now on, and may write input."""

    def __init__(self, console: Console, stdin: bool, patient: bool) -> None:
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
        while self._queue and self._queue[0][0] == stream and total < _PACKET:
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
        """Take output (the console's side)."""
        self._queue.append((stream, data))
        self.size += len(data)
        self._ready.set()

    def end(self) -> None:
        """There will be no more output (the console's side)."""
        self._ended = True
        self._ready.set()


class Console:
    """conmon's end of one process: `open` it between create and start, `close` it at the exit."""

    def __init__(self, folder: Path, tty: bool, stdin_once: bool) -> None:
        self.tty = tty
        self._folder = folder
        self._stdin_once = stdin_once and not tty
        self._loop = asyncio.get_running_loop()
        self._sessions: list[Session] = []
        self._input = asyncio.Lock()
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        self._socket.setblocking(False)
        self._reading = False
        self._timer: asyncio.TimerHandle | None = None
        self._pidfd = -1
        self._size: tuple[int, int] | None = None
        self._resizing: asyncio.Task[None] | None = None
        self.ended = asyncio.Event()

    @classmethod
    async def open(cls, bundle: Path, tty: bool, stdin_once: bool = False) -> Console:
        """Connect to the conmon of `bundle`. Its output from now on is read and handed on.

        `stdin_once` as in `Launch`. Raises OSError (ECONNREFUSED, ENOENT) when conmon is gone.
        """
        console = cls(bundle, tty, stdin_once)
        try:
            console._connect()
        except BaseException:
            console._socket.close()
            raise
        if pid := int(read_text(bundle / "pidfile", "0").strip() or 0):
            console.watch_process(pid)
        console._resume()
        return console

    def _connect(self) -> None:
        """By the folder's descriptor: a socket's path may have 107 characters only."""
        folder = os.open(self._folder, os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            self._socket.connect(f"/proc/self/fd/{folder}/attach")
        finally:
            os.close(folder)

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

    def _read(self) -> None:
        for _ in range(_BURST):
            if not self._take():
                return

    def _take(self) -> bool:
        """Hand on one packet; False when there is none now, or no more are to be read."""
        try:
            packet = self._socket.recv(_PACKET)
        except BlockingIOError:
            return False
        except ConnectionResetError:
            # conmon left input of ours unread; its output is still in the queue behind this.
            return True
        if not packet:
            self._end()
            return False
        stream = _STDIO.get(packet[0], 1)
        for session in self._sessions:
            session.push(stream, packet[1:])
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
        self._loop.remove_reader(self._socket)
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
            self._loop.add_reader(self._socket, self._read)
            self._reading = True

    async def write(self, data: bytes) -> None:
        """Give input to the process, in the order of the calls; waits while it takes none."""
        async with self._input:
            view = memoryview(data)
            while view and not self.ended.is_set():
                try:
                    await self._loop.sock_sendall(self._socket, view[:_LONGEST_INPUT])
                except OSError as error:
                    # The process or its stdin has ended: Docker drops the rest as well.
                    if error.errno not in (errno.EPIPE, errno.ECONNRESET, errno.EBADF):
                        raise
                    return
                view = view[_LONGEST_INPUT:]

    async def close_stdin(self) -> None:
        """End the process's input, if it was started with `stdin_once`; else it stays open."""
        async with self._input:
            self.end_input()

    def end_input(self) -> None:
        """`close_stdin` without waiting for input that is on its way."""
        if not self._stdin_once:
            return
        try:
            self._socket.shutdown(socket.SHUT_WR)
        except OSError as error:
            if error.errno not in (errno.ENOTCONN, errno.EPIPE, errno.EBADF):
                raise

    async def resize(self, rows: int, cols: int) -> None:
        """Set the terminal's size; of many in a row the last is what stays."""
        self._size = (rows, cols)
        if self._resizing is None or self._resizing.done():
            self._send_size()
            self._resizing = self._loop.create_task(self._settle_size())

    def _send_size(self) -> None:
        size, self._size = self._size, None
        if size is None:
            return
        try:
            fd = os.open(self._folder / "ctl", os.O_WRONLY | os.O_NONBLOCK | os.O_CLOEXEC)
        except OSError as error:
            # conmon has ended, and the terminal with it.
            if error.errno not in (errno.ENXIO, errno.ENOENT):
                raise
            return
        try:
            os.write(fd, f"1 {size[0]} {size[1]}\n".encode())
        except BrokenPipeError:
            pass  # it ended just now
        finally:
            os.close(fd)

    async def _settle_size(self) -> None:
        await asyncio.sleep(_RESIZE_PAUSE)
        while self._size is not None:
            self._send_size()
            await asyncio.sleep(_RESIZE_PAUSE)

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
            self._loop.remove_reader(self._socket)
            self._reading = False
        self._drop_pidfd()

    def close(self) -> None:
        """Let go of the socket; sessions end. With `stdin_once` the process's input ends too.

        What conmon has sent is handed on first: it writes the exit file after the last output, but
        the file may be seen before the event loop has come to the socket.
        """
        self._drop_pidfd()
        for _ in range(_MOST_WAITING):
            if self.ended.is_set() or not self._take():
                break
        self._end()
        if self._resizing is not None:
            self._resizing.cancel()
        self._socket.close()
