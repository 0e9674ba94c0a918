"""The engine as the screen sees it: requests, streams and hijacked terminals over one dialer.

Every call opens its own connection: on a unix socket that costs 0.1 ms and frees us from queueing
behind a reply that never ends (events, logs, attach).
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any

from ..client.errors import ProtocolError, UnreachableError, from_response
from ..host.errors import ForbiddenError
from .answers import MisfitError, shape_of
from .members import members
from .source_http import READ, Head, chunks, encode, read_head

Streams = tuple[asyncio.StreamReader, asyncio.StreamWriter]
Dial = Callable[[], Awaitable[Streams]]


class Wire:
    """A hijacked connection: raw bytes both ways, until either side closes.

    `multiplexed` says that what arrives is in Docker's eight-byte frames (no terminal).
    """

    def __init__(self, streams: Streams, multiplexed: bool) -> None:
        self._reader, self._writer = streams
        self.multiplexed = multiplexed

    async def read(self) -> bytes:
        """The next bytes of the other side; empty when it has closed."""
        try:
            return await self._reader.read(READ)
        except OSError:
            return b""

    def write(self, data: bytes) -> None:
        """Send `data`; what does not fit the socket now waits in the transport's buffer."""
        if not self._writer.is_closing():
            self._writer.write(data)

    def end(self) -> None:
        """Say that no more input comes (half-close)."""
        if self._writer.can_write_eof() and not self._writer.is_closing():
            self._writer.write_eof()

    def close(self) -> None:
        """Drop the connection."""
        self._writer.close()


class Source:
    """A client of one engine; `name` is how the host is shown, `dial` opens a connection."""

    def __init__(self, dial: Dial, name: str, reason: Callable[[], str] = str) -> None:
        self._dial = dial
        self._reason = reason
        self.name = name
        # Refuses whatever could change something, before it is sent.
        self.read_only = False
        # Whether it is podman, which does some of it in its own way; the feed says so.
        self.podman = False

    async def get(self, path: str, /, **query: Any) -> Any:
        """GET `path` and return its JSON."""
        return await self.call("GET", path, query)

    async def raw(self, path: str) -> Any:
        """GET `path` and return its JSON as it came, whatever it is."""
        return await self._ask("GET", path, None, None)

    async def post(self, path: str, body: Any = None, **query: Any) -> Any:
        """POST `body` as JSON and return the reply's JSON, None when it has none."""
        return await self.call("POST", path, query, body)

    async def delete(self, path: str, **query: Any) -> Any:
        """DELETE `path` and return the reply's JSON, None when it has none."""
        return await self.call("DELETE", path, query)

    async def call(
        self, method: str, path: str, query: dict[str, Any] | None = None, body: Any = None
    ) -> Any:
        """One whole request, its answer as `answers` has it.

        Raises the BayError that the status stands for, with the engine's own sentence,
        UnreachableError when the engine can't be reached, and ProtocolError when what answers says
        something else than an engine does.
        """
        reply = await self._ask(method, path, query, body)
        try:
            return shape_of(path)(reply)
        except MisfitError as error:
            raise self._strange(path, f"is {error}") from error

    async def _ask(self, method: str, path: str, query: dict[str, Any] | None, body: Any) -> Any:
        async with self.stream(method, path, query, body) as pieces:
            data = b"".join([piece async for piece in pieces])
        return self._json(path, data) if data.strip() else None

    async def members(self, path: str, name: str, **query: Any) -> AsyncIterator[tuple[str, Any]]:
        """GET `path`, and decode the members of its object `name` one by one, as each is asked for.

        Errors as in `call`; a member that does not fit is left out.
        """
        async with self.stream("GET", path, query) as pieces:
            data = b"".join([piece async for piece in pieces])
        shape = shape_of(path)
        try:
            for key, value in members(data.decode("utf-8", "replace"), name):
                for fit in shape({name: {key: value}})[name].values():
                    yield key, fit
        except (ValueError, RecursionError) as error:
            raise self._strange(path, "is no JSON") from error

    def _json(self, path: str, data: bytes) -> Any:
        try:
            return json.loads(data, parse_constant=lambda name: None)
        except (ValueError, RecursionError) as error:
            raise self._strange(path, "is no JSON") from error

    def _strange(self, path: str, why: str) -> ProtocolError:
        path = path if len(path) < 50 else f"{path[:20]}…{path[-25:]}"
        return ProtocolError(f"What answers at {self.name} speaks another language: {path} {why}")

    @asynccontextmanager
    async def stream(
        self,
        method: str,
        path: str,
        query: dict[str, Any] | None = None,
        body: Any = None,
        headers: dict[str, str] | None = None,
    ) -> AsyncIterator[AsyncIterator[bytes]]:
        """Make a request and give its body piece by piece; errors as in `call`."""
        head, (reader, writer) = await self._send(method, path, query, body, headers)
        try:
            await _check(head, reader, method)
            yield _guard(chunks(reader, head, method))
        finally:
            writer.close()

    @asynccontextmanager
    async def lines(
        self, path: str, method: str = "GET", **query: Any
    ) -> AsyncIterator[AsyncIterator[Any]]:
        """Make a request whose reply is a stream of JSON lines, and give them decoded."""
        async with self.stream(method, path, query) as pieces:
            yield self._decoded(path, pieces)

    @asynccontextmanager
    async def send(
        self,
        method: str,
        path: str,
        query: dict[str, Any] | None,
        body: AsyncIterator[bytes] | None,
        headers: dict[str, str],
    ) -> AsyncIterator[AsyncIterator[Any]]:
        """Make a request whose body is sent piece by piece (None for none); its lines of JSON.

        Errors as in `call`; what `body` raises comes through.
        """
        if body is not None:
            headers = {**headers, "Transfer-Encoding": "chunked"}
        head, (reader, writer) = await self._send(method, path, query, None, headers, body)
        try:
            await _check(head, reader, method)
            yield self._decoded(path, _guard(chunks(reader, head, method)))
        finally:
            writer.close()

    async def _decoded(self, path: str, pieces: AsyncIterator[bytes]) -> AsyncIterator[Any]:
        """The lines of a reply, without those that are not what is to be told there."""
        shape = shape_of(path)
        async for line in _lines(pieces):
            try:
                decoded = shape(self._json(path, line))
            except MisfitError:
                continue
            yield decoded

    async def hijack(self, path: str, body: Any = None, **query: Any) -> Wire:
        """POST `path` asking for an upgrade, and take the raw connection over.

        Errors as in `call`.
        """
        upgrade = {"Connection": "Upgrade", "Upgrade": "tcp"}
        head, streams = await self._send("POST", path, query, body, upgrade)
        try:
            await _check(head, streams[0], "POST")
        except BaseException:
            streams[1].close()
            raise
        kind = head.headers.get("content-type", "")
        return Wire(streams, kind == "application/vnd.docker.multiplexed-stream")

    async def _send(
        self,
        method: str,
        path: str,
        query: dict[str, Any] | None,
        body: Any,
        headers: dict[str, str] | None,
        pieces: AsyncIterator[bytes] | None = None,
    ) -> tuple[Head, Streams]:
        if self.read_only and method not in ("GET", "HEAD"):
            raise ForbiddenError(
                "This screen is read-only: it was started with --read-only or so set"
            )
        streams = await self._dial()
        try:
            streams[1].write(encode(method, path, query, body, headers))
            await streams[1].drain()
            if pieces is not None:
                await _feed(streams[1], pieces)
            return await read_head(streams[0]), streams
        except (ValueError, asyncio.IncompleteReadError) as error:
            streams[1].close()
            raise self._strange(path, "is no HTTP") from error
        except OSError as error:
            streams[1].close()
            why = self._reason()
            said = f"Cannot reach {self.name}: {why}" if why else ""
            raise UnreachableError(
                said or f"The engine at {self.name} closed the connection"
            ) from error
        except BaseException:
            streams[1].close()
            raise


