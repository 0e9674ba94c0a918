"""Sizes, durations and numbers, as Docker writes and reads them."""

from __future__ import annotations

_TRUE = {"1", "t", "T", "true", "TRUE", "True"}
_FALSE = {"0", "f", "F", "false", "FALSE", "False"}
# Compiled when used, and `re` imported then: most verbs never do.
_SIZE = r"(-?\d+(?:\.\d+)?)\s*([kKmMgGtTpP]?)(?:[iI]?[bB])?$"
_POWERS = {"": 0, "k": 1, "m": 2, "g": 3, "t": 4, "p": 5}
_DURATION = r"(\d+(?:\.\d*)?|\.\d+)(ns|us|µs|ms|s|m|h)"
_NS = {
    "ns": 1,
    "us": 1_000,
    "µs": 1_000,
    "ms": 1_000_000,
    "s": 1_000_000_000,
    "m": 60_000_000_000,
    "h": 3_600_000_000_000,
}
_DECIMAL_UNITS = ("B", "kB", "MB", "GB", "TB", "PB", "EB")
_BINARY_UNITS = ("B", "KiB", "MiB", "GiB", "TiB", "PiB", "EiB")


def parse_bool(text: str) -> bool:
    """A switch's value. Raises ValueError."""
    if text in _TRUE:
        return True
    if text in _FALSE:
        return False
    raise ValueError("must be true or false")


def parse_int(text: str) -> int:
    """A whole number. Raises ValueError."""
    try:
        return int(text, 10)
    except ValueError:
        raise ValueError("must be a whole number") from None


def parse_decimal(text: str) -> float:
    """A decimal number. Raises ValueError."""
    try:
        return float(text)
    except ValueError:
        raise ValueError("must be a number") from None


def parse_size(text: str) -> int:
    """Bytes of a size such as 512m, 1.5g, 64KiB (always powers of 1024); -1 is itself.

    Raises ValueError.
    """
    if text == "-1":
        return -1
    import re

    match = re.match(_SIZE, text)
    if match is None or text.startswith("-"):
        raise ValueError(f"invalid size: '{text}'")
    number, unit = match.groups()
    return int(float(number) * 1024 ** _POWERS[unit.lower()])


def parse_duration(text: str) -> int:
    """Nanoseconds of a duration such as 1h30m or 500ms. Raises ValueError."""
    if text == "0":
        return 0
    import re

    sign = -1 if text.startswith("-") else 1
    rest = text[1:] if text[:1] in ("+", "-") else text
    if not rest or re.sub(_DURATION, "", rest):
        raise ValueError(f'time: invalid duration "{text}"')
    return sign * int(
        sum(float(number) * _NS[unit] for number, unit in re.findall(_DURATION, rest))
    )


def _scaled(value: float, base: int, names: tuple[str, ...], digits: int) -> str:
    index = 0
    while abs(value) >= base and index < len(names) - 1:
        value /= base
        index += 1
    return f"{value:.{digits}g}" + names[index]


def human_size(size: float, digits: int = 3) -> str:
    """A size in powers of 1000 with `digits` figures: 1.24MB."""
    text = _scaled(size, 1000, _DECIMAL_UNITS, digits)
    return text if "e" not in text else _scaled(size, 1000, _DECIMAL_UNITS, 4)


def binary_size(size: float, digits: int = 4) -> str:
    """A size in powers of 1024 with `digits` figures: 15.55MiB."""
    return _scaled(size, 1024, _BINARY_UNITS, digits)


def human_duration(seconds: float) -> str:
    """How long something lasts, in words of one figure: "5 minutes", "About an hour"."""
    whole = int(seconds)
    if whole < 1:
        return "Less than a second"
    if whole == 1:
        return "1 second"
    if whole < 60:
        return f"{whole} seconds"
    minutes = whole // 60
    if minutes == 1:
        return "About a minute"
    if minutes < 60:
        return f"{minutes} minutes"
    hours = int(seconds / 3600 + 0.5)
    if hours == 1:
        return "About an hour"
    if hours < 48:
        return f"{hours} hours"
    if hours < 24 * 7 * 2:
        return f"{hours // 24} days"
    if hours < 24 * 30 * 2:
        return f"{hours // 24 // 7} weeks"
    if hours < 24 * 365 * 2:
        return f"{hours // 24 // 30} months"
    return f"{hours // 24 // 365} years"


def human_ago(seconds: float) -> str:
    """How long ago something was: "5 minutes ago"."""
    return f"{human_duration(seconds)} ago"
