"""The rules of `bay build --check`, each by a file that breaks it and one that does not."""

from __future__ import annotations

import pytest
from bayplan.core.build.lint import Look, check
from bayplan.core.build.parser import parse
from bayplan.core.build.stages import plan
from bayplan.host.ignore import Ignore


def found(text: str, ignored: str = "") -> list[tuple[str, int]]:
    file = parse(text)
    look = Look(file, plan(file, {}), Ignore([ignored]), {}, {0: {"SET"}})
    return [(one.rule, one.line) for one in check(look)]


@pytest.mark.parametrize(
    ("text", "rule", "line"),
    [
        ("FROM a\nRUN x\ncmd []\n", "ConsistentInstructionCasing", 3),
        ("FROM a as b\n", "FromAsCasing", 1),
        ("FROM a AS B\n", "StageNameCasing", 1),
        ("FROM a AS context\n", "ReservedStageName", 1),
        ("FROM a AS b\nFROM a AS b\n", "DuplicateStageName", 2),
        ("FROM --platform=$TARGETPLATFORM a\n", "RedundantTargetPlatform", 1),
        ("FROM --platform=linux/amd64 a\n", "FromPlatformFlagConstDisallowed", 1),
        ("ARG T\nFROM a:$T\n", "InvalidDefaultArgInFrom", 2),
        ("FROM a$T\n", "UndefinedArgInFrom", 1),
        ("FROM a\nMAINTAINER me\n", "MaintainerDeprecated", 2),
        ("FROM a\nENV A b\n", "LegacyKeyValueFormat", 2),
        ("FROM a\nCMD run it\n", "JSONArgsRecommended", 2),
        ("FROM a\nEXPOSE 80/TCP\n", "ExposeProtoCasing", 2),
        ("FROM a\nEXPOSE 127.0.0.1:80:80\n", "ExposeInvalidFormat", 2),
        ('FROM a\nCMD ["a"]\nCMD ["b"]\n', "MultipleInstructionsDisallowed", 2),
        ("FROM a\nARG DB_PASSWORD\n", "SecretsUsedInArgOrEnv", 2),
        ("FROM a\nWORKDIR x\n", "WorkdirRelativePath", 2),
        ("FROM a\nCOPY $UNSET /x\n", "UndefinedVar", 2),
        ("FROM a\nCOPY drop /x\n", "CopyIgnoredFile", 2),
        ("FROM a\nCOPY //drop /x\n", "CopyIgnoredFile", 2),
        ("FROM a\nRUN x \\\n\n y\n", "NoEmptyContinuation", 3),
    ],
)
def test_what_each_rule_finds(text: str, rule: str, line: int) -> None:
    assert found(text, "drop") == [(rule, line)]


def test_nothing_is_said_of_a_clean_file() -> None:
    assert not found("""ARG T=1
FROM a:$T AS one
ARG X
ENV A=$X B=$SET
WORKDIR /x
WORKDIR y
COPY $A /x
EXPOSE 80/tcp
ENTRYPOINT ["a"]
CMD ["b"]
FROM one
WORKDIR z
RUN echo $ANYTHING
COPY ${B} /y
""")


def test_rules_are_left_out_where_the_file_says_so() -> None:
    assert not found("# check=skip=JSONArgsRecommended\nFROM a\nCMD x\n")
    assert not found("# check=skip=all\nFROM a\nCMD x\nMAINTAINER y\n")
