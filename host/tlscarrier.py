"""TLS beneath a plain socket: either direction can be ended by itself, as hijacked streams need.

Python's own TLS sockets can't: `ssl.SSLSocket` ends both directions at once, and asyncio's
transport closes when the other side has ended its half (RFC 8446, 6.1: a close_notify ends one
direction only). So a thread carries the bytes between the connection and one end of a socket pair,
and whoever speaks works with the other end as with any unix socket.
"""

from __future__ import annotations

import contextlib
import select
import socket
import ssl
import threading
import time
from collections.abc import Callable

_CHUNK = 64 * 1024
# What may wait for the other side in each direction before its source is no longer read.
_FULL = 256 * 1024
HANDSHAKE_SECONDS = 20.0
# How long the last bytes may be on their way to a side that takes nothing, or says nothing more.
_STALLED, _LINGER = 60.0, 5.0


def linger(sock: socket.socket, seconds: float = _LINGER) -> None:
    """End our half, and read until the other side has ended its own or the time is over; blocks.

    Closing with something unread resets a TCP connection, and what was sent last is lost with it.
    """
    with contextlib.suppress(OSError):
        sock.shutdown(socket.SHUT_WR)
        limit = time.monotonic() + seconds
        while (left := limit - time.monotonic()) > 0:
            sock.settimeout(left)
            if not sock.recv(_CHUNK):
                return


class TlsCarrier:
    """One TLS connection over `outer`, a connected socket that is the carrier's from now on.

    After `handshake`, `start` gives the plain socket. When that is closed, so is the connection;
    when it is half closed, the other side reads an end and can still write. `failure` is what went
    wrong with TLS later, for whoever finds the plain socket at its end.
    """

    def __init__(
        self,
        outer: socket.socket,
        context: ssl.SSLContext,
        *,
        server_side: bool = False,
        server_name: str | None = None,
    ) -> None:
        self._outer = outer
        self._incoming, self._outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
        self._tls = context.wrap_bio(
            self._incoming, self._outgoing, server_side=server_side, server_hostname=server_name
        )
        self._plain = b""  # decrypted, on its way to the inner socket
        self._cipher = b""  # encrypted, on its way out
        self._outer_ended = self._inner_ended = self._peer_ended = False
        self.failure = ""

    def handshake(self, seconds: float = HANDSHAKE_SECONDS) -> None:
        """Agree on keys and check certificates; blocks. Raises OSError (ssl.SSLError) if not."""
        limit = time.monotonic() + seconds
        while True:
            try:
                self._tls.do_handshake()
                wanted = False
            except ssl.SSLWantReadError:
                wanted = True
            finally:
                # On an error, too: the alert tells the other side why.
                with contextlib.suppress(ConnectionError):
                    self._outer.sendall(self._outgoing.read())
            if not wanted:
                return
            left = limit - time.monotonic()
            self._outer.settimeout(max(left, 0.001))
            data = self._outer.recv(_CHUNK)
            if left <= 0 or not data:
                raise ConnectionResetError("the connection ended within the TLS handshake")
            self._incoming.write(data)

    def start(self, done: Callable[[], None] | None = None) -> socket.socket:
        """Carry from now on, in a thread that ends with the connection and then calls `done`."""
        inner, given = socket.socketpair()
        for one in (self._outer, inner):
            one.setblocking(False)
        # What came in one packet with the end of the handshake.
        self._decrypt()
        threading.Thread(target=self._run, args=(inner, done), daemon=True, name="tls").start()
        return given

    def _run(self, inner: socket.socket, done: Callable[[], None] | None) -> None:
        try:
            self._carry(inner)
        except OSError as error:
            self.failure = self.failure or str(error)
        finally:
            inner.close()
            self._outer.close()
            if done is not None:
                done()

    def _carry(self, inner: socket.socket) -> None:
        """Until both directions have ended, or one side is gone altogether."""
        while not (self._finished() or self._outer_ended):
            poll = select.poll()
            poll.register(self._outer, self._outer_events())
            poll.register(inner, self._inner_events())
            happened = dict(poll.poll())
            events = happened.get(self._outer.fileno(), 0)
            if events & (select.POLLIN | select.POLLHUP | select.POLLERR):
                self._read_outer()
            events = happened.get(inner.fileno(), 0)
            if events & (select.POLLIN | select.POLLHUP | select.POLLERR):
                self._read_inner(inner)
                if self._inner_ended and events & select.POLLHUP:
                    # Closed, not half closed: nobody takes what may still come.
                    self._say_the_rest()
                    return
            self._deliver(inner)
            self._flush()
        # What came before the other side's end may be more than the inner socket holds at once.
        inner.settimeout(_STALLED)
        with contextlib.suppress(OSError):
            inner.sendall(self._plain)

    def _say_the_rest(self) -> None:
        """Send what is left, and let the other side read it all before the connection goes."""
        self._outer.settimeout(_STALLED)
        with contextlib.suppress(OSError):
            self._outer.sendall(self._cipher)
            linger(self._outer)

    def _finished(self) -> bool:
        ended = self._peer_ended and self._inner_ended
        return ended and not self._plain and not self._cipher

    def _outer_events(self) -> int:
        # Read even after the other side's end: its TCP end says that it reads no more either.
        reading = select.POLLIN if len(self._plain) < _FULL else 0
        return reading | (select.POLLOUT if self._cipher else 0)

    def _inner_events(self) -> int:
        reading = select.POLLIN if not self._inner_ended and len(self._cipher) < _FULL else 0
        return reading | (select.POLLOUT if self._plain else 0)

    def _read_outer(self) -> None:
        try:
            data = self._outer.recv(_CHUNK)
        except BlockingIOError:
            return
        if not data:
            self._outer_ended = True
            return
        self._incoming.write(data)
        self._decrypt()

    def _decrypt(self) -> None:
        pieces = [self._plain]
        try:
            while not self._peer_ended:
                piece = self._tls.read(_CHUNK)
                pieces.append(piece)
                self._peer_ended = not piece
        except ssl.SSLWantReadError:
            pass
        except ssl.SSLZeroReturnError:
            self._peer_ended = True
        except ssl.SSLError as error:
            # Most of all the server's alert that it does not take our certificate.
            self.failure = error.reason or str(error)
            raise
        finally:
            self._plain = b"".join(pieces)

    def _read_inner(self, inner: socket.socket) -> None:
        try:
            data = inner.recv(_CHUNK)
        except BlockingIOError:
            return
        if data:
            self._tls.write(data)
            self._cipher += self._outgoing.read()
        else:
            self._end_ours()

    def _end_ours(self) -> None:
        """Say that nothing more comes from here; reading goes on."""
        if not self._inner_ended:
            self._inner_ended = True
            # OpenSSL then asks for the other side's end, which may be long in coming.
            with contextlib.suppress(ssl.SSLError):
                self._tls.unwrap()
            self._cipher += self._outgoing.read()

    def _deliver(self, inner: socket.socket) -> None:
        try:
            while self._plain:
                self._plain = self._plain[inner.send(self._plain) :]
        except BlockingIOError:
            return
        if self._peer_ended:
            with contextlib.suppress(OSError):
                inner.shutdown(socket.SHUT_WR)

    def _flush(self) -> None:
        self._cipher += self._outgoing.read()
        try:
            while self._cipher:
                self._cipher = self._cipher[self._outer.send(self._cipher) :]
        except BlockingIOError:
            return
