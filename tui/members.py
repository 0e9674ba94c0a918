"""A large JSON object taken apart member by member, with time for other things in between.

What an engine has measured of a thousand containers is eight megabytes: decoded at once, that was
a quarter of a second in which no key was heard.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from typing import Any

_SPACE = re.compile(r"[ \t\n\r]*")
_decode = json.JSONDecoder(parse_constant=lambda name: None).raw_decode


def members(text: str, name: str) -> Iterator[tuple[str, Any]]:
    """The members of the object `name` in the JSON object `text`, each decoded when its turn comes.

    Raises ValueError at what is no JSON.
    """
    at = _past(text, 0, "{")
    while text[at : at + 1] != "}":
        key, at = _decode(text, at)
        at = _past(text, at, ":")
        if key == name and text[at : at + 1] == "{":
            yield from _each(text, _past(text, at, "{"))
            return
        at = _next(text, _decode(text, at)[1])


def _each(text: str, at: int) -> Iterator[tuple[str, Any]]:
    while text[at : at + 1] != "}":
        key, at = _decode(text, at)
        value, at = _decode(text, _past(text, at, ":"))
        yield str(key), value
        at = _next(text, at)


def _next(text: str, at: int) -> int:
    """Where the next member begins, or the brace is that ends them."""
    at = _blank(text, at)
    return at if text[at : at + 1] == "}" else _past(text, at, ",")


def _past(text: str, at: int, mark: str) -> int:
    at = _blank(text, at)
    if text[at : at + 1] != mark:
        raise ValueError(f"{mark!r} is missing at {at}")
    return _blank(text, at + 1)


def _blank(text: str, at: int) -> int:
    found = _SPACE.match(text, at)
    return found.end() if found else at
