"""`.dockerignore`: patterns, exceptions, the last match wins."""

from __future__ import annotations

import pytest
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
    ],
)
def test_rules(lines: list[str], path: str, ignored: bool) -> None:
    assert Ignore(lines).ignores(path) is ignored


def test_an_ignored_folder_is_left_out_whole_unless_something_below_it_is_excepted() -> None:
    assert not Ignore(["a", "!b/c"]).may_except("a")
    assert Ignore(["a", "!a/b/c"]).may_except("a/b")
    assert Ignore(["a", "!**/c"]).may_except("a")
