"""Connections to an engine: one connected socket, whatever carries it."""

from __future__ import annotations

import _socket

from ..host.light import TYPE_CHECKING, Sequence
from .errors import NotAllowedError, UnreachableError
from .hosts import Host, Tls

if TYPE_CHECKING:
    import os
    import socket
    import ssl
    import subprocess

    from ..host.tlscarrier import TlsCarrier
else:
    from ..host import lightos as os

CONNECT_TIMEOUT = 30.0  # seconds


# What an engine that ends a TLS connection means by its alert (RFC 8446, 6.2).
_ALERTS = (
    ("unknown ca", "the engine trusts another CA than that of our certificate"),
    ("certificate expired", "the time of our certificate is over"),
    ("certificate required", "the engine wants a certificate: --tlscert and --tlskey"),
)


class Link:
    """One connection. `socket` is blocking; `process` (ssh) or `carrier` (TLS) may carry it."""

    def __init__(
        self,
        sock: _socket.socket,
        process: subprocess.Popen[bytes] | None = None,
        carrier: TlsCarrier | None = None,
        hint: str = "",
    ) -> None:
        self.socket = sock
        self.process = process
        self._carrier = carrier
        self._hint = hint

    @property
    def failure(self) -> str:
        """Why it ended, when what carries it knows; else what may be the reason, or empty."""
        if self.process is not None:
            return _ssh_failure(self.process)
        if self._carrier is None or not self._carrier.failure:
            return self._hint
        told = f"TLS: {self._carrier.failure.lower().replace('_', ' ')}"
        return next((f"{told}: {means}" for words, means in _ALERTS if words in told), told)

    def close(self) -> None:
        """Close it; an ssh process ends by that and is collected."""
        self.socket.close()
        if self.process is not None:
            self.process.terminate()
            self.process.wait()


def connect(host: Host) -> Link:
    """Connect to `host`. Raises UnreachableError, with the OSError as its cause for a socket."""
    if host.kind == "ssh":
        return open_ssh(host)
    if host.kind == "tcp":
        return _tls(host) if host.tls else Link(_tcp(host), hint="it may want TLS: --tlsverify")
    # The C part of the module: its Python part takes enum and selectors 8 ms to import.
    sock = _socket.socket(_socket.AF_UNIX, _socket.SOCK_STREAM)
    try:
        sock.connect(host.path)
    except OSError as error:
        sock.close()
        raise _no_socket(host, error) from error
    return Link(sock)


def _no_socket(host: Host, error: OSError) -> UnreachableError:
    if isinstance(error, PermissionError):
        return NotAllowedError(
            f"permission denied while trying to connect to the engine at {host}:"
            " use sudo, or join the group that owns the socket"
        )
    if error.errno is None:  # Python's own refusal: sun_path of unix(7) has 108 bytes
        return UnreachableError(f"Cannot connect to the engine at {host}: {error}")
    return UnreachableError(
        f"Cannot connect to the engine at {host}. Is it running? ({error.strerror or error})"
    )


def _tcp(host: Host) -> socket.socket:
    import socket

    try:
        sock = socket.create_connection((host.name, host.port), CONNECT_TIMEOUT)
        sock.settimeout(None)
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
    except OSError as error:
        raise _no_socket(host, error) from error
    return sock


def _tls(host: Host) -> Link:
    """A connection in TLS, whose socket can be half closed: `docker run -i` needs that."""
    from ..host.tlscarrier import TlsCarrier

    assert host.tls is not None
    try:
        context = tls_context(host.tls)
    except OSError as error:
        raise UnreachableError(
            f"the certificates for {host} can't be used: {error.strerror or error}"
            f" (CA {host.tls.ca}, certificate {host.tls.cert}, key {host.tls.key})"
        ) from error
    sock = _tcp(host)
    carrier = TlsCarrier(sock, context, server_name=host.name)
    try:
        carrier.handshake()
    except OSError as error:
        sock.close()
        # "certificate verify failed: …" without OpenSSL's own names and lines.
        why = str(error).partition("] ")[2].partition(" (_ssl.c")[0] or error
        raise UnreachableError(f"TLS with the engine at {host} failed: {why}") from error
    return Link(carrier.start(), carrier=carrier)


def tls_context(tls: Tls) -> ssl.SSLContext:
    """What a TLS connection trusts and shows, by the files that `tls` names."""
    import ssl

    if tls.verify:
        context = ssl.create_default_context(cafile=tls.ca)
    else:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
    if tls.cert:
        context.load_cert_chain(tls.cert, tls.key)
    return context


def ssh_target(host: Host) -> list[str]:
    """ssh's words for who and where."""
    user = ["-l", host.user] if host.user else []
    port = ["-p", str(host.port)] if host.port else []
    return [*user, *port, "--", host.name]


def ssh_argv(host: Host, options: Sequence[str] = ()) -> list[str]:
    """The command that reaches the engine of `host`: its own `bay` passes the bytes on.

    Where there is none, docker or podman do: their engines are seen without a bay there. Of an
    option that is there twice ssh takes the first, so those of `options`.
    """
    import shlex

    argv = ["ssh", "-T", *options, "-o", "ConnectTimeout=30"]
    place = shlex.quote(f"unix://{host.path}") if host.path else ""
    ours = f"exec bay {place and f'-H {place} '}engine dial-stdio"
    script = (
        f"if command -v bay >/dev/null 2>&1; then {ours};"
        f" elif command -v docker >/dev/null 2>&1;"
        f" then exec docker {place and f'-H {place} '}system dial-stdio;"
        f" elif command -v podman >/dev/null 2>&1;"
        f" then exec podman {place and f'--url {place} '}system dial-stdio;"
        f" fi; {ours}"
    )
    # Whatever the user's login shell is.
    return [*argv, *ssh_target(host), "sh", "-c", shlex.quote(script)]


def open_ssh(host: Host, options: Sequence[str] = (), stderr: int | None = None) -> Link:
    """One ssh process per connection, over a socket pair so that both ends are one real socket.

    `stderr` is as for Popen.
    """
    import socket
    import subprocess

    ours, theirs = socket.socketpair()
    try:
        process = subprocess.Popen(
            ssh_argv(host, options),
            stdin=theirs.fileno(),
            stdout=theirs.fileno(),
            stderr=stderr,
            env={**os.environ, "LC_ALL": "C"},
        )
    except OSError as error:
        ours.close()
        raise UnreachableError(f"cannot run ssh to reach {host}: {error.strerror}") from error
    finally:
        theirs.close()
    return Link(ours, process)


def _ssh_failure(process: subprocess.Popen[bytes]) -> str:
    """What the end of ssh says: its own code is 255, any other is the remote shell's or bay's."""
    import subprocess

    try:
        code = process.wait(2)  # its streams have ended: the process is about to
    except subprocess.TimeoutExpired:
        return ""
    if code == 255:
        return "ssh failed; what it said is above"
    if code == 127:
        return "the other host has no `bay`, `docker` or `podman` in its PATH for commands over ssh"
    if code < 0:
        return f"ssh was killed by signal {-code}"
    return f"what passes the bytes on there ended with {code}" if code else ""
