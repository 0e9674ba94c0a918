"""What a client raises: the engine's own errors by HTTP status, and the lack of an engine."""

from __future__ import annotations

from ..host import quickjson
from ..host.errors import (
    BayError,
    ConflictError,
    ForbiddenError,
    InvalidError,
    NoSpaceError,
    NotFoundError,
    NotModifiedError,
    UnauthorizedError,
    UnsupportedError,
)

_BY_STATUS: dict[int, type[BayError]] = {
    kind.status: kind
    for kind in (
        ConflictError,
        ForbiddenError,
        InvalidError,
        NoSpaceError,
        NotFoundError,
        NotModifiedError,
        UnauthorizedError,
        UnsupportedError,
    )
}


class UnreachableError(BayError):
    """No engine answers at the host; the message says which and what to do."""

    status = 503


class NotAllowedError(UnreachableError):
    """This user may not write to the engine's socket; whether one runs is not known."""

    status = 403


def is_from_engine(error: BayError) -> bool:
    """Whether the engine said it (`from_response` made it), or this client."""
    return "status" in vars(error)


class ProtocolError(BayError):
    """What answers does not speak the Docker Engine API."""

    status = 502


def from_response(status: int, body: bytes) -> BayError:
    """The exception for an error answer: its class by `status`, its text the daemon's message."""
    text = body.decode(errors="replace").strip()
    try:
        parsed = quickjson.loads(text)
        if isinstance(parsed, dict) and parsed.get("message"):
            text = str(parsed["message"])
    except ValueError:
        if text.startswith("<"):  # a page of what stands before the engine
            text = f"what stands before the engine answered with status {status}"
    error = _BY_STATUS.get(status, BayError)(text or f"the engine answered with status {status}")
    error.status = status
    return error
