"""The Engine API's versions: which are spoken, and Docker's words for the others."""

from __future__ import annotations

from ..host.errors import InvalidError

CURRENT = "1.51"
OLDEST = "1.24"


def parse(text: str) -> tuple[int, ...]:
    """`1.41` -> (1, 41). Raises InvalidError for what is no version."""
    parts = text.split(".")
    if not all(part.isdecimal() for part in parts):
        raise InvalidError(f"invalid API version: {text}")
    return tuple(int(part) for part in parts)


def negotiate(text: str | None) -> tuple[int, ...]:
    """The version a request is answered in; without one in its path, the current one.

    Raises InvalidError, in moby's words, for one that is too new or too old.
    """
    if text is None:
        return parse(CURRENT)
    wanted = parse(text)
    if wanted > parse(CURRENT):
        raise InvalidError(
            f"client version {text} is too new. Maximum supported API version is {CURRENT}"
        )
    if wanted < parse(OLDEST):
        raise InvalidError(
            f"client version {text} is too old. Minimum supported API version is {OLDEST}, "
            "please upgrade your client to a newer version"
        )
    return wanted
