"""HTTP for registries: kept connections, TLS, proxies and redirects, on http.client in threads.

http.client costs 0.11 CPU-seconds for 425 MB, a quarter of the next best client library.
"""

from __future__ import annotations

import functools
import http.client
import socket
import ssl
import threading
import time
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from types import TracebackType
from urllib.parse import quote, urljoin, urlsplit

from ...host.errors import BayError
from .cancel import Cancel
from .pace import PacedResponse
from .proxies import Proxies, authorization

CERTIFICATES = (Path("/etc/bay/certs.d"), Path("/etc/docker/certs.d"))
CONNECT_TIMEOUT = 30.0
# No byte for this long means the other side is gone: registries and CDNs stream without pauses.
READ_TIMEOUT = 60.0
_REDIRECTS = (301, 302, 303, 307, 308)
_KEEPING = (307, 308)
_MAX_REDIRECTS = 10
_MAX_IDLE = 8
_IDLE_TIMEOUT = 60.0
# Of RFC 3986, with the percent sign of what is quoted already.
_URL_LETTERS = "!#$%&'()*+,/:;=?@[]~"
_SHOWN = 200
AGENT = "bayplan/0.1 (docker-compatible)"

# A body given as parts has a Content-Length header of its own, or goes out chunked.
Body = bytes | Iterable[bytes] | None
_Key = tuple[str, str, bool]


class TransportError(BayError):
    """No answer came: the connection failed, or broke before the answer was whole.

    `refused` tells what another try does not mend, a host that can't be reached at all, from one
    that broke off. `retry_after` is the header of that name, where a whole answer is treated as
    none.
    """

    status = 500

    def __init__(self, message: str, refused: bool = False, retry_after: str | None = None) -> None:
        super().__init__(message)
        self.refused = refused
        self.retry_after = retry_after


class Answer:
    """One response whose body is still to be read: read it to its end, or close it."""

    def __init__(
        self,
        response: http.client.HTTPResponse,
        sock: socket.socket,
        url: str,
        cancel: Cancel,
        release: Callable[[], None],
    ) -> None:
        self.status = response.status
        self.headers: http.client.HTTPMessage = response.headers
        self.url = url
        self._response = response
        self._sock = sock
        self._cancel = cancel
        self._release: Callable[[], None] | None = release
        if response.length == 0:
            self.chunk(1)

    def read(self, limit: int) -> bytes:
        """The whole body; BayError when it is longer than `limit` bytes."""
        parts: list[bytes] = []
        size = 0
        while chunk := self.chunk(1 << 16):
            size += len(chunk)
            if size > limit:
                self.close()
                raise BayError(f"the answer of {self.url} is larger than {limit} bytes")
            parts.append(chunk)
        return b"".join(parts)

    def chunk(self, size: int) -> bytes:
        """At most `size` bytes of the body; b"" at its end. TransportError when it breaks off."""
        try:
            with self._cancel.watching(self._sock):
                data = self._response.read1(size)
        except (OSError, http.client.HTTPException, ValueError) as error:
            self.close()
            self._cancel.check()
            raise TransportError(f'Get "{self.url}": {_why(error)}') from error
        if data:
            return data
        if left := self._response.length:
            # An early end shows only here: fewer bytes came than Content-Length promised.
            self.close()
            self._cancel.check()
            raise TransportError(f'Get "{self.url}": connection closed with {left} bytes missing')
        release, self._release = self._release, None
        self._response.close()
        if release:
            release()
        return b""

    def close(self) -> None:
        """Give up what is left of the body, and with it the connection."""
        if self._release is not None:
            self._release = None
            self._response.close()
            self._sock.close()

    def __enter__(self) -> Answer:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()


