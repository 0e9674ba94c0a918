"""The client of an engine: requests by path, in the words of the Docker Engine API."""

from __future__ import annotations

import _thread

from ..host import quickjson
from ..host.light import TYPE_CHECKING, Any, Iterator, Mapping
from .errors import ProtocolError, UnreachableError, from_response
from .hosts import Host, default_host
from .http import Body, Response, quote, send
from .transport import Link, connect

if TYPE_CHECKING:
    import _socket
    import os

    from .session import Session
else:
    from ..host import lightos as os

Json = dict[str, Any]

# The API these front ends speak; an older engine is spoken to in its own version.
API_VERSION = (1, 47)
_MAX_IDLE = 4


class Client:
    """Talks to one engine; safe to use from many threads, each request on its own connection.

    Connections are kept and used again. The first request agrees on the API version and, for the
    local default host, starts the engine when none runs (`autostart=False` leaves that out).

    Parameters are given as Docker spells them: `client.get("/containers/json", all=True)`; a bool
    becomes 1 or 0, a mapping or list JSON, and None is left out.
    """

    def __init__(self, host: Host | None = None, *, autostart: bool = True) -> None:
        self.host = host or default_host()
        self._autostart = autostart and self.host.local
        self._idle: list[Link] = []
        self._early: Link | None = None
        self._lock = _thread.allocate_lock()
        self._version: tuple[int, int] | None = None
        self._greeting: Mapping[str, str] | None = None
        override = os.environ.get("BAY_API_VERSION", "").lstrip("v")
        if override:
            self._version = _parse_version(override)

    # -- requests ------------------------------------------------------------------------------

    def get(self, path: str, **params: Any) -> Any:
        """GET `path`; the parsed JSON, None when there is no body."""
        return self.call("GET", path, params)

    def post(self, path: str, body: Any = None, **params: Any) -> Any:
        """POST `body` (a JSON value) to `path`; the parsed JSON answer, None without one."""
        return self.call("POST", path, params, body)

    def delete(self, path: str, **params: Any) -> Any:
        """DELETE `path`; the parsed JSON answer, None without one."""
        return self.call("DELETE", path, params)

    def call(
        self,
        method: str,
        path: str,
        params: Mapping[str, Any] | None = None,
        body: Any = None,
        headers: Mapping[str, str] | None = None,
    ) -> Any:
        """One request with a JSON body and a JSON answer.

        Raises the `host.errors` class of the answer's status with the daemon's message, and
        UnreachableError when no engine answers. 304 raises nothing: it is already so.
        """
        fields = dict(headers or {})
        data: bytes | None = None
        if body is not None:
            data = quickjson.dumps(body).encode()
            fields["Content-Type"] = "application/json"
        with self.open(method, path, params, data, fields) as response:
            text = response.read()
        if not text.strip():
            return None
        try:
            return quickjson.loads(text)
        except ValueError:
            return text.decode(errors="replace")

    def stream(
        self,
        method: str,
        path: str,
        params: Mapping[str, Any] | None = None,
        body: Any = None,
        headers: Mapping[str, str] | None = None,
    ) -> Iterator[Json]:
        """One request whose answer is a stream of JSON objects, yielded as they come.

        `body` is a JSON value, bytes, or pieces of bytes. Closing the iterator ends the request.
        """
        fields = dict(headers or {})
        data: Body = body
        if body is not None and (isinstance(body, dict | list | str)):
            data = quickjson.dumps(body).encode()
            fields["Content-Type"] = "application/json"
        with self.open(method, path, params, data, fields) as response:
            for line in response.lines():
                yield quickjson.loads(line)

    def open(
        self,
        method: str,
        path: str,
        params: Mapping[str, Any] | None = None,
        body: Body = None,
        headers: Mapping[str, str] | None = None,
    ) -> Answer:
        """One request; the answer's body is still to be read. Use it in a `with`."""
        response = self._request(method, path, params, body, headers or {})
        return Answer(self, response)

    def hijack(self, path: str, body: Any = None, tty: bool = False, **params: Any) -> Session:
        """POST to attach or exec start, and take the connection over as a two-way stream."""
        headers = {"Connection": "Upgrade", "Upgrade": "tcp"}
        data: bytes | None = None
        if body is not None:
            data = quickjson.dumps(body).encode()
            headers["Content-Type"] = "application/json"
        response = self._request("POST", path, params, data, headers)
        from .session import Session  # while the engine is at work

        return Session(response, tty)

    def ahead(self) -> None:
        """Connect already, for the first request: on this machine, if an engine is there.

        It prepares for a start meanwhile (host/migration.py), which takes as long as our imports.
        """
        if self.host.kind == "unix" and self._early is None:
            try:
                self._early = connect(self.host)
            except UnreachableError:
                return  # the request says so, or starts an engine

    def dial(self) -> _socket.socket:
        """A bare connection to the engine, started if need be; the caller closes it."""
        return self._connect().socket

    def close(self) -> None:
        """Close the connections that are kept."""
        with self._lock:
            links, self._idle = self._idle, []
            if self._early is not None:
                links.append(self._early)
                self._early = None
        for link in links:
            link.close()

    def __enter__(self) -> Client:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    # -- beneath -------------------------------------------------------------------------------

    @property
    def version(self) -> tuple[int, int]:
        """The API version in use, agreed on with the engine at first need."""
        if self._version is None:
            self._version = self._negotiate()
        return self._version

    @property
    def greeting(self) -> Mapping[str, str]:
        """The headers of the engine's answer to a ping, in lower case: what it says of itself."""
        if self._greeting is None:
            response = self._exchange("GET", "/_ping", {}, None)
            response.read()
            self._give_back(response)
            if response.status != 200:
                raise ProtocolError(f"what answers at {self.host} is no engine: {response.status}")
            self._greeting = response.headers
        return self._greeting

    def _negotiate(self) -> tuple[int, int]:
        return min(API_VERSION, _parse_version(self.greeting.get("api-version", "1.24")))

    def _request(
        self,
        method: str,
        path: str,
        params: Mapping[str, Any] | None,
        body: Body,
        headers: Mapping[str, str],
    ) -> Response:
        """Send a request under the agreed version; raise for an error answer."""
        agreed = self._version
        if agreed is None and not (body is None or isinstance(body, bytes)):
            agreed = self.version  # what cannot be sent twice
        # Nearly every engine speaks our version: asking first is a round trip more for each `bay`.
        used = agreed or API_VERSION
        prefix = "" if path.startswith("/bay/") else f"/v{used[0]}.{used[1]}"
        target = quote(path) + _query(params or {})
        response = self._exchange(method, prefix + target, headers, body)
        if response.status < 400:
            return response
        data = response.read()
        self._give_back(response)
        # Refused for its version, a request has done nothing.
        if agreed is None and response.status == 400 and self.version != used:
            return self._request(method, path, params, body, headers)
        raise from_response(response.status, data)

    def _exchange(
        self, method: str, target: str, headers: Mapping[str, str], body: Body
    ) -> Response:
        """Send and read the answer's header, on a kept connection if it still lives."""
        fields = {"Host": "docker", "User-Agent": "bayplan", **headers}
        target = (self.host.path if self.host.kind == "tcp" else "") + target
        link = self._kept()
        # A kept connection the engine has closed meanwhile shows on use: then a new one, once.
        # Only where nothing can have been done yet: what is sent again must not happen twice.
        if link is not None and (body is None or isinstance(body, bytes)):
            try:
                return self._try(link, method, target, fields, body)
            except UnreachableError:
                if method not in ("GET", "HEAD"):
                    raise
        elif link is not None:
            link.close()
        return self._try(self._connect(), method, target, fields, body)

    def _try(
        self, link: Link, method: str, target: str, fields: Mapping[str, str], body: Body
    ) -> Response:
        response = Response(link)
        try:
            send(link, method, target, fields, body)
            response.begin(method)
        except BaseException:
            link.close()
            raise
        return response

    def _connect(self) -> Link:
        with self._lock:
            early, self._early = self._early, None
        if early is not None:
            if not _is_dead(early):
                return early
            early.close()
        try:
            return connect(self.host)
        except UnreachableError as error:
            if not self._autostart or not isinstance(
                error.__cause__, FileNotFoundError | ConnectionRefusedError
            ):
                raise
        from .autostart import start_engine

        start_engine(self.host)
        return connect(self.host)

    def _kept(self) -> Link | None:
        with self._lock:
            while self._idle:
                link = self._idle.pop()
                if not _is_dead(link):
                    return link
                link.close()
        return None

    def _give_back(self, response: Response) -> None:
        """Keep the connection of a finished answer for the next request, else close it."""
        if response.reusable:
            with self._lock:
                if len(self._idle) < _MAX_IDLE:
                    self._idle.append(response.link)
                    return
        response.close()


