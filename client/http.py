"""HTTP/1.1 as the engine speaks it, over a connected socket.

The standard library's http.client costs a third of a short command's start-up time (it imports the
e-mail parser) and hides the socket that a hijacked stream needs: hence these few lines of RFC 9112.
"""

from __future__ import annotations

from ..host.light import Iterable, Iterator, Mapping
from .errors import ProtocolError, UnreachableError
from .transport import Link

_SAFE = frozenset(b"abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-._~/:@")
_MAX_HEADER = 256 * 1024
_CHUNK = 64 * 1024
_LARGE = 256 * 1024

Body = bytes | Iterable[bytes] | None


def quote(text: str) -> str:
    """Percent-encode `text` for a path or a query value."""
    return "".join(chr(b) if b in _SAFE else f"%{b:02X}" for b in text.encode())


class Response:
    """An answer whose body is read as it comes. Close it, or read it to its end.

    `headers` has lower-case names. `link` is the connection beneath, for streams that leave HTTP.
    """

    def __init__(self, link: Link) -> None:
        self.link = link
        self.status = 0
        self.headers: dict[str, str] = {}
        self._buffer = bytearray()
        self._left: int | None = None  # bytes of the body or of the chunk; None: until the end
        self._chunked = False
        self.finished = False

    def begin(self, method: str) -> None:
        """Read status line and headers. Raises ProtocolError or UnreachableError."""
        while True:
            self._read_head()
            # 1xx answers come before the real one; 101 is the real one of an upgrade.
            if self.status >= 200 or self.status == 101:
                break
        self._chunked = "chunked" in self.headers.get("transfer-encoding", "").lower()
        length = self.headers.get("content-length")
        if self.status == 101:
            self._left = None
        elif method == "HEAD" or self.status in (204, 304):
            self.finished = True
        elif self._chunked:
            self._left = 0
        elif length is not None:
            self._left = int(length)
            self.finished = self._left == 0

    @property
    def reusable(self) -> bool:
        """Whether the connection can carry another request."""
        return (
            self.finished
            and not self._buffer
            and self.status != 101
            and self.headers.get("connection", "").lower() != "close"
        )

    def _read_head(self) -> None:
        line = self._line()
        version, _, rest = line.partition(" ")
        if not version.startswith("HTTP/1.") or not rest[:3].isdigit():
            raise ProtocolError(f"what answers is no engine: {line[:80]!r}")
        self.status = int(rest[:3])
        self.headers = {}
        while line := self._line():
            name, _, value = line.partition(":")
            self.headers[name.strip().lower()] = value.strip()

    def _fill(self) -> bool:
        """Read more into the buffer; False at the end of the connection."""
        data = self.link.socket.recv(_CHUNK)
        self._buffer += data
        return bool(data)

    def _line(self) -> str:
        while (end := self._buffer.find(b"\n")) < 0:
            if len(self._buffer) > _MAX_HEADER:
                raise ProtocolError("what answers is no engine: its header has no end")
            try:
                more = self._fill()
            except ConnectionError as error:
                why = self.link.failure or error.strerror
                raise UnreachableError(f"the engine closed the connection ({why})") from error
            if not more:
                why = f" ({self.link.failure})" if self.link.failure else ""
                raise UnreachableError(f"the engine closed the connection without an answer{why}")
        line = bytes(self._buffer[:end]).rstrip(b"\r")
        del self._buffer[: end + 1]
        return line.decode("latin-1")

    def read_some(self) -> bytes:
        """The next bytes of the body, as soon as there are any; empty at its end.

        Raises UnreachableError when the engine breaks off inside the body.
        """
        if self.finished:
            return b""
        if self._chunked and self._left == 0 and not self._next_chunk():
            return b""
        if not self._buffer and self._left:
            # Of a large body nothing goes through the buffer.
            data = self.link.socket.recv(min(self._left, _LARGE))
            if not data:
                raise UnreachableError(
                    "the engine closed the connection in the middle of an answer"
                )
            return self._took(data)
        if not self._buffer and not self._fill():
            self.finished = True
            return b""
        size = len(self._buffer) if self._left is None else min(self._left, len(self._buffer))
        data = bytes(self._buffer[:size])
        del self._buffer[:size]
        return self._took(data)

    def _took(self, data: bytes) -> bytes:
        if self._left is not None:
            self._left -= len(data)
            if not self._left:
                self._end_of_part()
        return data

    def _end_of_part(self) -> None:
        if self._chunked:
            self._line()  # the line end after a chunk
        else:
            self.finished = True

    def _next_chunk(self) -> bool:
        """Read a chunk's size line (and the trailers after the last one); False at the end."""
        try:
            self._left = int(self._line().partition(";")[0], 16)
        except ValueError:
            raise ProtocolError("the engine sent a broken chunk") from None
        if self._left:
            return True
        while self._line():
            pass
        self.finished = True
        return False

    def read(self) -> bytes:
        """The whole rest of the body."""
        return b"".join(iter(self.read_some, b""))

    def chunks(self) -> Iterator[bytes]:
        """The body, piece by piece."""
        return iter(self.read_some, b"")

    def lines(self) -> Iterator[bytes]:
        """The body, line by line without line ends; blank lines are left out."""
        rest = b""
        for data in self.chunks():
            *whole, rest = (rest + data).split(b"\n")
            yield from (line for line in whole if line.strip())
        if rest.strip():
            yield rest

    def take_buffer(self) -> bytes:
        """What was read beyond the header: the first bytes of a hijacked stream."""
        data = bytes(self._buffer)
        self._buffer.clear()
        return data

    def close(self) -> None:
        """Drop the connection."""
        self.finished = True
        self.link.close()


def send(link: Link, method: str, target: str, headers: Mapping[str, str], body: Body) -> None:
    """Send one request; a body of unknown length goes in chunks.

    An engine that answers (with an error) before it has read the body is not an error here.
    """
    fields = dict(headers)
    if isinstance(body, bytes):
        fields["Content-Length"] = str(len(body))
    elif body is not None:
        fields["Transfer-Encoding"] = "chunked"
    elif method in ("POST", "PUT"):
        fields["Content-Length"] = "0"
    for name, value in fields.items():
        if "\r" in value or "\n" in value:
            raise ValueError(f"line break in header {name}")
    head = f"{method} {target} HTTP/1.1\r\n" + "".join(
        f"{name}: {value}\r\n" for name, value in fields.items()
    )
    data = head.encode("latin-1") + b"\r\n"
    try:
        if isinstance(body, bytes):
            link.socket.sendall(data + body)
            return
        link.socket.sendall(data)
        if body is not None:
            for piece in body:
                if piece:
                    link.socket.sendall(b"%x\r\n%b\r\n" % (len(piece), piece))
            link.socket.sendall(b"0\r\n\r\n")
    except (BrokenPipeError, ConnectionResetError):
        # The answer, if there is one, says why; reading it fails cleanly if there is none.
        return
