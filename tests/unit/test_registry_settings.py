"""`--change` instructions, the words they are made of, and Docker's patterns for names."""

from __future__ import annotations

import hashlib
from typing import Any

import pytest
from bayplan.core import configchanges, imagefilters, imageviews, words
from bayplan.core.registry.progress import Meter, bar, message, size
from bayplan.host.errors import InvalidError

BASE: dict[str, Any] = {"Env": ["PATH=/bin", "HOME=/root"], "Cmd": ["sh"], "WorkingDir": "/srv"}


def _changed(*lines: str, base: dict[str, Any] = BASE) -> dict[str, Any]:
    return configchanges.apply(base, lines)


@pytest.mark.parametrize(
    ("line", "key", "value"),
    [
        ('CMD ["a", "b c"]', "Cmd", ["a", "b c"]),
        ("cmd echo $HOME", "Cmd", ["/bin/sh", "-c", "echo $HOME"]),
        ("CMD [not json", "Cmd", ["/bin/sh", "-c", "[not json"]),
        ('ENTRYPOINT ["/init"]', "Entrypoint", ["/init"]),
        ("ENV PATH=$PATH:/opt", "Env", ["PATH=/bin:/opt", "HOME=/root"]),
        ("ENV A='x y' B=\"$HOME z\"", "Env", [*BASE["Env"], "A=x y", "B=/root z"]),
        ("ENV OLD style with blanks", "Env", [*BASE["Env"], "OLD=style with blanks"]),
        ("EXPOSE 80 90/UDP 100-101", "ExposedPorts",
         {"80/tcp": {}, "90/udp": {}, "100/tcp": {}, "101/tcp": {}}),
        ('LABEL a=b "c d"="e f"', "Labels", {"a": "b", "c d": "e f"}),
        ("USER ${NONE:-1000}:0", "User", "1000:0"),
        ('VOLUME ["/a", "/b"]', "Volumes", {"/a": {}, "/b": {}}),
        ("VOLUME /a $HOME", "Volumes", {"/a": {}, "/root": {}}),
        ("WORKDIR app/../web", "WorkingDir", "/srv/web"),
        ("WORKDIR /top", "WorkingDir", "/top"),
        ("ONBUILD RUN make", "OnBuild", ["RUN make"]),
        ("STOPSIGNAL SIGQUIT", "StopSignal", "SIGQUIT"),
        ('SHELL ["/bin/bash", "-c"]', "Shell", ["/bin/bash", "-c"]),
        ("HEALTHCHECK NONE", "Healthcheck", {"Test": ["NONE"]}),
        ("HEALTHCHECK --interval=1m30s --retries=2 CMD curl -f x", "Healthcheck",
         {"Interval": 90_000_000_000, "Retries": 2, "Test": ["CMD-SHELL", "curl -f x"]}),
    ],
)  # fmt: skip
def test_an_instruction_changes_its_setting(line: str, key: str, value: object) -> None:
    assert _changed(line)[key] == value
    assert BASE["Env"] == ["PATH=/bin", "HOME=/root"]


def test_an_entrypoint_drops_only_the_command_it_did_not_come_with() -> None:
    assert "Cmd" not in _changed('ENTRYPOINT ["x"]')
    assert _changed('CMD ["a"]', 'ENTRYPOINT ["x"]')["Cmd"] == ["a"]


