"""Regular expressions of users: what is found, what is refused, and for how long it may take."""

from __future__ import annotations

import time

import pytest
from bayplan.core.regex import Regex
from bayplan.host.errors import InvalidError


@pytest.mark.parametrize(
    ("pattern", "text", "matches"),
    [
        ("", "web", True),
        ("^web-[0-9]+$", "web-12", True),
        ("^eb", "web", False),
        ("(?i)WEB", "web", True),
        ("[[:upper:]]x[^[:digit:]]", "Ax-", True),
        (r"\bb", "a b", True),
        ("(?P<n>a)b|c", "c", True),
    ],
)
def test_a_match_is_found_where_there_is_one(pattern: str, text: str, matches: bool) -> None:
    assert Regex(pattern).found_in(text) is matches


@pytest.mark.parametrize(
    "pattern",
    [
        "(",
        ")",
        "[a",
        "*a",
        "a{2,1}",
        "[b-a]",
        "\\",
        "a" * 2000,
        "((){1000}){1000}",
        "(" * 900 + ")" * 900,
    ],
)
def test_what_is_no_pattern_is_refused(pattern: str) -> None:
    with pytest.raises(InvalidError, match="cannot use the regular expression"):
        Regex(pattern)


@pytest.mark.parametrize("pattern", ["(a+)+b", "(a|a)*b", "(a|aa)+$", "(.*a){20}b"])
def test_no_pattern_keeps_the_engine(pattern: str) -> None:
    """With Python's `re` each of these is at it until the sun goes out."""
    found, begun = Regex(pattern), time.process_time()
    text = "a" * 3000 + "!"
    try:
        for _ in range(1000):
            assert not found.found_in(text)
    except InvalidError as error:
        assert "takes too long" in str(error)
    assert time.process_time() - begun < 30
