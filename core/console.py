"""The output, input and size of one container or exec, through its conmon's attach socket.

conmon blocks on a client that does not read, and with it the container, its log and its exit
file (conmon 2.1). So one `Console` per container reads always and hands on to its sessions.
"""

from __future__ import annotations

import asyncio
import errno
import os
import socket
from pathlib import Path

from ..host.files import read_text
from .output import PACKET, Output, Session

__all__ = ["Console", "Session"]

# conmon cuts a longer packet without a word.
_LONGEST_INPUT = 32768
# conmon applies the first of several sizes it finds in its FIFO, for each of them.
_RESIZE_PAUSE = 0.05
# More packets than a socket's buffer takes (unix(7), SO_SNDBUF), each with its overhead.
_MOST_WAITING = 4096
_STDIO = {2: 1, 3: 2}


class Console(Output):
    """conmon's end of one process: `open` it between create and start, `close` it at the exit."""

    def __init__(self, folder: Path, tty: bool, stdin_once: bool) -> None:
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        super().__init__([self._socket.fileno()], tty)
        self._folder = folder
        self._stdin_once = stdin_once and not tty
        self._socket.setblocking(False)
        self._size: tuple[int, int] | None = None
        self._resizing: asyncio.Task[None] | None = None

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

    def _packet(self, source: int) -> tuple[int, bytes] | None:
        while True:
            try:
                packet = self._socket.recv(PACKET)
            except ConnectionResetError:
                # conmon left input of ours unread; its output is still in the queue behind this.
                continue
            return (_STDIO.get(packet[0], 1), packet[1:]) if packet else None

    def _finished(self, source: int) -> None:
        self._end()

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

    def end_input(self) -> None:
        """End the process's input if it was started with `stdin_once`; else it stays open."""
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

    def close(self) -> None:
        """Let go of the socket; sessions end. With `stdin_once` the process's input ends too.

        What conmon has sent is handed on first: it writes the exit file after the last output, but
        the file may be seen before the event loop has come to the socket.
        """
        self._drop_pidfd()
        for _ in range(_MOST_WAITING):
            if self.ended.is_set() or not self._take(self._sources[0]):
                break
        self._end()
        if self._resizing is not None:
            self._resizing.cancel()
        self._socket.close()
