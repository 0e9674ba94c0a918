"""HTTP/1.1 as the Engine API speaks it, on asyncio streams (RFC 9112).

Only what a client of one engine needs: a head, a body that is chunked, counted or ends with the
connection, and access to the raw connection after a hijack. aiohttp is not used here because its
client hands over no raw connection and costs the screen a quarter of a second at start.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlencode

READ = 65536


@dataclass(frozen=True)
class Head:
    """Status line and headers of a reply; header names in lower case."""

    status: int
    reason: str
    headers: dict[str, str]


def encode(
    method: str,
    path: str,
    query: dict[str, Any] | None = None,
    body: Any = None,
    headers: dict[str, str] | None = None,
) -> bytes:
    """The bytes of a request; `body` is bytes as they are, anything else as JSON.

    Query values that are None are left out; True and False become 1 and 0, lists and dicts JSON.
    """
    fields = {key: _plain(value) for key, value in (query or {}).items() if value is not None}
    target = f"{path}?{urlencode(fields)}" if fields else path
    lines = [f"{method} {target} HTTP/1.1", "Host: bay"]
    lines += [f"{key}: {value}" for key, value in (headers or {}).items()]
    content = b""
    if body is not None:
        content = body if isinstance(body, bytes) else json.dumps(body).encode()
        if not isinstance(body, bytes):
            lines.append("Content-Type: application/json")
    chunked = "Transfer-Encoding" in (headers or {})
    if not chunked and (body is not None or method in ("POST", "PUT")):
        lines.append(f"Content-Length: {len(content)}")
    return "\r\n".join(lines).encode() + b"\r\n\r\n" + content


def _plain(value: Any) -> str:
    if isinstance(value, bool):
        return "1" if value else "0"
    if isinstance(value, (dict, list)):
        return json.dumps(value)
    return str(value)


async def read_head(reader: asyncio.StreamReader) -> Head:
    """Read a reply's head, skipping interim 1xx ones except 101.

    Raises ConnectionResetError when the other side closed or sent no HTTP.
    """
    while True:
        line = await reader.readline()
        parts = line.decode("latin-1").rstrip("\r\n").split(" ", 2)
        if len(parts) < 2 or not parts[0].startswith("HTTP/1."):
            raise ConnectionResetError("the engine closed the connection")
        headers: dict[str, str] = {}
        while (line := await reader.readline()).strip():
            name, _, value = line.decode("latin-1").partition(":")
            headers[name.strip().lower()] = value.strip()
        status = int(parts[1])
        if status >= 200 or status == 101:
            return Head(status, parts[2] if len(parts) > 2 else "", headers)


async def chunks(reader: asyncio.StreamReader, head: Head, method: str) -> AsyncIterator[bytes]:
    """The pieces of a reply's body as they arrive.

    Raises ConnectionResetError when it ends early.
    """
    if method == "HEAD" or head.status in (204, 304):
        return
    if "chunked" in head.headers.get("transfer-encoding", "").lower():
        async for piece in _chunked(reader):
            yield piece
        return
    length = head.headers.get("content-length")
    left = int(length) if length is not None else -1
    while left:
        piece = await reader.read(READ if left < 0 else min(READ, left))
        if not piece:
            if left > 0:
                raise ConnectionResetError("the engine closed the connection in mid-reply")
            return
        if left > 0:
            left -= len(piece)
        yield piece


async def _chunked(reader: asyncio.StreamReader) -> AsyncIterator[bytes]:
    while True:
        line = await reader.readline()
        if not line:
            raise ConnectionResetError("the engine closed the connection in mid-reply")
        left = int(line.split(b";")[0], 16)
        if not left:
            while (await reader.readline()).strip():
                pass
            return
        while left:
            piece = await reader.read(min(READ, left))
            if not piece:
                raise ConnectionResetError("the engine closed the connection in mid-reply")
            left -= len(piece)
            yield piece
        await reader.readline()
