"""Tables, lists and what Docker writes in their cells."""

from __future__ import annotations

import io
import json
import time

import pytest
from bayplan.cli import table
from bayplan.cli.commands.events import line_of
from bayplan.cli.commands.imagelist import names_of
from bayplan.cli.commands.ps import LISTING, container_row, ellipsis, ports_cell
from bayplan.cli.commands.pull import full_name, split_reference
from bayplan.cli.flags import UsageError, parse
from bayplan.cli.listing import filter_flag, parse_filters
from bayplan.cli.progress import show_progress
from bayplan.cli.when import parse_when
from bayplan.host.errors import BayError

CONTAINER = {
    "Id": "a" * 64,
    "Image": "debian:12",
    "ImageID": "sha256:" + "b" * 64,
    "Command": "sh -c 'sleep 1000000'",
    "Created": 0,
    "Status": "Up 2 seconds",
    "State": "running",
    "Names": ["/web", "/other/alias"],
    "Labels": {"b": "2", "a": "1"},
    "Ports": [{"IP": "0.0.0.0", "PrivatePort": 80, "PublicPort": 8080, "Type": "tcp"}],
    "Mounts": [{"Name": "data", "Source": "/x", "Driver": "local"}],
    "NetworkSettings": {"Networks": {"bridge": {}}},
}


def test_columns_are_at_least_ten_wide_and_three_apart() -> None:
    assert table.align([["A", "B", "C"], ["1" * 12, "2", "3"]]) == [
        "A              B         C",
        "111111111111   2         3",
    ]


def test_control_characters_of_others_reach_no_terminal() -> None:
    """What a label or a command holds can neither clear the screen nor make a row of its own."""
    lines = table.align([["A", "B"], ["\x1b[2J\x9b1mx", "y\nz\u202e"]])
    assert lines == ["A          B", "?[2J?1mx   y?z?"]
    assert table.align([["A"], ["h\u00e9 \u65e5"]])[1] == "h\u00e9 \u65e5"


def test_wide_letters_count_twice() -> None:
    lines = table.align([["NAME", "X"], ["日本語日本", "x"]])
    assert lines == ["NAME         X", "日本語日本   x"]


def test_colours_do_not_move_columns() -> None:
    rows = [["STATUS", "NAMES"], ["Up 1 second", "a"]]
    styled = table.align(rows, ["state", ""])
    assert styled[1] == "\x1b[32mUp 1 second\x1b[0m   a"


@pytest.mark.parametrize(
    ("cell", "style"),
    [
        ("Up 3 minutes", table.GREEN),
        ("Up 3 minutes (Paused)", table.YELLOW),
        ("Up 3 minutes (unhealthy)", table.RED),
        ("Exited (0) 2 hours ago", table.DIM),
        ("Exited (1) 2 hours ago", table.RED),
        ("Created", table.DIM),
        ("Restarting (1) 3 seconds ago", table.RED),
    ],
)
def test_states_have_colours(cell: str, style: str) -> None:
    assert table.state_style(cell) == style


def test_a_container_in_a_list(capsys: pytest.CaptureFixture[str]) -> None:
    row = container_row(CONTAINER, short=True)
    LISTING.show([row], "{{.ID}} {{.Names}} {{.Command}} {{.Ports}} {{.Labels}} {{.Label `a`}}")
    out = capsys.readouterr().out
    assert out == 'aaaaaaaaaaaa web "sh -c \'sleep 100000…" 0.0.0.0:8080->80/tcp a=1,b=2 1\n'
    LISTING.show([row], "table {{.Names}}\\t{{.Status}}")
    assert capsys.readouterr().out == "NAMES     STATUS\nweb       Up 2 seconds\n"
    LISTING.show([row], "json")
    found = json.loads(capsys.readouterr().out)
    assert (found["Names"], found["Mounts"], found["Networks"]) == ("web", "data", "bridge")


