"""Dockerfiles read: continuations, comments, flags, JSON, heredocs, and errors with their place."""

from __future__ import annotations

import pytest
from bayplan.core.build.parser import parse
from bayplan.core.build.source import DockerfileError
from bayplan.core.build.stages import plan


def test_comments_and_blank_lines_between_the_lines_of_one_instruction() -> None:
    file = parse("FROM a\nRUN one && \\\n  # no\n\n  two\n")
    assert file.instructions[1].text == "one &&   two"
    assert (file.instructions[1].line, file.instructions[1].last) == (2, 5)
    assert file.warnings == [(4, "Empty continuation line found in: RUN one &&")]


def test_the_escape_directive() -> None:
    file = parse("# escape=`\nFROM a\nRUN a `\n b\\\n")
    assert file.instructions[1].text == "a  b\\"


def test_directives_end_at_the_first_other_line() -> None:
    file = parse("# syntax=docker/dockerfile:1\n# a comment\n# escape=`\nFROM a\n")
    assert file.directives == {"syntax": "docker/dockerfile:1"}


def test_windows_line_ends_and_a_byte_order_mark() -> None:
    file = parse("\ufeffFROM a\r\nRUN x \\\r\n  y\r\n")
    assert [one.text for one in file.instructions] == ["a", "x   y"]


def test_flags_json_and_the_shell_form() -> None:
    file = parse('FROM a\nCOPY --from=b --chown=1:2 ["x y", "/z"]\nCMD [ "a", \'b\' ]\n')
    copy, cmd = file.instructions[1:]
    assert copy.flags == ("--from=b", "--chown=1:2")
    assert copy.words == ("x y", "/z")
    assert cmd.words is None and cmd.text == "[ \"a\", 'b' ]"


def test_heredocs() -> None:
    file = parse("FROM a\nRUN <<-A cat <<'B' > /x\n\tone\n\tA\nt$wo\nB\nUSER u\n")
    run = file.instructions[1]
    assert [(h.name, h.content, h.expands) for h in run.heredocs] == [
        ("A", "one\n", True),
        ("B", "t$wo\n", False),
    ]
    assert file.instructions[2].text == "u"


@pytest.mark.parametrize(
    ("text", "line", "column", "part"),
    [
        ("FROM a\n  RUNN x\n", 2, 3, "did you mean RUN?"),
        ("FROM a\nRUN <<E\nx\n", 2, 5, "unterminated heredoc"),
        ("RUN x\n", 1, 1, "no build stage"),
        ("FROM a b\n", 1, 1, "either one argument, or three"),
        ("FROM a AS 1x\n", 1, 11, "invalid name for build stage"),
        ("ARG X\nFROM $X\n", 2, 6, "should not be blank"),
        ('FROM a\nCMD ["a", 1]\n', 2, 1, "strings only"),
        ("\n\n", 1, 1, "cannot be empty"),
        ("# x\n", 1, 1, "no instructions"),
    ],
)
def test_errors_show_their_place(text: str, line: int, column: int, part: str) -> None:
    with pytest.raises(DockerfileError) as caught:
        plan(parse(text, "My.file"), {})
    assert part in caught.value.reason
    assert (caught.value.line, caught.value.column) == (line, column)
    assert f"My.file:{line}:{column}" in str(caught.value)


def test_only_the_stages_that_the_target_needs() -> None:
    text = """ARG V=1
FROM one:$V AS a
FROM two AS b
RUN --mount=from=a,target=/x true
FROM three AS unused
FROM b
COPY --from=0 /x /y
"""
    found = plan(parse(text), {"V": "2"})
    assert [stage.base for stage in found.stages] == ["one:2", "two", "three", "b"]
    assert found.needed == [0, 1, 3]
    assert plan(parse(text), {}, "UNUSED").needed == [2]
