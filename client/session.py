"""A hijacked connection: a container's streams, after the HTTP handshake."""

from __future__ import annotations

import _socket

from .frames import EXIT, STDOUT, Demultiplexer
from .http import Response


class Session:
    """Two-way stream to a container's process, of attach or exec. Close it when done.

    `tty` decides the form: raw bytes for a terminal, multiplexed frames otherwise.
    """

    def __init__(self, response: Response, tty: bool) -> None:
        kind = response.headers.get("content-type", "")
        # Since API 1.42 the engine says the form itself; then the container need not be asked.
        if kind == "application/vnd.docker.multiplexed-stream":
            tty = False
        self._response = response
        self._demultiplexer = None if tty else Demultiplexer()
        self._first = response.take_buffer()
        self.tty = tty
        # Of `POST /bay/containers/ID/exec`: what it runs as, and the code behind its output.
        self.exec_id = response.headers.get("bay-exec", "")
        self._code = b""

    @property
    def socket(self) -> _socket.socket:
        """The socket beneath, for select()."""
        return self._response.link.socket

    @property
    def exit_code(self) -> int | None:
        """What the engine told behind the output; None without."""
        return int(self._code) if self._code else None

    @property
    def pending(self) -> bool:
        """Whether `receive` returns without waiting although select() sees nothing."""
        return bool(self._first)

    def receive(self) -> list[tuple[int, bytes]] | None:
        """The next output as (stream, bytes), maybe none yet; None at the end of the stream."""
        if self._first:
            data, self._first = self._first, b""
        else:
            try:
                data = self.socket.recv(64 * 1024)
            except ConnectionError:
                return None
            if not data:
                return None
        if self._demultiplexer is None:
            return [(STDOUT, data)]
        pieces = self._demultiplexer.feed(data)
        while pieces and pieces[-1][0] == EXIT:  # the last frame, perhaps in pieces
            self._code += pieces.pop()[1]
        return pieces

    def send(self, data: bytes) -> int:
        """Write to the process's stdin; the number of bytes taken."""
        return self.socket.send(data)

    def send_all(self, data: bytes) -> None:
        """Write all of `data` to the process's stdin, waiting as long as it takes."""
        self.socket.sendall(data)

    def close_stdin(self) -> None:
        """End of the process's stdin; its output goes on."""
        try:
            self.socket.shutdown(_socket.SHUT_WR)
        except OSError:
            return  # the other side has closed all of it

    def close(self) -> None:
        """Let go of the streams; the process stays."""
        self._response.close()

    def __enter__(self) -> Session:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()
