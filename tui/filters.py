"""The filter of the lists: words that all must match, each plain, fuzzy, a pattern or inverted.

web            in the row as it is, or its letters in order within one word: `shdb` is shop-db
/^web-[0-9]+/  a regular expression, case ignored
project:name   of that compose project; host:name of that host, where there are several
label:key      a label that is set; label:key=value one of that value
!word          what does not match; before any of the others
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import NamedTuple

PROJECT = "com.docker.compose.project"
HOST = "bayplan.host"  # of rows of several hosts; no object has it
Labels = Mapping[str, str]
Test = Callable[[str, Labels], bool]


class Filter(NamedTuple):
    """One filter, understood: `match` a row's words and labels; `trouble` says what is wrong."""

    match: Test
    trouble: str = ""


def understand(text: str) -> Filter:
    """The filter that was typed; while it is half typed or wrong, what of it can be used."""
    tests: list[Test] = []
    trouble = ""
    for word in _split(text):
        try:
            tests.append(_test(word))
        except re.error as error:
            trouble = f"{word}: {error}"
    return Filter(lambda row, labels: all(test(row, labels) for test in tests), trouble)


def _split(text: str) -> list[str]:
    """The words; a pattern between slashes may hold blanks."""
    return re.findall(r"!?/[^/]*/(?=\s|$)|\S+", text)


def _test(word: str) -> Test:
    if word.startswith("!"):
        if len(word) == 1:
            return lambda row, labels: True
        inner = _test(word[1:])
        return lambda row, labels: not inner(row, labels)
    if word.startswith("label:"):
        return _labelled(word.removeprefix("label:"))
    if word.startswith("project:"):
        return _labelled(f"{PROJECT}={word.removeprefix('project:')}")
    if word.startswith("host:"):
        return _labelled(f"{HOST}={word.removeprefix('host:')}")
    if len(word) > 1 and word.startswith("/"):
        pattern = re.compile(word[1:].removesuffix("/"), re.IGNORECASE)
        return lambda row, labels: pattern.search(row) is not None
    return _fuzzy(word.lower())


def _labelled(wanted: str) -> Test:
    key, equals, value = wanted.partition("=")

    def test(row: str, labels: Labels) -> bool:
        if equals:
            return labels.get(key) == value
        return not key or any(key in one for one in labels)

    return test


def _fuzzy(word: str) -> Test:
    letters = re.compile(".*?".join(re.escape(letter) for letter in word))

    def test(row: str, labels: Labels) -> bool:
        if word in row:
            return True
        # Letters in order within one word, from its beginning or a part's: not all over the row,
        # where three letters are found in nearly everything.
        if len(word) < 2:
            return False
        parts = (part for one in row.split() for part in _beginnings(one))
        return any(part[0] == word[0] and letters.match(part) for part in parts)

    return test


def _beginnings(word: str) -> list[str]:
    """The word, and what of it follows each `-`, `_`, `/`, `:` or `.`."""
    return [word] + [word[one.end() :] for one in re.finditer(r"[-_/:.](?=.)", word)]
