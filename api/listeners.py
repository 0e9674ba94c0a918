"""Where the engine listens: its unix socket, further ones, and TCP with mutual TLS only."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import socket
import ssl
import threading
import time
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from ..host.acceptor import Acceptor
from ..host.errors import BayError, ConflictError, InvalidError
from ..host.tlscarrier import TlsCarrier, linger

log = logging.getLogger("bay.api")

TLS_PORT = 2376
BACKLOG = 512
# Of sockaddr_un's 108 bytes (unix(7)), what the temporary name before the rename leaves.
LONGEST_PATH = 94
# Connections at once with a certificate, and without one yet: each has a thread, and strangers
# may knock and then say nothing.
LARGEST_CROWD = 256
LARGEST_QUEUE = 64
_TCP = (socket.AF_INET, socket.AF_INET6)


@dataclass(frozen=True)
class Certificates:
    """PEM files: the CA that clients' certificates are checked against, ours, and its key."""

    ca: Path
    cert: Path
    key: Path

    def context(self) -> ssl.SSLContext:
        """TLS 1.2 or newer, with a client's certificate of that CA or not at all.

        Raises InvalidError naming the file that can't be used.
        """
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.minimum_version = ssl.TLSVersion.TLSv1_2
        context.verify_mode = ssl.CERT_REQUIRED
        try:
            context.load_verify_locations(self.ca)
        except OSError as error:
            raise InvalidError(f"cannot use the CA certificate {self.ca}: {_why(error)}") from error
        try:
            context.load_cert_chain(self.cert, self.key)
        except OSError as error:
            raise InvalidError(
                f"cannot use the certificate {self.cert} with the key {self.key}: {_why(error)}"
            ) from error
        return context


def _why(error: Exception) -> str:
    if isinstance(error, ssl.SSLError):
        return (error.reason or str(error)).lower().replace("_", " ")
    return (isinstance(error, OSError) and error.strerror) or str(error)


@dataclass(frozen=True)
class Listening:
    """What `--host` and `--tls…` ask for beyond the engine's own socket.

    `paths` are further unix sockets, `tcp` addresses to listen on, `tls` what is shown there.
    """

    paths: tuple[Path, ...] = ()
    tcp: tuple[tuple[str, int], ...] = ()
    tls: Certificates | None = None


def listening(hosts: Sequence[str], verify: bool, files: Callable[[str], Path | None]) -> Listening:
    """Read `--host` words, as dockerd has them; `files` gives the path of `ca`, `cert` and `key`.

    Raises InvalidError for an address that is none, and for TCP without mutual TLS: whoever can
    speak to the engine is root on this host.
    """
    paths: list[Path] = []
    tcp: list[tuple[str, int]] = []
    for text in hosts:
        kind, _, rest = text.partition("://")
        if kind == "unix" and rest.startswith("/"):
            paths.append(Path(rest))
        elif kind == "tcp":
            tcp.append(_address(text, rest))
        elif kind != "fd":  # systemd's sockets are taken without being asked for
            raise InvalidError(
                f"cannot listen on {text}: use unix:///path, or tcp://address:port with --tlsverify"
            )
    found = {name: files(name) for name in ("ca", "cert", "key")}
    if verify:
        for name, path in found.items():
            if path is None:
                raise InvalidError(f"--tlsverify needs a file for --tls{_flag(name)}")
    elif tcp:
        raise InvalidError(
            f"cannot listen on tcp://{tcp[0][0]}:{tcp[0][1]} without mutual TLS, since whoever"
            " reaches it would be root on this host: give --tlsverify with --tlscacert, --tlscert"
            " and --tlskey, or use ssh:// from the client"
        )
    ca, cert, key = found.values()
    tls = Certificates(ca, cert, key) if verify and ca and cert and key else None
    return Listening(tuple(paths), tuple(tcp), tls)


def _flag(name: str) -> str:
    return "cacert" if name == "ca" else name


def _address(text: str, rest: str) -> tuple[str, int]:
    name, colon, port = rest.rpartition(":")
    if not colon or port.endswith("]"):
        name, port = rest, str(TLS_PORT)
    if not port.isdecimal() or int(port) > 65535:
        raise InvalidError(f"cannot listen on {text}: {port!r} is no port number")
    name = name.removeprefix("[").removesuffix("]")
    return name or "0.0.0.0", int(port)


def check_free(path: Path) -> None:
    """Raise ConflictError or InvalidError where no unix socket of ours can be made.

    One that a dead engine left is in nobody's way; one that answers is another program's.
    """
    if len(os.fsencode(path)) > LONGEST_PATH:
        raise InvalidError(
            f"cannot listen on {path}: a socket's path has at most {LONGEST_PATH} bytes here; "
            "choose a shorter --run-root"
        )
    if not os.path.lexists(path):
        return
    if not path.is_socket():
        raise ConflictError(f"cannot listen on {path}: a file that is no socket is there")
    # An engine that is being killed lets go of its lock a moment before its socket.
    for _ in range(20):
        with socket.socket(socket.AF_UNIX) as probe:
            probe.setblocking(False)  # a full backlog is an answer too
            try:
                probe.connect(str(path))
            except (ConnectionRefusedError, FileNotFoundError):
                return
            except OSError:
                pass
        time.sleep(0.05)
    raise ConflictError(
        f"cannot listen on {path}: another program does; stop it (`bay engine stop` when it is an "
        "engine), or choose another --run-root"
    )


