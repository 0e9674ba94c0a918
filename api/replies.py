"""What the API answers with: JSON, nothing, an error, or a stream that goes on."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Iterable
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

from aiohttp import web

from ..host.chunks import closing

if TYPE_CHECKING:
    from .call import Call


def dump(value: Any) -> bytes:
    """`value` as one line of JSON."""
    try:
        return json.dumps(value, separators=(",", ":"), ensure_ascii=False).encode() + b"\n"
    except UnicodeEncodeError:
        # A file's name that is no UTF-8: its bytes go as lone surrogates, escaped.
        return json.dumps(value, separators=(",", ":")).encode() + b"\n"


def reply(value: Any, status: int = 200) -> web.Response:
    """A JSON answer."""
    return web.Response(body=dump(value), status=status, content_type="application/json")


def empty(status: int = 204) -> web.Response:
    """An answer without a body."""
    return web.Response(status=status)


def moved(path: str, query: str) -> web.Response:
    """301: the same is found at `path`."""
    place = quote(path) + (f"?{query}" if query else "")
    return web.Response(status=301, headers={"Location": place})


def failure(message: str, status: int) -> web.Response:
    """Docker's error object; 304 has no body, by HTTP."""
    return empty(304) if status == 304 else reply({"message": message}, status)


class Stream:
    """An answer in pieces. `async with` sends its headers at once, without it the first piece does.

    `write` waits for a slow client and raises ConnectionError for one that is gone.
    """

    def __init__(self, call: Call, content_type: str, headers: dict[str, str] | None = None):
        self._call = call
        self.response = web.StreamResponse(headers=headers)
        self.response.content_type = content_type

    async def __aenter__(self) -> Stream:
        await self._start()
        return self

    async def __aexit__(self, kind: type[BaseException] | None, *_: object) -> None:
        if kind is None:
            await self.end()
        elif self.response.prepared and self._call.request.transport is not None:
            # Its status has gone: all that can still be told is that this was not all.
            self._call.request.transport.abort()

    async def _start(self) -> None:
        if self.response.prepared:
            return
        self._call.server.decorate(self.response)
        if self._call.request.version >= (1, 1):
            self.response.enable_chunked_encoding()
        await self.response.prepare(self._call.request)

    async def write(self, data: bytes) -> None:
        """Send one piece now."""
        await self._start()
        if data:
            await self.response.write(data)

    async def send(self, value: Any) -> None:
        """Send one line of JSON now."""
        await self.write(dump(value))

    async def send_all(self, values: Iterable[Any]) -> None:
        """Send a line of JSON for each, in one piece."""
        await self.write(b"".join(map(dump, values)))

    async def end(self) -> None:
        """Say that this was all."""
        await self._start()
        await self.response.write_eof()


async def stream_json(call: Call, values: AsyncIterator[Any]) -> web.StreamResponse:
    """Answer with a line of JSON per value until there are no more or the client is gone."""
    async with closing(values), Stream(call, "application/json") as stream:
        async for value in values:
            await stream.send(value)
    return stream.response


async def stream_bytes(
    call: Call,
    chunks: AsyncIterator[bytes],
    content_type: str,
    headers: dict[str, str] | None = None,
) -> web.StreamResponse:
    """Answer with these bytes as they come; an error before the first has its own status."""
    stream = Stream(call, content_type, headers)
    async with closing(chunks):
        chunk = await anext(chunks, None)
        async with stream:
            while chunk is not None:
                await stream.write(chunk)
                chunk = await anext(chunks, None)
    return stream.response
