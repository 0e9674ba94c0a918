"""Moments on the command line: a time, a Unix time, or how long ago."""

from __future__ import annotations

import datetime
import re
import time

from . import units
from .flags import UsageError

_UNIX = re.compile(r"\d+(\.\d{1,9})?$")


def parse_when(text: str) -> str | None:
    """Seconds since 1970, as the API wants it ("12.000000345"); None for an empty text.

    `text` is a Unix time, an RFC 3339 time or a beginning of one (in the local zone without an
    offset), or a duration before now such as 10m. Raises UsageError.
    """
    if not text:
        return None
    if _UNIX.match(text):
        return text
    try:
        ns = time.time_ns() - units.parse_duration(text)
    except ValueError:
        ns = _moment(text)
    return f"{ns // 1_000_000_000}.{ns % 1_000_000_000:09d}"


def _moment(text: str) -> int:
    """Nanoseconds since 1970 of an ISO 8601 time."""
    fraction = re.search(r"\.(\d{1,9})", text)
    plain = re.sub(r"\.\d+", "", text)
    if re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d", plain):
        plain += ":00"
    try:
        moment = datetime.datetime.fromisoformat(plain)
    except ValueError:
        raise UsageError(
            f'invalid time "{text}": write 2006-01-02T15:04:05Z, a Unix time or 10m'
        ) from None
    ns = int((fraction.group(1) if fraction else "0").ljust(9, "0"))
    return int(moment.astimezone(datetime.UTC).timestamp()) * 1_000_000_000 + ns
