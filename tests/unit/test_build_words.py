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
        ("${path#*/*/}", "b/c.tar.gz"),
        ("${path##*/*.}", "gz"),
        ("${path%/*.*}", "/a/b"),
        ("${path//a*b*r/X}", "/X.gz"),
        ("${path/a*?*c/X}", "/X.tar.gz"),
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


def test_values_in_each_other_do_not_grow_without_end() -> None:
    for text in ("$a$a", "${a:-x}${a:-x}", "${a/x/y}$a"):
        values = {"a": "x" * 1000}
        with pytest.raises(InvalidError, match="too long"):
            for _ in range(40):
                values["a"] = words.expand(text, values)
    with pytest.raises(InvalidError, match="deep"):
        words.expand("${b:-" * 5000 + "x" + "}" * 5000, {})


def test_no_pattern_takes_for_ever() -> None:
    values = {"a": "a" * 10_000}
    for text in ("${a//%sb/}", "${a%%%sb}", "${a#%sb}"):
        assert words.expand(text.replace("%s", "*a" * 40), values) == values["a"]
