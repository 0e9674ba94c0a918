"""`bay engine dial-stdio`: the far end of an ssh:// host. Our stdio becomes the engine's socket."""

from __future__ import annotations

import os
import select
import socket
import threading

from .app import App
from .streams import write_all

_CHUNK = 64 * 1024


def dial(app: App) -> int:
    """Carry bytes between stdio and the engine's socket until the engine's side closes.

    Or until nobody is left to read: sshd of a connection that broke ends our stdio, and an attach
    to a silent container would keep us for ever.
    """
    sock = app.client.dial()
    threading.Thread(target=_carry_in, args=(sock,), daemon=True, name="stdin").start()
    poll = select.poll()
    poll.register(sock, select.POLLIN)
    poll.register(1, 0)  # POLLERR and POLLHUP are told in any case
    while True:
        if any(fd == 1 for fd, _ in poll.poll()):
            return 1
        data = sock.recv(_CHUNK)
        if not data:
            return 0
        write_all(1, data)


def _carry_in(sock: socket.socket) -> None:
    try:
        while data := os.read(0, _CHUNK):
            sock.sendall(data)
        sock.shutdown(socket.SHUT_WR)
    except OSError:
        # The engine has closed: the other direction ends the command.
        return
