"""What reaches what: keys typed quickly, the first frame, and the end when the screen fails."""

from __future__ import annotations

import operator
import os
import signal
import sys
from pathlib import Path

import pytest
from bayplan.tui.app import BayApp
from bayplan.tui.cells import Column, Row, cell
from bayplan.tui.emulator import Emulator
from bayplan.tui.widgets.prompt import Prompt
from bayplan.tui.widgets.table import Table
from replay import Replay, still_app
from steps import app_of, connected, screen, until
from support.terminal import Terminal
from support.waiting import wait_until
from textual import events
from textual.app import App, ComposeResult
from textual.pilot import Pilot
from textual.widgets import Input


def host(replay: Replay) -> str:
    return f"unix://{replay.path}"


def burst(pilot: Pilot[None], keys: str) -> None:
    """Type all of `keys` before the app looks at the first."""
    names = {"/": "slash", "\r": "enter"}
    for key in keys:
        event = events.Key(names.get(key, key), key)
        event.set_sender(pilot.app)
        assert pilot.app._driver is not None
        pilot.app._driver.send_message(event)


async def test_what_is_typed_right_after_the_slash_is_the_filter(replay: Replay) -> None:
    """Not one letter of it goes to the list, where some would stop or remove a container."""
    async with still_app(replay).run_test(size=(120, 36)) as pilot:
        await connected(pilot)
        burst(pilot, "/web\r")
        main = app_of(pilot).main
        await until(pilot, lambda: main._filters["containers"] == "web", "the filter")
        prompt = main.query_one(Prompt)
        await until(pilot, lambda: not prompt.has_class("-shown"), "the end of the prompt")
        assert main.focused is main.table("containers")
        assert app_of(pilot).screen is main


async def test_what_is_typed_right_after_a_dialog_s_key_is_in_the_dialog(replay: Replay) -> None:
    """`p` on the images asks what to pull: the name follows at once."""
    async with still_app(replay).run_test(size=(120, 36)) as pilot:
        await connected(pilot)
        burst(pilot, "2pqxd")
        await until(pilot, lambda: pilot.app.screen.query(Input), "the question")
        field = pilot.app.screen.query_one(Input)
        await until(pilot, lambda: field.value == "qxd", "the name in it")


async def test_the_first_frame_has_the_layout_of_the_terminal(
    replay: Replay, monkeypatch: pytest.MonkeyPatch
) -> None:
    """At 80x24 nothing of the layout for larger screens is ever painted."""
    seen: list[str] = []

    def look(self: BayApp) -> None:
        if self._running:
            lines = self.screen._compositor.render_strips()
            seen.append("\n".join("".join(part.text for part in line) for line in lines))

    monkeypatch.setattr(BayApp, "post_display_hook", look)
    async with still_app(replay).run_test(size=(80, 24)) as pilot:
        await connected(pilot)
        assert "2 Images" in screen(pilot)
    painted = [one for one in seen if "Containers" in one]
    assert painted
    for one in painted:  # one list at a time, all of their names in its border
        assert sum("╭" in line for line in one.splitlines()) == 2, one
        assert "1 Containers 2 Images 3 Networks" in one.splitlines()[1]


async def test_a_list_that_grows_shows_whole_rows() -> None:
    """The rows that scroll when there is more room are painted whole, not only what changed."""
    rows = [Row(str(n), {"name": cell(f"row-{n:02}")}, {"name": n}) for n in range(30)]

    class Grown(App[None]):
        CSS = "Table { height: 10; }"

        def compose(self) -> ComposeResult:
            yield Table([Column("name", "NAME", 8)])

    grown = Grown()
    async with grown.run_test(size=(40, 30)) as pilot:
        table = grown.query_one(Table)
        table.show(rows)
        table.go(29)
        await pilot.pause()
        table.styles.height = 25
        await until(pilot, lambda: table.size.height == 25, "more room")
        shown = [line.strip("▌ ") for line in screen(pilot).splitlines()]
        assert shown[1:25] == [f"row-{n:02}" for n in range(6, 30)]