def tcp_socket(name: str, port: int) -> socket.socket:
    """A listening TCP socket. Raises BayError when the address can't be had."""
    try:
        found = socket.getaddrinfo(name, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
        return socket.create_server(
            found[0][4][:2],
            family=found[0][0],
            backlog=BACKLOG,
        )
    except OSError as error:
        raise BayError(
            f"cannot listen on tcp://{name}:{port}: {error.strerror or error}"
        ) from error


def is_tcp(one: socket.socket) -> bool:
    """Whether a listening socket can be reached over the network."""
    return one.family in _TCP


class TlsDoor:
    """Lets in over one TCP socket who shows a certificate of the CA.

    Each connection has a thread that speaks TLS; the engine's loop sees a plain socket.
    """

    def __init__(self, one: socket.socket, context: ssl.SSLContext) -> None:
        self._socket = one
        self._socket.setblocking(False)
        self._context = context
        self._places = threading.BoundedSemaphore(LARGEST_CROWD)
        # Who has shown no certificate yet, and from where; the oldest first.
        self._queue: dict[socket.socket, str] = {}
        self._lock = threading.Lock()

    @property
    def address(self) -> str:
        """Where it listens."""
        name, port = self._socket.getsockname()[:2]
        return f"tcp://[{name}]:{port}" if ":" in name else f"tcp://{name}:{port}"

    async def serve(self, protocol: Callable[[], asyncio.Protocol]) -> None:
        """Accept until cancelled; each connection gets a `protocol` of its own."""
        loop = asyncio.get_running_loop()

        async def attach(plain: socket.socket) -> None:
            await loop.connect_accepted_socket(protocol, plain)

        def arrived(plain: socket.socket) -> None:
            try:
                asyncio.run_coroutine_threadsafe(attach(plain), loop)
            except RuntimeError:  # the engine has ended meanwhile
                plain.close()

        def knocks(outer: socket.socket) -> None:
            try:
                name = str(outer.getpeername()[0])
                self._enqueue(outer, name)
                work = threading.Thread(
                    target=self._receive, args=(outer, name, arrived), daemon=True, name="tls"
                )
                work.start()
            except (OSError, RuntimeError) as error:  # gone already; no room for a thread
                log.warning("a connection could not be taken: %s", error)
                self._dequeue(outer)
                outer.close()

        acceptor = Acceptor(self._socket, knocks, self.address)
        try:
            await loop.create_future()
        finally:
            acceptor.close()

    def _enqueue(self, outer: socket.socket, name: str) -> None:
        """Let one more knock; where too many do, the oldest of the most pushing address goes.

        So nobody keeps others out by connections that never come to a certificate.
        """
        with self._lock:
            if len(self._queue) >= LARGEST_QUEUE:
                pushing, count = Counter(self._queue.values()).most_common(1)[0]
                oldest = next(one for one, whose in self._queue.items() if whose == pushing)
                log.info("%s is turned away: it knocks %d times at once", pushing, count)
                del self._queue[oldest]
                with contextlib.suppress(OSError):
                    oldest.shutdown(socket.SHUT_RDWR)  # its thread closes it
            self._queue[outer] = name

    def _dequeue(self, outer: socket.socket) -> None:
        with self._lock:
            self._queue.pop(outer, None)

    def _receive(
        self, outer: socket.socket, name: str, arrived: Callable[[socket.socket], None]
    ) -> None:
        try:
            self._let_in(outer, name, arrived)
        finally:
            self._dequeue(outer)

    def _let_in(
        self, outer: socket.socket, name: str, arrived: Callable[[socket.socket], None]
    ) -> None:
        has_place = False
        try:
            outer.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            outer.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
            carrier = TlsCarrier(outer, self._context, server_side=True)
            carrier.handshake()
            has_place = self._places.acquire(blocking=False)
            if not has_place:
                log.warning("%s is turned away: %d connections", name, LARGEST_CROWD)
                outer.close()
                return
            plain = carrier.start(self._places.release)
        except (OSError, RuntimeError) as error:
            if has_place:
                self._places.release()
            log.info("no TLS with %s: %s", name, _why(error))
            linger(outer)  # so that the alert arrives, which says why
            outer.close()
            return
        plain.setblocking(False)
        arrived(plain)

    def close(self) -> None:
        """Listen no more."""
        self._socket.close()


def default_file(name: str) -> Path | None:
    """The file of `--tlscacert`, `--tlscert` or `--tlskey` when the flag is not given.

    In `BAY_CERT_PATH`, else in ~/.config/bay, as the client has it.
    """
    folder = Path(os.environ.get("BAY_CERT_PATH") or os.path.expanduser("~/.config/bay"))
    path = folder / f"{name}.pem"
    with contextlib.suppress(OSError):
        if path.exists():
            return path
    return None
