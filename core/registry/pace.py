"""Answers that come too slowly to ever end: a byte a minute keeps any timeout of a socket away."""

from __future__ import annotations

import http.client
import io
import socket
import time
from typing import Any, cast

# So many bytes may take that many seconds of waiting: less than any line that is of use.
LEAST = 1 << 10
PATIENCE = 60.0


class PacedResponse(http.client.HTTPResponse):
    """An answer whose status line, headers and body raise TimeoutError when they only dribble.

    What is waited for counts, not what the reader does meanwhile.
    """

    def __init__(self, sock: socket.socket, *args: Any, **kwargs: Any) -> None:
        # All that http.client wants of the socket is a file.
        super().__init__(cast(socket.socket, _File(sock)), *args, **kwargs)


class _File:
    def __init__(self, sock: socket.socket) -> None:
        self._sock = sock

    def makefile(self, _mode: str) -> io.BufferedReader:
        return io.BufferedReader(_Paced(self._sock.makefile("rb", buffering=0)))


class _Paced(io.RawIOBase):
    def __init__(self, raw: io.RawIOBase) -> None:
        super().__init__()
        self._raw = raw
        self._waited = 0.0
        self._got = 0

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int | None:
        start = time.monotonic()
        count = self._raw.readinto(buffer)
        self._waited += time.monotonic() - start
        self._got += count or 0
        if self._got >= LEAST:
            self._waited, self._got = 0.0, 0
        elif count and self._waited > PATIENCE:
            raise TimeoutError
        return count

    def close(self) -> None:
        self._raw.close()
        super().close()
