"""Stopping threads that wait on a socket: an event loop can't cancel them, a shutdown can."""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress

from ...host.errors import BayError


class CancelledByUserError(BayError):
    """The transfer was stopped on request; raised in the thread that did it."""

    def __init__(self) -> None:
        super().__init__("the transfer was cancelled")


class Cancel:
    """A wish to stop, shared by all threads of one operation.

    Sockets are registered while they are in use; `set` shuts them down, so that a thread blocked
    in connect or recv comes back at once.
    """

    def __init__(self) -> None:
        self._wished = threading.Event()
        self._lock = threading.Lock()
        self._sockets: set[socket.socket] = set()

    def set(self) -> None:
        """Stop all that waits, and refuse all that comes."""
        with self._lock:
            self._wished.set()
            for sock in self._sockets:
                with suppress(OSError):
                    sock.shutdown(socket.SHUT_RDWR)

    def check(self) -> None:
        """Raise CancelledByUserError when the stop was asked for."""
        if self._wished.is_set():
            raise CancelledByUserError

    @property
    def wished(self) -> bool:
        """Whether the stop was asked for."""
        return self._wished.is_set()

    def wait(self, seconds: float) -> None:
        """Sleep, unless and until the stop is asked for: then raise."""
        self._wished.wait(seconds)
        self.check()

    @contextmanager
    def watching(self, sock: socket.socket | None) -> Iterator[None]:
        """Shut `sock` down if the stop is asked for inside the block."""
        if sock is None:
            self.check()
            yield
            return
        with self._lock:
            self.check()
            self._sockets.add(sock)
        try:
            yield
        finally:
            with self._lock:
                self._sockets.discard(sock)
