"""Regular expressions of users: what RE2 finds, in a time that the text's length bounds."""

from __future__ import annotations

import random
import re
from itertools import product

import pytest
from bayplan.core.regex import Regex
from bayplan.host.errors import InvalidError

# What both Python's `re` and RE2 read alike.
ALIKE = [
    *(
        "",
        "a",
        "^a",
        "a$",
        "^$",
        "^ab$",
        "a|b",
        "a|",
        "(a|b)c",
        "(?:ab)+",
        "a*",
        "a+b",
        "a?b",
        "a??b",
    ),
    *(
        "a{2}",
        "a{1,2}b",
        "^a{2,}$",
        "[ab]c",
        "[^ab]",
        "[a-b]+$",
        "[]a]",
        "[^]a]",
        "[a-]",
        ".",
    ),
    *(
        "a.c",
        r"a\.c",
        r"\w+ ",
        r"\bb",
        r"a\b",
        r"\Bb",
        r"\W",
        r"[\W]c",
        r"[^\w]",
        r"\D",
        r"\S",
        r"\x61",
    ),
    *(
        "(?i)AB",
        "(?i:A)b",
        "(?i)[A-B]C",
        "(?s)a.b",
        "(?m)^b",
        "(?m)a$",
        "(?P<n>a)b",
        "((a)|(b))*c$",
    ),
    *(
        "(a*)*b",
        "(a+)+$",
        "(|a)+b",
        "()*",
        r"a\n",
        r"\A\.",
        "[.]c",
        "(^|c)b",
        "(a|ab)(c|bcd)$",
        "a{",
    ),
]


@pytest.mark.parametrize("pattern", ALIKE)
def test_a_match_is_found_where_there_is_one(pattern: str) -> None:
    found, python = Regex(pattern), re.compile(pattern, re.ASCII)
    for size in range(4):
        for text in map("".join, product("abcA.\n ", repeat=size)):
            # Python's $ also matches before a last newline.
            if text.endswith("\n") and "$" in pattern and "(?m)" not in pattern:
                continue
            assert found.found_in(text) == bool(python.search(text)), (pattern, text)


@pytest.mark.parametrize(
    ("pattern", "text", "matches"),
    [
        (r"\Qa.b\E", "a.b", True),
        (r"\Qa.b", "axb", False),
        (r"b\z", "ab\n", False),
        ("b$", "ab\n", False),
        ("[[:upper:]]x[^[:digit:]]", "Ax-", True),
        ("(?i-s:A.)b", "aXb", True),
        (r"\x{e9}|é", "é", True),
        (r"^\w$", "é", False),
        (r"[\d-]+$", "1-2", True),
    ],
)
def test_what_only_re2_has(pattern: str, text: str, matches: bool) -> None:
    assert Regex(pattern).found_in(text) is matches


@pytest.mark.parametrize(
    ("pattern", "why"),
    [
        *(
            ("(", "missing )"),
            (")", "unexpected )"),
            ("[a", "missing ]"),
            ("*a", "nothing to repeat"),
        ),
        *(
            ("a**", "a repetition of"),
            ("a{2,1}", "invalid repeat count"),
            ("[b-a]", "invalid range"),
        ),
        *((r"(a)\1", r"RE2 has no \1"), ("(?=a)", "RE2 has no (?="), (r"\pL", r"RE2 has no \p")),
        *(
            ("a{1001}", "invalid repeat"),
            ("(a{1000}){1000}", "too large"),
            ("a" * 20_000, "too long"),
        ),
        *(
            ("((){1000}){1000}", "too large"),
            ("(" * 5000, "too many parentheses"),
            ("\\", "missing"),
        ),
        ("(" + "|" * 9000 + "){1000}", "too large"),
    ],
    ids=lambda text: text[:20],
)
def test_what_is_no_pattern_is_refused_with_a_reason(pattern: str, why: str) -> None:
    with pytest.raises(
        InvalidError, match=f"cannot use the regular expression '.*{re.escape(why)}"
    ):
        Regex(pattern)


@pytest.mark.parametrize(
    "pattern", ["(a+)+b", "(a|a)*b", "(a*)*b", "a?" * 60 + "a" * 60 + "b", "(.*a){20}b"]
)
def test_no_pattern_takes_longer_than_its_text_is_long(pattern: str) -> None:
    """With Python's `re` each of these is at it until the sun goes out."""
    assert not Regex(pattern).found_in("a" * 3000)


def test_what_leads_to_ever_other_places_is_refused() -> None:
    """2 to the power of 500 sets of places: some are too many."""
    pattern = Regex("(a|b)*a(a|b){500}c")
    with pytest.raises(InvalidError, match="can match in too many ways"):
        pattern.found_in("".join(random.Random(1).choices("ab", k=20_000)))
