"""Signals by the names that users give them."""

from __future__ import annotations

import signal

from ..host.errors import InvalidError


def signal_number(name: str) -> int:
    """The number of a signal given as `TERM`, `SIGTERM`, `15` or `RTMIN+3`.

    Raises InvalidError for one Linux does not have.
    """
    text = name.strip().upper().removeprefix("SIG")
    if text.isdecimal() and len(text) < 3 and 0 < int(text) <= 64:
        return int(text)
    base, plus, more = text.partition("+")
    try:
        number = int(signal.Signals[f"SIG{base}"]) + (int(more) if plus else 0)
    except (KeyError, ValueError):
        raise InvalidError(f"Invalid signal: {name}") from None
    return number