class Transport:
    """Sends requests and keeps idle connections for the next ones; for any number of threads."""

    def __init__(
        self,
        proxies: Proxies | None = None,
        certificates: tuple[Path, ...] = CERTIFICATES,
    ) -> None:
        self._proxies = proxies or Proxies()
        self._certificates = certificates
        self._lock = threading.Lock()
        # With the moment each fell idle, the latest last.
        self._idle: dict[_Key, list[tuple[float, http.client.HTTPConnection]]] = {}
        self._contexts: dict[tuple[str, bool], ssl.SSLContext] = {}

    def close(self) -> None:
        """Close the idle connections."""
        with self._lock:
            self._drop_idle(0)

    def send(
        self,
        method: str,
        url: str,
        cancel: Cancel,
        *,
        headers: Mapping[str, str] | None = None,
        body: Body = None,
        verify: bool = True,
    ) -> Answer:
        """Send a request and return the answer, whatever its status.

        Redirects of GET are followed, and those that keep the method (307, 308) where the body can
        be sent again.

        Authorization goes no further than the host it was meant for: blob stores that registries
        redirect to refuse two kinds of it, and it is none of their business.
        """
        sent = {"User-Agent": AGENT, **(headers or {})}
        for _ in range(_MAX_REDIRECTS):
            answer = self._once(method, url, cancel, sent, body, verify)
            target = answer.headers.get("Location")
            followed: tuple[int, ...] = _REDIRECTS
            if method not in ("GET", "HEAD"):
                followed = _KEEPING if _repeatable(body) else ()
            if answer.status not in followed or not target:
                return answer
            answer.read(1 << 20)
            following = joined(url, target)
            if _origin(following) != _origin(url):
                sent = {key: value for key, value in sent.items() if key != "Authorization"}
            url = following
        failure = f'Get "{url}": stopped after {_MAX_REDIRECTS} redirects'
        raise TransportError(failure, refused=True)

    def _once(
        self,
        method: str,
        url: str,
        cancel: Cancel,
        headers: Mapping[str, str],
        body: Body,
        verify: bool,
    ) -> Answer:
        scheme, host = _origin(url)
        key = (scheme, host, verify)
        sent = {**headers, **self._proxies.headers(url), "Host": host}
        what = f'{method.title()} "{url}"'
        while True:
            connection = self._take(key)
            reused = connection is not None
            if connection is None:
                connection = self._connect(key, cancel, what)
            sock = connection.sock
            try:
                with cancel.watching(sock):
                    whole = _send(connection, method, self._proxies.target(url), body, sent)
                    response = connection.getresponse()
            except (OSError, http.client.HTTPException) as error:
                connection.close()
                cancel.check()
                if reused and not isinstance(error, TimeoutError) and _repeatable(body):
                    continue  # the other side closed an idle connection: that says nothing
                raise TransportError(f"{what}: {_why(error)}") from error
            except BaseException:
                connection.close()
                raise
            release = functools.partial(self._keep, key, connection) if whole else connection.close
            return Answer(response, sock, url, cancel, release)

    def _take(self, key: _Key) -> http.client.HTTPConnection | None:
        with self._lock:
            kept = self._idle.get(key)
            return kept.pop()[1] if kept else None

    def _connect(self, key: _Key, cancel: Cancel, what: str) -> http.client.HTTPConnection:
        """A new connection, its socket known to `cancel` already while it connects."""

        def dial(address: tuple[str, int], *_: object) -> socket.socket:
            return _dial(address, cancel)

        connection = self._make(*key)
        # http.client's own seam: the function that makes the socket. Not in typeshed.
        connection._create_connection = dial  # type: ignore[attr-defined]
        try:
            connection.connect()
        except (OSError, http.client.HTTPException) as error:
            connection.close()
            cancel.check()
            raise TransportError(f"{what}: {_why(error)}", refused=True) from error
        except BaseException:
            connection.close()
            raise
        connection.sock.settimeout(READ_TIMEOUT)
        return connection

    def _make(self, scheme: str, host: str, verify: bool) -> http.client.HTTPConnection:
        proxy = self._proxies.pick(scheme, host)
        reach = urlsplit(proxy or f"{scheme}://{host}")
        port = reach.port or (443 if reach.scheme == "https" else 80)
        name = reach.hostname or ""
        connection = http.client.HTTPConnection(name, port)
        if scheme == "https":
            context = self._context(host, verify)
            connection = http.client.HTTPSConnection(name, port, context=context)
        connection.response_class = PacedResponse
        if scheme == "https" and proxy:
            target = urlsplit(f"//{host}")
            connection.set_tunnel(target.hostname or "", target.port or 443, authorization(proxy))
        return connection

    def _keep(self, key: _Key, connection: http.client.HTTPConnection) -> None:
        with self._lock:
            self._drop_idle(_IDLE_TIMEOUT)
            kept = self._idle.setdefault(key, [])
            if connection.sock is not None and len(kept) < _MAX_IDLE:
                kept.append((time.monotonic(), connection))
                return
        connection.close()

    def _drop_idle(self, seconds: float) -> None:
        """Close what has been idle that long: a registry may never be asked again."""
        before = time.monotonic() - seconds
        for key, kept in list(self._idle.items()):
            while kept and kept[0][0] <= before:
                kept.pop(0)[1].close()
            if not kept:
                del self._idle[key]

    def _context(self, host: str, verify: bool) -> ssl.SSLContext:
        with self._lock:
            context = self._contexts.get((host, verify))
            if context is None:
                context = _make_context(host, verify, self._certificates)
                self._contexts[(host, verify)] = context
            return context