RUN = """
import sys
from bayplan.client.hosts import parse_host
from bayplan.tui.app import run
sys.exit(run(parse_host(sys.argv[1])))
"""
FAILING = """
from bayplan.tui.screens.main import MainScreen
def measure(self):
    raise RuntimeError("made to fail")
async def serve(self):
    measure(self)
MainScreen.{} = {}
"""


@pytest.mark.parametrize(("name", "by"), [("_measure", "measure"), ("_serve", "serve")])
def test_a_failure_of_the_screen_is_one_sentence(
    replay: Replay, tmp_path: Path, name: str, by: str
) -> None:
    """Exit code 1, the terminal as it was, and the traceback in a file instead of on the screen."""
    program = FAILING.format(name, by) + RUN
    environment = {**os.environ, "XDG_STATE_HOME": str(tmp_path), "COLUMNS": "200"}
    argv = [sys.executable, "-c", program, host(replay)]
    with Terminal(argv, environment, 24, 80) as terminal:
        assert terminal.wait(60) == 1
        told = terminal.output.rpartition(b"\x1b[?1049l")[2].decode()
    log = tmp_path / "bay" / "screen-crash.log"
    assert "bay: the screen failed (RuntimeError: made to fail); containers run on" in told
    assert str(log) in told.replace("\r\n", "")
    assert "Traceback" not in told and "╭" not in told
    text = log.read_text()
    assert "RuntimeError: made to fail" in text and "in measure" in text
    assert log.stat().st_mode & 0o077 == 0


def test_a_signal_gives_the_terminal_back(replay: Replay, tmp_path: Path) -> None:
    """Ended from outside, the screen leaves the other page of the terminal first."""
    environment = {**os.environ, "XDG_STATE_HOME": str(tmp_path)}
    with Terminal([sys.executable, "-c", RUN, host(replay)], environment) as terminal:
        terminal.wait_for("running|healthy", timeout=60)
        os.kill(terminal.pid, signal.SIGTERM)
        assert terminal.wait(60) == 128 + signal.SIGTERM
        assert b"\x1b[?1049l" in terminal.output
        assert b"never awaited" not in terminal.output


@pytest.mark.parametrize(("rows", "columns"), [(24, 80), (36, 120), (60, 200)])
def test_what_is_drawn_in_parts_is_what_is_drawn_whole(
    replay: Replay, tmp_path: Path, rows: int, columns: int
) -> None:
    """A blank terminal that gets a whole repaint shows what one shows that got every change."""
    environment = {**os.environ, "XDG_STATE_HOME": str(tmp_path)}
    parts = Emulator(columns, rows, lambda answer: None)
    whole = Emulator(columns, rows, lambda answer: None)
    # The header and the right rail tell of this machine, which does not stand still.
    edge = columns - 46 if columns >= 170 else columns
    with Terminal(
        [sys.executable, "-c", RUN, host(replay)], environment, rows, columns
    ) as terminal:
        fed = 0

        def take(*emulators: Emulator) -> list[list[str]]:
            nonlocal fed
            terminal.more(0.05)
            new, fed = terminal.output[fed:], len(terminal.output)
            for one in emulators:
                one.feed(new)
            return [[line[:edge] for line in one.text()[2:]] for one in emulators]

        count = len(replay.replies["/containers/json"]["json"])
        wait_until(lambda: f" of {count}" in "".join(take(parts)[0]), "the list", 60)
        terminal.send("jjjkj]][2j1/web\r")
        wait_until(lambda: "/web" in "".join(take(parts)[0]), "the filter", 60)
        terminal.send("/\x15\rjjG]kk")
        wait_until(
            lambda: f"{count - 2} of {count}" in "".join(take(parts)[0]),
            "the way up from the end",
            60,
        )
        terminal.send("\x0c")
        wait_until(lambda: operator.eq(*take(parts, whole)), "the same on both", 60)
