"""The light stand-ins do what they stand for."""

from __future__ import annotations

import json
from typing import Any

import pytest
from bayplan.host import quickjson
from bayplan.host.light import NamedTuple, cached_property, suppress
from hypothesis import given
from hypothesis import strategies as st

VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
)


@given(VALUES)
def test_json_is_what_json_makes_of_it(value: Any) -> None:
    """Written as json writes it, and read back the same, with blanks around it too."""
    text = quickjson.dumps(value)
    assert text == json.dumps(value)
    assert quickjson.loads(text) == quickjson.loads(f" \n{text}\t ".encode()) == value


@given(st.text() | VALUES.map(lambda value: json.dumps(value)[:-1]))
def test_bad_json_is_refused_alike(text: str) -> None:
    """The same error, or the same value."""
    try:
        expected = json.loads(text)
    except ValueError as error:
        with pytest.raises(ValueError) as caught:
            quickjson.loads(text)
        assert str(caught.value) == str(error)
    else:
        assert quickjson.loads(text) == expected


def test_what_is_no_json_cannot_be_written() -> None:
    with pytest.raises(TypeError, match="not JSON serializable"):
        quickjson.dumps({"a": object()})


class Point(NamedTuple):
    """A point."""

    x: int
    y: int = 2

    @property
    def sum(self) -> int:
        """Of both."""
        return self.x + self.y


def test_a_named_tuple_is_a_tuple_with_names() -> None:
    """Fields, defaults, methods, comparison, copies and the text of it."""
    point = Point(1)
    assert point == (1, 2) == Point(y=2, x=1) and hash(point) == hash((1, 2))
    assert (point.x, point.y, point.sum) == (1, 2, 3)
    assert point._replace(y=5) == (1, 5)
    assert point._asdict() == {"x": 1, "y": 2}
    assert repr(point) == "Point(x=1, y=2)"
    for wrong in (lambda: Point(), lambda: Point(1, 2, 3), lambda: Point(1, z=3)):  # type: ignore[call-arg]
        with pytest.raises(TypeError):
            wrong()  # type: ignore[no-untyped-call]
    with pytest.raises(AttributeError):
        point.x = 3  # type: ignore[misc]


def test_a_cached_property_is_computed_once_and_errors_are_suppressed() -> None:
    calls = []

    class Owner:
        @cached_property
        def value(self) -> int:
            calls.append(1)
            return 7

    owner = Owner()
    assert (owner.value, owner.value, len(calls)) == (7, 7, 1)
    with suppress(KeyError, OSError):
        raise FileNotFoundError
    with pytest.raises(ValueError), suppress(KeyError):
        raise ValueError
