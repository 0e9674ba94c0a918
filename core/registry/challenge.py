"""What a registry's 401 asks for: the `WWW-Authenticate` header, RFC 9110 section 11.6.1."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass, field

# What is between two: however long, it is read once (`+`: nothing is given back).
_BETWEEN = r"\s*+(?:,\s*+)?"
_SCHEME = re.compile(rf"{_BETWEEN}([A-Za-z][A-Za-z0-9-]*)(?=\s+[A-Za-z]|\s*$|\s*,)")
_PARAMETER = re.compile(_BETWEEN + r'([A-Za-z_][\w-]*)\s*=\s*(?:"((?:[^"\\]|\\.)*)"|([^\s,"]+))')
_ESCAPED = re.compile(r"\\(.)")


@dataclass(frozen=True)
class Challenge:
    """One way to get in: `scheme` in lower case ("bearer", "basic") and its parameters."""

    scheme: str
    parameters: dict[str, str] = field(default_factory=dict)


def parse(headers: Iterable[str]) -> list[Challenge]:
    """Every challenge of the given header lines, in their order; what is malformed is left out."""
    found: list[Challenge] = []
    for text in headers:
        place = 0
        while match := _SCHEME.match(text, place):
            place = match.end()
            parameters: dict[str, str] = {}
            while pair := _PARAMETER.match(text, place):
                place = pair.end()
                value = pair[3] if pair[2] is None else _ESCAPED.sub(r"\1", pair[2])
                parameters[pair[1].lower()] = value
            found.append(Challenge(match[1].lower(), parameters))
    return found


def best(challenges: Iterable[Challenge]) -> Challenge | None:
    """The one to answer: Bearer before Basic; None when there is neither."""
    known = {one.scheme: one for one in challenges}
    bearer = known.get("bearer")
    if bearer is not None and bearer.parameters.get("realm"):
        return bearer
    return known.get("basic")
