"""Docker's `filters` parameter: what it looks like on the wire, and what its values match."""

from __future__ import annotations

import re
import time
from collections.abc import Collection, Iterable, Mapping

from ..host import clock, jsontext
from ..host.errors import InvalidError
from . import regex

_TRUE = frozenset({"1", "true", "True", "TRUE", "t", "T"})
_FALSE = frozenset({"0", "false", "False", "FALSE", "f", "F"})

_UNITS = {"ns": 1e-9, "us": 1e-6, "µs": 1e-6, "ms": 1e-3, "s": 1, "m": 60, "h": 3600}
_PART = r"(\d++(?:\.\d++)?)(ns|us|µs|ms|s|m|h)"
# The whole first: a search for parts tries again at each digit.
_DURATION, _DURATION_PART = re.compile(f"(?:{_PART})++"), re.compile(_PART)
# The seconds of a time, at most; Python's floats and numbers end as well.
_LONGEST, _DIGITS = 1e11, 12
_PART_OF_TIME = re.compile(r"^(\d{4}-\d\d-\d\d)(?:T(\d\d)(?::(\d\d))?)?$")

Filters = dict[str, list[str]]


def parse(text: str) -> Filters:
    """The filters of a query parameter; `{}` for none.

    Both forms are taken: `{"label": {"a=b": true}}` of today's clients and `{"label": ["a=b"]}`
    of API 1.21. Raises InvalidError for anything else.
    """
    if not text:
        return {}
    try:
        raw = jsontext.loads(text)
    except ValueError:
        raise InvalidError(f"invalid filters: {text} is not JSON") from None
    if not isinstance(raw, dict):
        raise InvalidError(f"invalid filters: {text} is not an object of name to values")
    return {str(key): _values(key, value) for key, value in raw.items()}


def _values(key: str, value: object) -> list[str]:
    if isinstance(value, dict):
        return [str(name) for name, wanted in value.items() if wanted]
    if isinstance(value, list):
        return [str(name) for name in value]
    raise InvalidError(f"invalid filter '{key}': its values must be a list or an object")


def check(filters: Mapping[str, list[str]], accepted: Collection[str]) -> None:
    """Raise InvalidError for a filter that is not among the `accepted` names."""
    for key in filters:
        if key not in accepted:
            raise InvalidError(f"invalid filter '{key}'")


def flag(filters: Mapping[str, list[str]], key: str) -> bool | None:
    """The value of a filter that is true or false; None when it is not given.

    Raises InvalidError for a value that is neither, or for both at once.
    """
    values = filters.get(key) or []
    if not values:
        return None
    if all(value in _TRUE for value in values):
        return True
    if all(value in _FALSE for value in values):
        return False
    raise InvalidError(f"invalid filter '{key}=[{' '.join(values)}]'")


def match_labels(labels: Mapping[str, str] | None, wanted: Iterable[str]) -> bool:
    """Whether `labels` have every one wanted: `name` alone, or `name=value`."""
    have = labels or {}
    for item in wanted:
        name, equals, value = item.partition("=")
        if name not in have or (equals and have[name] != value):
            return False
    return True


def label_filters(filters: Mapping[str, list[str]], labels: Mapping[str, str] | None) -> bool:
    """Whether an object with these labels passes the `label` and `label!` filters."""
    if not match_labels(labels, filters.get("label") or []):
        return False
    return not any(match_labels(labels, [item]) for item in filters.get("label!") or [])


def match_name(values: Iterable[str], name: str) -> bool:
    """Whether one of the expressions is found in a container's name, with or without its `/`.

    No value at all matches. Raises InvalidError for a value that is no regular expression.
    """
    values = list(values)
    patterns = map(regex.compiled, values)
    return not values or any(p.found_in(name) or p.found_in(f"/{name}") for p in patterns)


def match_id(values: Iterable[str], identifier: str) -> bool:
    """Whether `identifier` starts with one of `values`, or there are none."""
    values = list(values)
    return not values or identifier.startswith(tuple(values))


def until_ns(text: str) -> int:
    """The moment of an `until` filter, in ns since 1970.

    Docker's forms: a Go duration before now (`24h`, `1h30m`), seconds since 1970 with decimals, an
    RFC 3339 time, or the start of one (`2006-01-02`, taken as UTC). Raises InvalidError.
    """
    if _DURATION.fullmatch(text):
        parts = _DURATION_PART.findall(text)
        length = sum(float(number) * _UNITS[unit] for number, unit in parts)
        return time.time_ns() - int(min(length, _LONGEST) * 1e9)
    whole, _, decimals = text.partition(".")
    if whole.isdecimal() and len(whole) <= _DIGITS and (not decimals or decimals.isdecimal()):
        return int(whole) * 1_000_000_000 + int(decimals[:9].ljust(9, "0"))
    try:
        return clock.to_ns(_PART_OF_TIME.sub(_complete, text))
    except ValueError:
        raise InvalidError(f"invalid time '{text}': neither a time nor a duration") from None


def _complete(found: re.Match[str]) -> str:
    day, hour, minute = found.groups()
    return f"{day}T{hour or '00'}:{minute or '00'}:00Z"
