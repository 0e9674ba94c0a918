"""`/session` and `/grpc`: how BuildKit's clients learn that their protocol is not served here."""

from __future__ import annotations

import contextlib

from aiohttp import web

from ...host.errors import UnsupportedError
from ..call import Call
from ..grpcrefusal import Refusal
from ..hijack import Hijacked, RawConnection, take_over
from ..router import route

NO_BUILDKIT = (
    "BuildKit's protocol is not served by this engine: set DOCKER_BUILDKIT=0 for the classic"
    " builder, or use `bay build`"
)


@route("POST", "/session", streaming=True)
async def session(call: Call) -> web.StreamResponse:
    """Held open, and asked nothing: the build that comes with it is told why (`POST /build`)."""
    raw = _let_in(call)
    with contextlib.suppress(ConnectionError):
        while await raw.read():
            pass
    raw.close()
    return Hijacked()


@route("POST", "/grpc", streaming=True)
async def grpc(call: Call) -> web.StreamResponse:
    """Every call is refused with the sentence: no other error reaches buildx's users."""
    raw = _let_in(call)
    with contextlib.suppress(ConnectionError):
        await _refuse(raw)
    raw.close()
    return Hijacked()


def _let_in(call: Call) -> RawConnection:
    if call.request.headers.get("Upgrade", "").lower() != "h2c":
        raise UnsupportedError(NO_BUILDKIT)
    return take_over(call, "application/grpc")


async def _refuse(raw: RawConnection) -> None:
    refusal = Refusal(NO_BUILDKIT)
    while data := await raw.read():
        answer = refusal.take(data)
        if answer is None:
            return
        if answer:
            await raw.write(answer)
