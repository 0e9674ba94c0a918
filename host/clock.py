"""Time as Docker writes it: RFC 3339 with nanoseconds, UTC."""

from __future__ import annotations

import re
import time
from datetime import UTC, datetime

ZERO = "0001-01-01T00:00:00Z"
_SHAPE = re.compile(
    r"(\d{4}-\d\d-\d\d)[Tt ](\d\d:\d\d:\d\d)(?:\.(\d{1,9})\d*)?([Zz]|[+-]\d\d:?\d\d)?$"
)


def now() -> str:
    """This moment, as `2006-01-02T15:04:05.999999999Z`."""
    return from_ns(time.time_ns())


def from_ns(ns: int) -> str:
    """Format `ns` (nanoseconds since 1970) in RFC 3339; 0 is Docker's zero time."""
    if not ns:
        return ZERO
    seconds, rest = divmod(ns, 1_000_000_000)
    return time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(seconds)) + f".{rest:09d}Z"


def to_ns(text: str) -> int:
    """Nanoseconds since 1970 of an RFC 3339 time; 0 for Docker's zero time.

    Raises ValueError when `text` is no such time.
    """
    if not text or text.startswith("0001-"):
        return 0
    match = _SHAPE.match(text)
    if match is None:
        raise ValueError(f"not an RFC 3339 time: {text}")
    day, clock, fraction, zone = match.groups()
    zone = "+00:00" if zone in (None, "Z", "z") else zone
    try:
        moment = datetime.fromisoformat(f"{day}T{clock}{zone}").astimezone(UTC)
    except OverflowError:  # the first and the last day there are, in some zones
        raise ValueError(f"not an RFC 3339 time: {text}") from None
    return int(moment.timestamp()) * 1_000_000_000 + int((fraction or "0").ljust(9, "0"))


def boot_id() -> str:
    """The kernel's identifier of this boot: state made under another one is gone."""
    with open("/proc/sys/kernel/random/boot_id", encoding="ascii") as file:
        return file.read().strip()