async def _lines(pieces: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
    rest = b""
    async for piece in pieces:
        *whole, rest = (rest + piece).split(b"\n")
        for line in whole:
            if line.strip():
                yield line
    if rest.strip():
        yield rest


async def _feed(writer: asyncio.StreamWriter, pieces: AsyncIterator[bytes]) -> None:
    """Send a body in chunks (RFC 9112, 7.1); an engine that refuses it early is heard."""
    try:
        async for piece in pieces:
            if piece:
                writer.write(b"%x\r\n%b\r\n" % (len(piece), piece))
                await writer.drain()
        writer.write(b"0\r\n\r\n")
        await writer.drain()
    except ConnectionError:
        pass  # what it has to say is in its reply


async def _check(head: Head, reader: asyncio.StreamReader, method: str) -> None:
    """Raise what a reply's status stands for, in the engine's words."""
    if head.status < 300:
        return
    data = b"".join([piece async for piece in _guard(chunks(reader, head, method))])
    raise from_response(head.status, data)


async def _guard(pieces: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
    try:
        async for piece in pieces:
            yield piece
    except (OSError, ValueError, asyncio.IncompleteReadError) as error:
        raise UnreachableError("The engine closed the connection in mid-reply") from error


async def demux(pieces: AsyncIterator[bytes]) -> AsyncIterator[tuple[int, bytes]]:
    """Docker's multiplexed stream as (1 stdout | 2 stderr, bytes): 8-byte header, big-endian size.

    A frame is given in parts as they arrive, so that a large one does not wait for its end.
    """
    buffer = bytearray()
    stream, left = 1, 0
    async for piece in pieces:
        buffer += piece
        while buffer:
            if not left:
                if len(buffer) < 8:
                    break
                stream, left = 2 if buffer[0] == 2 else 1, int.from_bytes(buffer[4:8], "big")
                del buffer[:8]
                continue
            part = bytes(buffer[:left])
            del buffer[: len(part)]
            left -= len(part)
            yield stream, part
