"""The pump between a container's streams and this process's: the heart of run, attach and exec."""

from __future__ import annotations

import sys

from ..client.frames import STDERR
from ..client.session import Session
from ..host.light import TYPE_CHECKING
from .terminal import DetachKeys

if TYPE_CHECKING:
    import os
else:
    from ..host import lightos as os

_CHUNK = 32 * 1024


class Pump:
    """Carries stdin to the session and its output to stdout and stderr, in one thread.

    `stdin` is whether to read ours at all. With `keys`, typing them ends the pump (`detached`).
    Writing to the session never waits: a process that doesn't read its input can't stop its output.
    """

    def __init__(self, session: Session, *, stdin: bool, keys: bytes = b"") -> None:
        self.session = session
        self.detached = False
        self._stdin: int | None = sys.stdin.fileno() if stdin else None
        self._keys = DetachKeys(keys)
        self._outbox = b""
        self._input_ended = False

    def run(self) -> None:
        """Pump until the container's side closes, or the detach keys are typed."""
        sys.stdout.flush()
        sys.stderr.flush()
        if self._stdin is None:
            # Only one thing to wait for.
            while self._receive():
                pass
            return
        self.session.socket.setblocking(False)
        while not self.detached:
            readable, writable = self._wait()
            if writable:
                self._send()
            if self._stdin is not None and self._stdin in readable:
                self._read_stdin()
            if self.session.socket.fileno() in readable and not self._receive():
                return

    def _wait(self) -> tuple[list[int], bool]:
        import select  # most runs and execs have no input to watch beside the output

        sock = self.session.socket.fileno()
        if self.session.pending:
            return [sock], bool(self._outbox)
        poll = select.poll()
        poll.register(sock, select.POLLIN | (select.POLLOUT if self._outbox else 0))
        if self._stdin is not None and not self._outbox:
            poll.register(self._stdin, select.POLLIN)
        readable, writable = [], False
        for fd, event in poll.poll():
            if event & ~select.POLLOUT:
                readable.append(fd)
            writable = writable or bool(event & select.POLLOUT)
        return readable, writable

    def _receive(self) -> bool:
        """Pass on what came; False at the end of the stream."""
        try:
            pieces = self.session.receive()
        except BlockingIOError:
            return True
        if pieces is None:
            return False
        for stream, data in pieces:
            write_all(2 if stream == STDERR else 1, data)
        return True

    def _read_stdin(self) -> None:
        assert self._stdin is not None
        try:
            data = os.read(self._stdin, _CHUNK)
        except OSError:
            # A terminal that hung up, or stdin that was closed: no more input.
            data = b""
        if not data:
            self._stdin = None
            self._input_ended = True
            if not self._outbox:
                self.session.close_stdin()
            return
        passed, self.detached = self._keys.feed(data)
        self._outbox += passed
        self._send()

    def _send(self) -> None:
        try:
            while self._outbox:
                sent = self.session.send(self._outbox)
                self._outbox = self._outbox[sent:]
        except BlockingIOError:
            return
        except OSError:
            # The process is gone or has closed its input; its output says what became of it.
            self._outbox, self._stdin = b"", None
            return
        if self._input_ended:
            self.session.close_stdin()


def write_all(fd: int, data: bytes) -> None:
    """Write all of `data`. Raises BrokenPipeError when the reader has gone, which ends the verb.

    A non-blocking stdout (some terminals leave it so) is waited for.
    """
    view = memoryview(data)
    while view:
        try:
            view = view[os.write(fd, view) :]
        except BlockingIOError:
            import select

            select.select([], [fd], [])
