"""Docker's filters: both wire forms, and what values match."""

from __future__ import annotations

import time

import pytest
from bayplan.core import filters
from bayplan.host.errors import InvalidError


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", {}),
        ('{"label":["a=b","c"]}', {"label": ["a=b", "c"]}),
        ('{"label":{"a=b":true,"c":true}}', {"label": ["a=b", "c"]}),
        ('{"label":{"a":false}}', {"label": []}),
    ],
)
def test_both_wire_forms_are_read(text: str, expected: dict[str, list[str]]) -> None:
    assert filters.parse(text) == expected


@pytest.mark.parametrize("text", ["{", "[]", "1", '{"a":1}', '{"a":"b"}'])
def test_other_forms_are_refused(text: str) -> None:
    with pytest.raises(InvalidError, match="invalid filter"):
        filters.parse(text)


def test_an_unknown_filter_is_named() -> None:
    with pytest.raises(InvalidError, match="invalid filter 'colour'"):
        filters.check({"colour": ["red"]}, {"label"})


def test_every_label_must_match() -> None:
    labels = {"a": "1", "b": ""}
    assert filters.match_labels(labels, ["a"])
    assert filters.match_labels(labels, ["a=1", "b"])
    assert filters.match_labels(labels, ["b="])
    assert not filters.match_labels(labels, ["a=2"])
    assert not filters.match_labels(labels, ["a=1", "c"])
    assert not filters.match_labels(None, ["a"])


def test_label_filters_take_the_negative_form() -> None:
    assert filters.label_filters({"label": ["a"], "label!": ["b"]}, {"a": ""})
    assert not filters.label_filters({"label": ["a"], "label!": ["b"]}, {"a": "", "b": ""})


def test_flags() -> None:
    assert filters.flag({}, "dangling") is None
    assert filters.flag({"dangling": ["true"]}, "dangling") is True
    assert filters.flag({"dangling": ["0"]}, "dangling") is False
    with pytest.raises(InvalidError):
        filters.flag({"dangling": ["maybe"]}, "dangling")


def test_names_match_as_expressions_with_or_without_slash() -> None:
    assert filters.match_name(["web"], "my-web-1")
    assert filters.match_name(["^/web$"], "web")
    assert filters.match_name(["^web$"], "web")
    assert not filters.match_name(["^eb"], "web")
    with pytest.raises(InvalidError):
        filters.match_name(["("], "web")


def test_until_takes_durations_and_times() -> None:
    assert abs(filters.until_ns("1h30m") - (time.time_ns() - 5400 * 10**9)) < 10**9
    assert filters.until_ns("1700000000.5") == 1_700_000_000_500_000_000
    assert filters.until_ns("1970-01-02") == 86400 * 10**9
    assert filters.until_ns("1970-01-01T00:00:01Z") == 10**9
    with pytest.raises(InvalidError):
        filters.until_ns("yesterday")
    assert filters.until_ns("9" * 400 + "h") < 0
    for text in ("9" * 5000, "²"):
        with pytest.raises(InvalidError):
            filters.until_ns(text)