@pytest.mark.parametrize(
    ("ports", "cell"),
    [
        ([], ""),
        ([("", 80, 0, "tcp")], "80/tcp"),
        ([("0.0.0.0", 80, 8080, "tcp"), ("::", 80, 8080, "tcp")],
         "0.0.0.0:8080->80/tcp, [::]:8080->80/tcp"),
        ([("0.0.0.0", 81, 81, "tcp"), ("0.0.0.0", 80, 80, "tcp")], "0.0.0.0:80-81->80-81/tcp"),
        ([("0.0.0.0", 81, 8081, "tcp"), ("0.0.0.0", 80, 8080, "tcp")],
         "0.0.0.0:8080->80/tcp, 0.0.0.0:8081->81/tcp"),
        ([("0.0.0.0", 80, 8080, "tcp"), ("0.0.0.0", 81, 9000, "tcp")],
         "0.0.0.0:8080->80/tcp, 0.0.0.0:9000->81/tcp"),
        ([("", 80, 0, "tcp"), ("", 81, 0, "tcp"), ("", 82, 0, "udp")], "80-81/tcp, 82/udp"),
    ],
)  # fmt: skip
def test_ports_in_a_cell(ports: list[tuple[str, int, int, str]], cell: str) -> None:
    listed = [
        {
            "PrivatePort": private,
            "Type": kind,
            **({"IP": ip} if ip else {}),
            **({"PublicPort": public} if public else {}),
        }
        for ip, private, public, kind in ports
    ]
    assert ports_cell(listed) == cell


def test_images_have_a_row_for_each_name() -> None:
    one = {
        "RepoTags": ["a:1", "a:2", "localhost:5000/b:1"],
        "RepoDigests": ["a@sha256:1", "c@sha256:2"],
    }
    assert names_of(one, digests=False) == [
        ("a", "1", "<none>"),
        ("a", "2", "<none>"),
        ("localhost:5000/b", "1", "<none>"),
        ("c", "<none>", "sha256:2"),
    ]
    assert ("a", "1", "sha256:1") in names_of(one, digests=True)
    assert names_of({"RepoTags": None}, digests=False) == [("<none>", "<none>", "<none>")]


@pytest.mark.parametrize(
    ("reference", "name", "tag", "full"),
    [
        ("debian", "debian", "", "docker.io/library/debian:latest"),
        ("me/x:1", "me/x", "1", "docker.io/me/x:1"),
        ("localhost:5000/x", "localhost:5000/x", "", "localhost:5000/x:latest"),
        ("r.io/x@sha256:ab", "r.io/x", "sha256:ab", "r.io/x@sha256:ab"),
    ],
)
def test_references(reference: str, name: str, tag: str, full: str) -> None:
    assert split_reference(reference) == (name, tag)
    assert full_name(reference) == full


def test_filters() -> None:
    flags = (filter_flag(""),)
    words = ["-f", "label=a=b", "--filter=label=c", "-f", "Status=exited"]
    assert parse_filters(parse(flags, words)["filter"]) == {
        "label": ["a=b", "c"],
        "status": ["exited"],
    }
    assert parse_filters([]) is None
    with pytest.raises(UsageError, match="bad format of filter"):
        parse(flags, ["-f", "status"])


def test_ellipsis_is_one_character() -> None:
    assert (ellipsis("abcdef", 6), ellipsis("abcdefg", 6)) == ("abcdef", "abcde…")


def test_moments(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(time, "time_ns", lambda: 100 * 10**9)
    assert parse_when("") is None
    assert parse_when("12.5") == "12.5"
    assert parse_when("10s") == "90.000000000"
    assert parse_when("1970-01-01T00:01:00.25Z") == "60.250000000"
    assert parse_when("1970-01-01T02:00:00+01:00") == "3600.000000000"
    with pytest.raises(UsageError, match="invalid time"):
        parse_when("yesterday")


def test_an_event_is_a_line(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(time, "localtime", time.gmtime)
    event = {
        "Type": "container",
        "Action": "die",
        "Actor": {"ID": "abc", "Attributes": {"name": "x", "exitCode": "1"}},
        "timeNano": 1_000_000_042,
    }
    line = "1970-01-01T00:00:01.000000042Z container die abc (exitCode=1, name=x)"
    assert line_of(event) == line


def test_progress_in_a_log() -> None:
    out = io.StringIO()
    detail = {"current": 1, "total": 2}
    messages = [
        {"status": "Pulling from x", "id": "latest"},
        {"status": "Downloading", "progressDetail": detail, "id": "a"},
        {"status": "Pull complete", "progressDetail": {}, "id": "a"},
        {"status": "Status: done"},
    ]
    show_progress(messages, out)
    assert out.getvalue() == "latest: Pulling from x\na: Pull complete\nStatus: done\n"


def test_an_error_among_the_messages_is_raised() -> None:
    with pytest.raises(BayError, match=r"^no space$"):
        show_progress(
            [{"errorDetail": {"message": "no space"}, "error": "no space"}], io.StringIO()
        )
