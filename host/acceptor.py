"""Accepting on a listening socket, also when there is no room for one more connection.

A listening socket stays readable while a connection waits. Where accept(2) answers EMFILE or its
like, a loop that tries at once again does nothing else; asyncio's own server waits, but tells of
the want once for each connection that its backlog may hold, every second.
"""

from __future__ import annotations

import asyncio
import errno
import logging
import socket
from collections.abc import Callable

_log = logging.getLogger("bay.accept")

# accept(2): no descriptors left in the process, in the system; no memory for one.
SCARCE = (errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM)
# How long others have to let descriptors go before the next try, in seconds.
RETRY = 0.5
# How often that is told, in seconds.
QUIET = 60.0
# Accepted in one turn of the loop, which has other work.
_TURN = 64


class Acceptor:
    """Hands `take` each connection to `listening`, non-blocking; `take` must not raise.

    Belongs to the event loop's thread. The listening socket stays its owner's, who closes it
    after this. `name` says in the log whose connections have to wait.
    """

    def __init__(
        self, listening: socket.socket, take: Callable[[socket.socket], None], name: str
    ) -> None:
        self._listening = listening
        self._take = take
        self._name = name
        self._loop = asyncio.get_running_loop()
        self._pause: asyncio.TimerHandle | None = None
        self._silent = 0.0
        self._open = True
        listening.setblocking(False)
        self._loop.add_reader(listening, self._ready)

    def close(self) -> None:
        """Accept no more."""
        self._open = False
        if self._pause is not None:
            self._pause.cancel()
        else:
            self._loop.remove_reader(self._listening)

    def _ready(self) -> None:
        for _ in range(_TURN):
            if not self._open:
                return
            try:
                accepted, _ = self._listening.accept()
            except (BlockingIOError, InterruptedError):
                return
            except OSError as error:
                if error.errno in SCARCE:
                    self._wait(error)
                    return
                continue  # that one's own: accept(2) passes on errors of the network
            accepted.setblocking(False)
            self._take(accepted)

    def _wait(self, error: OSError) -> None:
        self._loop.remove_reader(self._listening)
        self._pause = self._loop.call_later(RETRY, self._again)
        # Room for one connection, and then for none again, is nothing new.
        if self._loop.time() >= self._silent:
            self._silent = self._loop.time() + QUIET
            _log.warning("%s: connections have to wait: %s", self._name, error.strerror)

    def _again(self) -> None:
        self._pause = None
        self._loop.add_reader(self._listening, self._ready)