class Answer:
    """An answer in a `with`: its end gives the connection back to the client."""

    def __init__(self, client: Client, response: Response) -> None:
        self._client = client
        self._response = response
        self.status = response.status
        self.headers = response.headers
        self.read = response.read
        self.read_some = response.read_some
        self.chunks = response.chunks
        self.lines = response.lines

    def close(self) -> None:
        """Give the connection back, or drop it when the body wasn't read to its end."""
        self._client._give_back(self._response)

    def __enter__(self) -> Answer:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def _is_dead(link: Link) -> bool:
    """Whether the other side has closed: an idle connection has nothing to read but its end."""
    import select

    poll = select.poll()
    poll.register(link.socket, select.POLLIN)
    return bool(poll.poll(0))


def _parse_version(text: str) -> tuple[int, int]:
    try:
        major, _, minor = text.partition(".")
        return int(major), int(minor or 0)
    except ValueError:
        raise ProtocolError(f"not an API version: {text}") from None


def _query(params: Mapping[str, Any]) -> str:
    pairs: list[str] = []
    for name, value in params.items():
        if value is None:
            continue
        values = value if isinstance(value, tuple) else (value,)
        pairs += [f"{name}={_encode(one)}" for one in values]
    return "?" + "&".join(pairs) if pairs else ""


def _encode(value: Any) -> str:
    if isinstance(value, bool):
        return "1" if value else "0"
    text = quickjson.dumps(value) if isinstance(value, dict | list) else str(value)
    return quote(text)
