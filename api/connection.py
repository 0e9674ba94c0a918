"""One HTTP connection to the engine: Go's limits, and an answer for who has ended its half."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from aiohttp import web

if TYPE_CHECKING:
    from aiohttp.streams import StreamReader

# Go's limit of all headers together; aiohttp's are 8 KiB for a line and 128 headers. The
# credentials of a build, in one header, and the names of `docker save`, in the path, are longer.
LONGEST_LINE = 1 << 20
MOST_HEADERS = 10_000


class Server(web.Server):
    """Makes a `Connection` of each socket."""

    def __call__(self) -> web.RequestHandler:
        """Called by asyncio for each connection."""
        return Connection(
            self,
            loop=self._loop,
            max_line_size=LONGEST_LINE,
            max_field_size=LONGEST_LINE,
            max_headers=MOST_HEADERS,
            **self._kwargs,
        )


class Connection(web.RequestHandler):
    """aiohttp's, that answers what came before a client ended its half (`nc -N`, socat).

    `payload` is the body of the request under way. `is_stream` says that its answer may go on for
    ever: such a one ends with its client's half, as nothing more would tell of the client's end.
    """

    __slots__ = ("has_ended", "is_stream", "payload")

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.payload: StreamReader | None = None
        self.is_stream = False
        self.has_ended = False

    def eof_received(self) -> bool | None:  # type: ignore[override]  # aiohttp's gives nothing
        """Called by the transport; True keeps our half open."""
        # Between two requests it waits; before the first one it may not have begun to.
        is_idle = not self._messages and (self._waiter is not None or self._request_count == 0)
        if is_idle or self.is_stream or self._upgraded:
            return None
        self.has_ended = True
        for payload in (self.payload, *(payload for _, payload in self._messages)):
            if payload is not None and not payload.is_eof():
                payload.set_exception(web.RequestPayloadError("unexpected EOF"))
        if not self._messages:
            self._close = True  # after the answer
        return True

    def is_last(self) -> bool:
        """Whether the request under way is the last one that can come."""
        return self.has_ended and not self._messages
