"""Words of Dockerfile instructions: variables, quotes, patterns."""

from __future__ import annotations

import pytest
from bayplan.core import words
from bayplan.host.errors import InvalidError

VALUES = {"name": "value", "empty": "", "path": "/a/b/c.tar.gz", "spaced": " a  b "}


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        ("$name", "value"),
        ("${name}x", "valuex"),
        ("${none:-d $name}", "d value"),
        ("${empty:-d}", "d"),
        ("${empty-d}", ""),
        ("${name:+yes}", "yes"),
        ("${none:+yes}", ""),
        ("${none:+${none:-x}}", ""),
        (r"\$name", "$name"),
        ("'$name'", "$name"),
        ('"$name"', "value"),
        (r'"a\b\"c"', r"a\b" + '"c'),
        ("$1x", "x"),
        ("a$.b", "a$.b"),
        ("${path#*/}", "a/b/c.tar.gz"),
        ("${path##*/}", "c.tar.gz"),
        ("${path%.*}", "/a/b/c.tar"),
        ("${path%%.*}", "/a/b/c"),
        ("${path/b/X}", "/a/X/c.tar.gz"),
        ("${path//a/X}", "/X/b/c.tXr.gz"),
        ("${path//[/X}", "/a/b/c.tar.gz"),
        ("${path%.ta?.gz}", "/a/b/c"),
    ],
)
def test_variables(text: str, wanted: str) -> None:
    assert words.expand(text, VALUES) == wanted


@pytest.mark.parametrize("text", ["${", "${}", "${name", "'x", '"x', "${name:=x}", "${none:?why}"])
def test_what_is_wrong_is_refused(text: str) -> None:
    with pytest.raises(InvalidError):
        words.expand(text, VALUES)


def test_blanks_in_a_value_part_words_unless_quoted() -> None:
    assert words.expand_words('x${spaced}y "$spaced"', VALUES) == ["x", "a", "b", "y", " a  b "]


def test_another_escape_letter() -> None:
    assert words.expand("C:\\$name`$x", {"name": "n"}, "`") == "C:\\n$x"


def test_a_heredoc_keeps_quotes_and_other_escapes() -> None:
    assert words.expand_text("'$name' \\n \\$name", VALUES) == "'value' \\n $name"


def test_missing_names_are_told() -> None:
    told: list[str] = []
    words.expand("$a${b:-x}${name}", VALUES, missing=told.append)
    assert told == ["a"]
