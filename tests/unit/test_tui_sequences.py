"""Sequences that are cut off, mixed, malformed or endless, as the emulator takes them."""

from __future__ import annotations

import pytest
from bayplan.tui.emulator import Emulator
from bayplan.tui.sequences import LONGEST


def shown(*pieces: bytes, columns: int = 20, rows: int = 4) -> list[str]:
    emulator = Emulator(columns, rows, lambda data: None)
    for piece in pieces:
        emulator.feed(piece)
    return emulator.text()


@pytest.mark.parametrize("start", [b"\x1b]0;ti", b"\x1bPq", b"\x1b_x", b"\x1b^", b"\x1bX"])
def test_an_escape_ends_a_string_that_has_no_end(start: bytes) -> None:
    """ctrl+c cuts a flood anywhere: "ESC" and the terminal's "^C" begin a string."""
    assert shown(start + b"C\r\n\x1b[?2004hready> ")[0] == "ready>"
    assert shown(start, b"C\r\n\x1b", b"[?2004hready> ")[0] == "ready>"


def test_a_string_with_its_end_is_still_one() -> None:
    assert shown(b"\x1b]0;title\x1b\\a", b"\x1b]0;title\x1b", b"\\b", b"\x1b]0;t\x07c")[0] == "abc"


def test_an_escape_ends_a_control_sequence() -> None:
    assert shown(b"\x1b[3\x1b[1mbold", b"\x1b[3", b"\x1b[1m!")[0] == "bold!"


def test_control_characters_within_a_control_sequence_are_executed() -> None:
    """ECMA-48 leaves it open; every terminal since the VT100 does."""
    assert shown(b"a\x1b[1\r\n1mb") == ["a", "b", "", ""]
    assert shown(b"a\x1b[1", b"\r", b"\n1mb", b"\x1b[\r2Cc") == ["a", "b c", "", ""]


@pytest.mark.parametrize(
    "wrong", [b"\x1b[\x35:\x34a", b"\x1b[1;x;2r", b"\x1b[<5a", b"\x1b[?r", b"\x1b[=a", b"\x1b[>5a"]
)
def test_a_malformed_sequence_is_passed_over(wrong: bytes) -> None:
    """Whatever it does to the screen, what follows is shown."""
    assert "after" in "".join(shown(wrong + b"\x1b[2;1Hafter"))


def test_a_combining_mark_below_the_last_line_of_a_small_screen() -> None:
    assert shown(b"a\x1b[20X\x1b[2J\xcc\x81\x00\n\xcc\x81b", columns=1, rows=1) == ["b"]


@pytest.mark.parametrize("start", [b"\x1b]0;", b"\x1bP", b"\x1b["])
def test_a_string_without_an_end_is_not_kept(start: bytes) -> None:
    emulator = Emulator(20, 4, lambda data: None)
    emulator.feed(start)
    for _ in range(80):
        emulator.feed(b"1" * (LONGEST // 32))
    assert len(emulator._board.parser.buffer) <= LONGEST
    emulator.feed(b"\x1b[Hover")
    assert emulator.text()[0] == "over"