def _send(
    connection: http.client.HTTPConnection,
    method: str,
    target: str,
    body: Body,
    headers: dict[str, str],
) -> bool:
    """Send a request; False when the other side wanted no more of it, and may have said why."""
    try:
        connection.request(method, target, body, headers)
    except (BrokenPipeError, ConnectionResetError):
        if not body:
            raise
        return False
    return True


def _repeatable(body: Body) -> bool:
    return body is None or isinstance(body, bytes)


def _dial(address: tuple[str, int], cancel: Cancel) -> socket.socket:
    failure: OSError | None = None
    for family, kind, number, _, where in socket.getaddrinfo(*address, type=socket.SOCK_STREAM):
        sock = socket.socket(family, kind, number)
        sock.settimeout(CONNECT_TIMEOUT)
        try:
            with cancel.watching(sock):
                sock.connect(where)
        except OSError as error:
            sock.close()
            cancel.check()
            failure = error
            continue
        except BaseException:
            sock.close()
            raise
        return sock
    raise failure or OSError(f"{address[0]} has no address")


def _make_context(host: str, verify: bool, folders: tuple[Path, ...]) -> ssl.SSLContext:
    """TLS for `host`: the system's authorities and those Docker's `certs.d/HOST/` layout adds."""
    context = ssl.create_default_context()
    if not verify:
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
    for folder in (base / host for base in folders):
        if not folder.is_dir():
            continue
        try:
            for authority in sorted(folder.glob("*.crt")):
                context.load_verify_locations(authority)
            for certificate in sorted(folder.glob("*.cert")):
                context.load_cert_chain(certificate, certificate.with_suffix(".key"))
        except (OSError, ssl.SSLError) as error:
            raise BayError(f"cannot use the certificates in {folder}: {error}") from error
    return context


def _origin(url: str) -> tuple[str, str]:
    """Scheme and host of an address that a registry may have made up; raises TransportError."""
    try:
        parts = urlsplit(url)
        if parts.scheme in ("http", "https") and parts.hostname and parts.port != 0:
            return parts.scheme, parts.netloc.rpartition("@")[2]
    except ValueError:
        pass
    raise TransportError(f"{url[:_SHOWN]} is no http or https address", refused=True)


def joined(url: str, target: str) -> str:
    """Where a Location leads; what is not ASCII in it, as some stores have it, is quoted.

    Raises TransportError when it is no address.
    """
    try:
        return urljoin(url, quote(target.encode("latin-1", "replace"), safe=_URL_LETTERS))
    except ValueError as error:
        raise TransportError(f"{target[:_SHOWN]} is no http or https address") from error


def _why(error: Exception) -> str:
    if isinstance(error, TimeoutError):
        return "i/o timeout"
    if isinstance(error, http.client.RemoteDisconnected):
        return "EOF"
    if isinstance(error, socket.gaierror):
        return f"no such host ({error.strerror})"
    if isinstance(error, ssl.SSLCertVerificationError):
        return f"tls: failed to verify certificate: {error.verify_message}"
    if isinstance(error, ssl.SSLError) and "WRONG_VERSION_NUMBER" in str(error):
        return "http: server gave HTTP response to HTTPS client"
    if isinstance(error, OSError) and error.strerror:
        return error.strerror[0].lower() + error.strerror[1:]
    return str(error) or type(error).__name__


def _nothing() -> None:
    """The connection went back already."""
