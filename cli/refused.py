"""Flags that docker has and that can do nothing here: taken, and their use told in clear words.

A script that passes one at its default goes on; one that means it gets the reason, not "unknown
flag".
"""

from __future__ import annotations

from ..host.light import Any, Callable
from .flags import Flag, text
from .units import parse_bool

WINDOWS = "only containers of Windows have it"
SWARM = "it belongs to Swarm, and this engine is of one host"
CHECKPOINTS = "this engine makes no checkpoints"


def value(name: str, why: str, *harmless: str) -> Flag:
    """A flag with a value, which must be empty or one of those `harmless`."""

    def refuse(given: str) -> str:
        if given in ("", "0", *harmless):
            return given
        raise ValueError(why)

    return text(name, why, convert=refuse, hidden=True)


def switch(name: str, why: str) -> Flag:
    """A switch that can only be off."""
    convert: Callable[[str], Any] = parse_bool

    def refuse(given: str) -> bool:
        if convert(given):
            raise ValueError(why)
        return False

    return Flag(name, why, default=False, convert=refuse, hidden=True)
