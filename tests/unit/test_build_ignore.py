"""`.dockerignore`: patterns, exceptions, the last match wins."""

from __future__ import annotations

import pytest
from bayplan.host.errors import InvalidError
from bayplan.host.ignore import Ignore


@pytest.mark.parametrize(
    ("lines", "path", "ignored"),
    [
        (["a"], "a", True),
        (["a"], "a/b", True),
        (["a"], "b/a", False),
        (["/a/"], "a", True),
        (["**/a"], "b/c/a", True),
        (["**/a"], "a", True),
        (["*.md", "!README.md"], "README.md", False),
        (["*.md", "!README*.md", "README-secret.md"], "README-secret.md", True),
        (["*/temp*"], "x/temporary.txt", True),
        (["*/temp*"], "x/y/temp", False),
        (["temp?"], "tempa", True),
        (["# comment", "", "a"], "a", True),
        (["*", "!a/b"], "a/b", False),
        (["*", "!a/b"], "a/c", True),
        (["a", "!a/b"], "a/b/c", False),
        (["**"], "x/y", True),
        (["foo/**/bar"], "foo/bar", True),
        (["[a-c].txt"], "b.txt", True),
        (["./x"], "x", True),
        ([r"\!x"], "!x", True),
        (["**/a*b*c"], "x/y/a-b-c", True),
        (["**/a*b*c"], "a-c/b-c", False),
        (["a**b/**/c/*.?"], "ab/x/y/c/z.o", True),
        (["a**b/**/c/*.?"], "ab/x/y/c/z/z.o", False),
        (["*/*/**/x"], "a/b/x", True),
        (["*/*/**/x"], "a/x", False),
        (["*/a/**/b/**"], "x/a/c/b/d/e", True),
    ],
)
def test_rules(lines: list[str], path: str, ignored: bool) -> None:
    assert Ignore(lines).ignores(path) is ignored


def test_an_ignored_folder_is_left_out_whole_unless_something_below_it_is_excepted() -> None:
    assert not Ignore(["a", "!b/c"]).may_except("a")
    assert Ignore(["a", "!a/b/c"]).may_except("a/b")
    assert Ignore(["a", "!**/c"]).may_except("a")


@pytest.mark.parametrize("pattern", ["*a" * 40 + "b", "**/a/" * 40 + "b", "**a" * 40 + "b"])
def test_no_pattern_takes_for_ever(pattern: str) -> None:
    """With a step for each way to match these would outlast the machine."""
    assert not Ignore([pattern]).ignores("a" * 200)
    assert not Ignore([pattern]).ignores("/".join("a" * 100))


def test_a_range_that_ends_before_it_begins_is_told() -> None:
    with pytest.raises(InvalidError, match=r"syntax error in pattern '\[z-a\]'"):
        Ignore(["[z-a]"])
