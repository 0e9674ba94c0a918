"""`bay engine dial-stdio`: the far end of an ssh:// host. Our stdio becomes the engine's socket."""

from __future__ import annotations

import os
import socket
import threading

from .app import App
from .streams import write_all

_CHUNK = 64 * 1024


def dial(app: App) -> int:
    """Carry bytes between stdio and the engine's socket until the engine's side closes."""
    sock = app.client.dial()
    threading.Thread(target=_carry_in, args=(sock,), daemon=True, name="stdin").start()
    while data := sock.recv(_CHUNK):
        write_all(1, data)
    return 0


def _carry_in(sock: socket.socket) -> None:
    try:
        while data := os.read(0, _CHUNK):
            sock.sendall(data)
        sock.shutdown(socket.SHUT_WR)
    except OSError:
        # The engine has closed: the other direction ends the command.
        return