@pytest.mark.parametrize(
    ("line", "sentence"),
    [
        ("RUN true", "run is not a valid change command"),
        ("CMD", "CMD requires at least one argument"),
        ("ENV lonely", "ENV must have two arguments"),
        ("ENV a=b lonely", "can't find ="),
        ("EXPOSE 70000", "invalid containerPort: 70000"),
        ("EXPOSE x", "invalid containerPort: x"),
        ("LABEL a='b", "unexpected end of statement"),
        ("ONBUILD ONBUILD x", "Chaining ONBUILD"),
        ("ONBUILD FROM x", "FROM isn't allowed as an ONBUILD trigger"),
        ("HEALTHCHECK RUN x", 'Unknown type "RUN"'),
        ("HEALTHCHECK --interval=1 CMD x", 'time: invalid duration "1"'),
        ("HEALTHCHECK --colour=red CMD x", "unknown flag: --colour"),
        ("SHELL bash", "JSON form"),
        ("STOPSIGNAL SIGNONE", "Invalid signal: SIGNONE"),
        ("USER ${A", "unsupported modifier"),
        ("USER ${A:?give one}", "A: give one"),
    ],
)
def test_a_bad_instruction_is_refused(line: str, sentence: str) -> None:
    with pytest.raises(InvalidError) as caught:
        _changed(line)
    assert sentence in str(caught.value)


@pytest.mark.parametrize(
    ("text", "result"),
    [
        ("$a ${a} $b", "1 1 "),
        ("${b:-x} ${b-x} ${e:-x} ${e-x}", "x x x "),
        ("${a:+x} ${b:+x} ${e:+x} ${e+x}", "x   x"),
        (r"\$a '$a' \"", '$a $a "'),
        (r'"a\b" "\$a"', r"a\b $a"),
        ("${b:-${a}}", "1"),
        ("$ $. 5$", "$ $. 5$"),
    ],
)
def test_words_expand_as_in_a_dockerfile(text: str, result: str) -> None:
    assert words.expand(text, {"a": "1", "e": ""}) == result


def test_words_split_outside_quotes_only() -> None:
    assert words.split(r"""a "b c" d\ e 'f g'h""") == ["a", '"b c"', r"d\ e", "'f g'h"]


@pytest.mark.parametrize(
    ("pattern", "name", "matches"),
    [
        ("debian", "debian:12", True),
        ("debian:*", "debian:12", True),
        ("deb*", "debian:12", True),
        ("*", "team/app:1", False),
        ("*/*", "team/app:1", True),
        ("team/ap?", "team/app:1", True),
        ("[a-d]ebian", "debian:12", True),
        ("[^d]ebian", "debian:12", False),
        ("localhost:5000/*", "localhost:5000/x:1", True),
        ("debian@sha256:*", "debian@sha256:00", True),
        (r"de\*", "debian:12", False),
    ],
)
def test_reference_patterns_are_those_of_path_match(pattern: str, name: str, matches: bool) -> None:
    assert imagefilters._matches([pattern], name) is matches


def test_chain_ids_are_those_of_the_image_specification() -> None:
    one, two = "sha256:" + "1" * 64, "sha256:" + "2" * 64
    assert imageviews.chain_ids([one]) == [one]
    expected = hashlib.sha256(f"{one} {two}".encode()).hexdigest()
    assert imageviews.chain_ids([one, two]) == [one, f"sha256:{expected}"]


def test_progress_looks_like_dockers() -> None:
    assert message("Waiting", "abc") == {"status": "Waiting", "id": "abc", "progressDetail": {}}
    assert message("Status: done") == {"status": "Status: done"}
    told = message("Downloading", "abc", 5_000_000, 10_000_000)
    assert told["progressDetail"] == {"current": 5_000_000, "total": 10_000_000}
    assert bar(5_000_000, 10_000_000) == f"[{'=' * 25}>{' ' * 24}]      5MB/10MB"
    assert [size(n) for n in (0, 999, 12_345, 2_000_000_000)] == ["0B", "999B", "12.35kB", "2GB"]


def test_a_meter_tells_the_end_and_not_every_step() -> None:
    told: list[dict[str, Any]] = []
    meter = Meter(told.append, "Downloading", "abc", 1000)
    for current in range(0, 1001, 10):
        meter.at(current)
    assert len(told) < 100 and told[-1]["progressDetail"]["current"] == 1000
    count = len(told)
    meter.quiet = True
    meter.at(1000)
    assert len(told) == count
