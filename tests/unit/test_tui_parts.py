"""The pure parts of the screen's tabs: how they fit, what they read, what they make of it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest
from bayplan.host.errors import NotFoundError
from bayplan.tui import listings, tabs, tree
from bayplan.tui.logbuffer import KEEP, LogBuffer, matches, places
from bayplan.tui.logpages import PAGE, LogPages, after, since
from bayplan.tui.model import Json
from bayplan.tui.widgets.logview import ERRORS

NAMES = tabs.TABS["containers"]


@pytest.mark.parametrize("width", [20, 40, 60, 76, 100, 200])
@pytest.mark.parametrize("current", NAMES)
def test_the_tab_bar_never_exceeds_its_width_and_always_shows_the_current_tab(
    width: int, current: str
) -> None:
    shown = tabs.fit(NAMES, current, width)
    assert len(" ".join(words for _, words in shown)) <= width
    assert (current, tabs.ALL[current].title) in shown


def test_a_wide_tab_bar_has_the_long_names_and_a_narrow_one_says_that_there_are_more() -> None:
    assert [words for _, words in tabs.fit(NAMES, "logs", 200)][:2] == ["Logs", "Shell"]
    assert tabs.fit(NAMES, "logs", 30)[-1][1] == "›"
    middle = tabs.fit(NAMES, "processes", 18)
    assert middle[0][1] == "‹" and middle[-1][1] == "›"
    assert middle[0][0] in NAMES, "a click on the arrow goes to the tab before"


def test_what_only_our_engine_has_is_refused_on_others_by_their_name() -> None:
    docker = {"Platform": {"Name": "Docker Engine - Community"}, "Version": "20.10.24"}
    assert "Docker Engine - Community 20.10.24 cannot" in tabs.refusal("files", docker)
    assert tabs.refusal("logs", docker) == ""
    assert tabs.refusal("files", {"Platform": {"Name": "Bayplan"}, "Version": "1"}) == ""
    podman = {"Components": [{"Name": "Podman Engine"}], "Version": "4.3.1"}
    assert tabs.engine_name(podman) == "Podman 4.3.1"


# --- logs


def lines_of(buffer: LogBuffer) -> list[str]:
    return [line.text for line in buffer.lines]


def test_older_lines_come_before_the_first_with_numbers_below_it() -> None:
    buffer = LogBuffer()
    buffer.feed(1, b"t3 three\nt4 four\n")
    older = LogBuffer()
    older.feed(2, b"t1 one\nt2 two\n")
    pages = buffer.pages()
    pages.prepend(list(older.lines))
    assert lines_of(pages) == ["one", "two", "three", "four"]
    assert [line.number for line in pages.lines] == [-2, -1, 0, 1]
    assert lines_of(buffer) == ["three", "four"], "what is followed stays as it was"


def test_a_buffer_stays_bounded_at_both_ends() -> None:
    buffer = LogBuffer()
    buffer.feed(1, b"t x\n" * KEEP)
    buffer.prepend(list(buffer.lines)[:500])
    assert len(buffer.lines) == KEEP and buffer.first == -500
    assert buffer.get(buffer.total - 1) is not None and buffer.get(buffer.total) is None


def test_merged_lines_keep_whose_they_are_and_parts_of_two_containers_are_not_mixed() -> None:
    buffer = LogBuffer()
    buffer.feed(1, b"t1 a half", who=0)
    buffer.feed(1, b"t2 whole\n", who=1)
    buffer.feed(1, b" line\n", who=0)
    assert [(line.who, line.text) for line in buffer.lines] == [(1, "whole"), (0, "a half line")]


def test_a_query_between_slashes_is_a_regular_expression() -> None:
    buffer = LogBuffer()
    buffer.feed(1, b"t FATAL: no such file\nt all good\n")
    first, second = buffer.lines
    assert matches(first, ERRORS) and not matches(second, ERRORS)
    assert matches(second, "!/fatal|panic/") and not matches(first, "!/fatal|panic/")
    assert places("one two one", "/one|two/") == [(0, 3), (4, 7), (8, 11)]
    assert not matches(first, "/(/")


@pytest.mark.parametrize(
    ("line", "tells"),
    [
        ("ValueError: invalid literal", True),
        ("java.lang.NullPointerException", True),
        ("time=… level=ERRO msg=x", True),
        ("connect: Connection refused", True),
        ("upstream timed out (110)", True),
        ("open /x: No such file or directory", True),
        ("wrote /var/log/error_log and stderr", False),
        ("exceptional failover", False),
    ],
)
def test_what_tells_of_an_error_in_the_logs_of_many_languages(line: str, tells: bool) -> None:
    buffer = LogBuffer()
    buffer.feed(1, f"t {line}\n".encode())
    assert matches(buffer.lines[0], ERRORS) == tells


def test_a_query_matches_without_case_unless_it_has_any_and_can_be_inverted() -> None:
    buffer = LogBuffer()
    buffer.feed(1, b"t \x1b[31mError\x1b[0m in api\nt all good\n")
    first, second = buffer.lines
    assert matches(first, "error in") and not matches(first, "ERROR")
    assert matches(second, "!error") and not matches(first, "!error")


class FakeLog:
    """Answers `tail` and `since` over a fixed log as the engines do, and counts what is read."""

    def __init__(self, count: int) -> None:
        self.lines = [
            f"2026-01-01T{n // 3600:02}:{n // 60 % 60:02}:{n % 60:02}.{n:09}Z line {n}"
            for n in range(count)
        ]
        self.sent = 0

    @asynccontextmanager
    async def stream(self, method: str, path: str, query: Json) -> AsyncIterator[Any]:
        chosen = self.lines[-query["tail"] :] if "tail" in query else self.lines

        async def pieces() -> AsyncIterator[bytes]:
            for line in chosen:
                self.sent += 1
                yield f"{line}\n".encode()

        yield pieces()


def test_a_page_before_a_line_ends_at_it_and_reads_no_more_than_a_page() -> None:
    log = FakeLog(10_000)
    pages = LogPages(log, "c", True)  # type: ignore[arg-type] # as much of a Source as is used
    buffer = LogBuffer()
    buffer.feed(1, "".join(f"{line}\n" for line in log.lines[-500:]).encode())
    found = asyncio.run(pages.before(buffer.lines[0], 500))
    assert [line.text for line in found] == [f"line {n}" for n in range(9500 - PAGE, 9500)]
    assert log.sent <= PAGE + 1


def test_a_page_at_the_beginning_of_the_log_is_short_and_the_one_before_it_empty() -> None:
    log = FakeLog(700)
    pages = LogPages(log, "c", True)  # type: ignore[arg-type] # likewise
    buffer = LogBuffer()
    buffer.feed(1, "".join(f"{line}\n" for line in log.lines[-500:]).encode())
    found = asyncio.run(pages.before(buffer.lines[0], 500))
    assert len(found) == 200 and found[0].text == "line 0"
    assert asyncio.run(pages.before(found[0], 700)) == []


@pytest.mark.parametrize(
    ("words", "seconds"), [("90", 90), ("90s", 90), ("10m", 600), ("2h", 7200), ("3d", 259200)]
)
def test_a_span_is_counted_back_from_now(words: str, seconds: int) -> None:
    assert float(since(words, 1_000_000.0)) == 1_000_000.0 - seconds


def test_what_is_no_moment_is_refused_with_what_would_be() -> None:
    with pytest.raises(ValueError, match="write 10m, 2h"):
        since("yesterday", 0)


def test_the_moment_after_a_line_is_a_nanosecond_later() -> None:
    buffer = LogBuffer()
    buffer.feed(1, b"1970-01-01T00:00:01.999999999Z x\n")
    assert after(buffer.lines[0]) == "2.000000000"


# --- trees and lists


def test_a_tree_sums_sizes_and_counts_changes_upwards() -> None:
    root = tree.Node("/", "", folder=True)
    for path, size in (("/var/log/a", 10), ("/var/log/b", 5), ("/etc/hosts", 1)):
        node = tree.grow(root, path)
        node.size, node.change = size, tree.ADDED
    tree.total(root)
    var = tree.find(root, "/var")
    assert var is not None and (var.size, var.below) == (15, 2)
    assert [node.name for _, node in tree.flat(root)] == ["etc", "var"]
    assert [node.name for _, node in tree.flat(root, by_size=True)] == ["var", "etc"]


def test_a_port_says_what_to_open() -> None:
    assert listings.url("0.0.0.0", "8080", "tcp") == "http://{host}:8080"
    assert listings.url("127.0.0.1", "8443", "tcp") == "https://127.0.0.1:8443"
    assert listings.url("::1", "53", "udp") == "[::1]:53"
    assert listings.machine("ssh://root@far.example") == "far.example"
    assert listings.machine("/run/bay/bay.sock") == "localhost"


def test_an_environment_tells_what_the_image_set() -> None:
    details = {"Config": {"Env": ["PATH=/bin", "MODE=x"]}}
    rows = listings.KINDS["env"].build((details, {"Config": {"Env": ["PATH=/bin"]}}), 0)
    assert [(row.id, row.quiet) for row in rows] == [("MODE", False), ("PATH", True)]


def test_the_layers_fall_back_to_the_history() -> None:
    from bayplan.tui import layers

    class Source:
        async def get(self, path: str) -> Any:
            if path.startswith("/bay/"):
                raise NotFoundError("no such path")
            return [{"CreatedBy": '/bin/sh -c #(nop)  CMD ["sh"]', "Size": 0, "Created": 1}]

    found = asyncio.run(layers.read(Source(), "x"))  # type: ignore[arg-type] # as above
    assert [one.made for one in found.layers] == ['CMD ["sh"]'] and found.wasted is None
