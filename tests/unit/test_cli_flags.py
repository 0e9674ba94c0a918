"""Flags are read as Docker's command line reads them."""

from __future__ import annotations

from typing import Any

import pytest
from bayplan.cli import units
from bayplan.cli.command import CountError
from bayplan.cli.flags import UsageError, duration, many, parse, size, switch, text, whole
from bayplan.cli.verbs import GROUPS, VERBS, load

FLAGS = (
    switch("interactive", "", "i"),
    switch("tty", "", "t"),
    switch("sig-proxy", "", default=True),
    text("name", ""),
    many("env", "", "e"),
    whole("timeout", "", "T", default=None, aliases=("time",)),
    size("memory", "", "m"),
    duration("wait", ""),
)


@pytest.mark.parametrize(
    ("argv", "values", "args"),
    [
        (["-it", "img"], {"interactive": True, "tty": True}, ["img"]),
        (["-ite", "A=1", "img"], {"tty": True, "env": ["A=1"]}, ["img"]),
        (["-eA=1", "-e=B=2", "--env", "C", "--env=D=4"], {"env": ["A=1", "B=2", "C", "D=4"]}, []),
        (["--name=x", "img"], {"name": "x"}, ["img"]),
        (["--name", "-x", "img"], {"name": "-x"}, ["img"]),
        (["--sig-proxy=false"], {"sig-proxy": False}, []),
        (["-i=false"], {"interactive": False}, []),
        (["--time", "3"], {"timeout": 3}, []),
        (["-m512m"], {"memory": 512 * 1024**2}, []),
        (["--wait", "1m30s"], {"wait": 90 * 10**9}, []),
        (["--", "-i"], {"interactive": False}, ["-i"]),
        (["-"], {}, ["-"]),
        ([], {"timeout": None, "env": [], "sig-proxy": True, "memory": 0}, []),
    ],
)
def test_forms(argv: list[str], values: dict[str, Any], args: list[str]) -> None:
    parsed = parse(FLAGS, argv)
    assert {name: parsed[name] for name in values} == values
    assert parsed.args == args


def test_flags_after_arguments_belong_to_the_verb_or_to_the_process() -> None:
    argv = ["-i", "img", "ls", "-t", "--name", "x", "--", "y"]
    assert parse(FLAGS, argv).args == ["img", "ls", "y"]
    parsed = parse(FLAGS, argv, interspersed=False)
    assert parsed.args == argv[1:]
    assert not parsed["tty"]


def test_what_was_given_is_known() -> None:
    parsed = parse(FLAGS, ["--name", ""])
    assert "name" in parsed
    assert parsed.chosen("name") == ""
    assert parsed.chosen("memory") is None


@pytest.mark.parametrize(
    ("argv", "message"),
    [
        (["--foo"], "unknown flag: --foo"),
        (["--nam", "x"], "unknown flag: --nam"),
        (["-z"], "unknown shorthand flag: 'z' in -z"),
        (["-iz"], "unknown shorthand flag: 'z' in -iz"),
        (["--name"], "flag needs an argument: --name"),
        (["-ie"], "flag needs an argument: 'e' in -ie"),
        (["--=x"], "bad flag syntax: --=x"),
        (["-T", "x"], 'invalid argument "x" for "-T, --timeout" flag: must be a whole number'),
        (["-mzz"], 'invalid argument "zz" for "-m, --memory" flag: invalid size: \'zz\''),
        (["--tty=maybe"], 'invalid argument "maybe" for "-t, --tty" flag: must be true or false'),
    ],
)
def test_mistakes(argv: list[str], message: str) -> None:
    with pytest.raises(UsageError) as caught:
        parse(FLAGS, argv)
    assert str(caught.value) == message


@pytest.mark.parametrize(
    ("verb", "argv", "message"),
    [
        ("ps", ["x"], "bay: 'bay ps' accepts no arguments"),
        ("run", [], "bay: 'bay run' requires at least 1 argument"),
        ("logs", [], "bay: 'bay logs' requires 1 argument"),
        ("exec", ["x"], "bay: 'bay exec' requires at least 2 arguments"),
        ("cp", ["x"], "bay: 'bay cp' requires 2 arguments"),
        ("commit", ["a", "b", "c"], "bay: 'bay commit' requires at most 2 arguments"),
    ],
)
def test_the_number_of_arguments(verb: str, argv: list[str], message: str) -> None:
    with pytest.raises(CountError) as caught:
        load(VERBS[verb]).parse(argv)
    assert str(caught.value) == message


def test_every_verb_loads_and_helps() -> None:
    places = {*VERBS.values()}.union(*(members.values() for _, members in GROUPS.values()))
    for place in places:
        command = load(place)
        assert f"bay {command.name}" in command.help()
        names = [name for flag in command.flags for name in (flag.name, *flag.aliases)]
        shorts = [flag.short for flag in command.flags if flag.short]
        assert len(names) == len(set(names)), place
        assert len(shorts) == len(set(shorts)), place


@pytest.mark.parametrize(
    ("size_", "human", "binary"),
    [
        (0, "0B", "0B"),
        (999, "999B", "999B"),
        (1236, "1.24kB", "1.207KiB"),
        (999_600, "999.6kB", "976.2KiB"),
        (123_456_789, "123MB", "117.7MiB"),
        (2 * 10**12, "2TB", "1.819TiB"),
    ],
)
def test_sizes_are_written_as_docker_does(size_: int, human: str, binary: str) -> None:
    assert units.human_size(size_) == human
    assert units.binary_size(size_) == binary


@pytest.mark.parametrize(
    ("text_", "size_"),
    [("1", 1), ("1b", 1), ("2k", 2048), ("2KB", 2048), ("1.5g", 1610612736), ("64MiB", 67108864),
     ("-1", -1)],
)  # fmt: skip
def test_sizes_are_powers_of_1024(text_: str, size_: int) -> None:
    assert units.parse_size(text_) == size_


@pytest.mark.parametrize(
    ("seconds", "words"),
    [
        (0.5, "Less than a second"), (1, "1 second"), (59, "59 seconds"), (60, "About a minute"),
        (119, "About a minute"), (120, "2 minutes"), (3599, "59 minutes"), (3600, "About an hour"),
        (86400, "24 hours"), (2 * 86400, "2 days"), (14 * 86400, "2 weeks"),
        (61 * 86400, "2 months"), (800 * 86400, "2 years"),
    ],
)  # fmt: skip
def test_durations_in_words(seconds: float, words: str) -> None:
    assert units.human_duration(seconds) == words


@pytest.mark.parametrize(
    ("text_", "ns"),
    [
        ("0", 0),
        ("1s", 10**9),
        ("1h2m3.5s", 3723_500_000_000),
        ("100ms", 10**8),
        ("-5s", -5 * 10**9),
    ],
)
def test_durations(text_: str, ns: int) -> None:
    assert units.parse_duration(text_) == ns


@pytest.mark.parametrize("text_", ["", "5", "s", "1x", "1s2", "--1s"])
def test_what_is_no_duration(text_: str) -> None:
    with pytest.raises(ValueError, match="duration"):
        units.parse_duration(text_)
