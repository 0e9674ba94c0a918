"""What reaches what: keys typed quickly, the first frame, and the end when the screen fails."""

from __future__ import annotations

import os
import signal
import sys
from pathlib import Path

import pytest
from bayplan.tui.app import BayApp
from bayplan.tui.cells import Column, Row, cell
from bayplan.tui.emulator import Emulator
from bayplan.tui.painting import Painter, cells_of
from bayplan.tui.widgets.prompt import Prompt
from bayplan.tui.widgets.table import Table
from replay import Replay, still_app
from rich.style import Style
from steps import app_of, connected, screen, until
from support.terminal import Terminal
from textual import events
from textual.app import App, ComposeResult
from textual.drivers.headless_driver import HeadlessDriver
from textual.pilot import Pilot
from textual.widgets import Input


def host(replay: Replay) -> str:
    return f"unix://{replay.path}"


def burst(pilot: Pilot[None], keys: str) -> None:
    """Type all of `keys` before the app looks at the first."""
    names = {"/": "slash", "\r": "enter", "\x15": "ctrl+u", "\x1b": "escape"}
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
from bayplan.tui.widgets.table import Table
def measure(self, *more):
    raise RuntimeError("made to fail")
async def serve(self):
    measure(self)
{} = {}
"""


@pytest.mark.parametrize(
    ("name", "by"),
    [
        ("MainScreen._measure", "measure"),
        ("MainScreen._serve", "serve"),
        ("MainScreen.compose", "measure"),
        ("Table.render_line", "measure"),
    ],
)
def test_a_failure_of_the_screen_is_one_sentence(
    replay: Replay, tmp_path: Path, name: str, by: str
) -> None:
    """Exit code 1, the terminal as it was, and the traceback in a file instead of on the screen."""
    program = FAILING.format(name, by) + RUN
    environment = {**os.environ, "XDG_STATE_HOME": str(tmp_path), "COLUMNS": "200"}
    argv = [sys.executable, "-c", program, host(replay)]
    with Terminal(argv, environment, 24, 80) as terminal:
        assert terminal.wait(120) == 1
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
        terminal.wait_for("running|healthy", timeout=240)
        os.kill(terminal.pid, signal.SIGTERM)
        assert terminal.wait(120) == 128 + signal.SIGTERM
        assert b"\x1b[?1049l" in terminal.output
        assert b"never awaited" not in terminal.output


def cells(emulator: Emulator) -> list[list[tuple[Style, str]]]:
    """Each line's characters and how they look."""
    lines = [emulator.row(y) for y in range(emulator.rows)]
    return [[(emulator.style(style), text) for style, text in line] for line in lines]


def drawn_whole(pilot: Pilot[None]) -> Emulator:
    """A blank terminal that gets the whole screen as it is now."""
    app = app_of(pilot)
    system = app.console._color_system
    assert system is not None
    painter = Painter()
    painter.fit(*app.size)
    strips = app.screen._compositor.render_strips()
    one = Emulator(*app.size, lambda answer: None)
    one.feed(painter.write((y, 0, cells_of(s, system)) for y, s in enumerate(strips)).encode())
    return one


@pytest.mark.parametrize("size", [(80, 24), (120, 36), (200, 60)], ids=lambda size: f"{size[0]}")
async def test_what_is_drawn_in_parts_is_what_is_drawn_whole(
    replay: Replay, size: tuple[int, int], monkeypatch: pytest.MonkeyPatch
) -> None:
    """After every few keys a terminal that got only changes shows the screen, colours and all."""
    async with still_app(replay).run_test(size=size) as pilot:
        await connected(pilot)
        shown = [Emulator(*size, lambda answer: None)]
        # From here on what is written goes to a terminal.
        monkeypatch.setattr(HeadlessDriver, "is_headless", False)
        monkeypatch.setattr(
            HeadlessDriver, "write", lambda self, data: shown[-1].feed(data.encode())
        )

        async def same(what: str) -> None:
            await until(pilot, lambda: cells(shown[-1]) == cells(drawn_whole(pilot)), what)

        pilot.app.refresh()
        await same("the first frame")
        for keys in ("jjjk", "j]]", "[2j1", "/web\r", "/\x15\r", "g", "x", "\x1b", "g", "jjG]kk"):
            burst(pilot, keys)
            await pilot.pause()
            await same(f"the screen after {keys!r}")
        count = len(replay.replies["/containers/json"]["json"])
        place = f"{count - 2} of {count}"
        await until(pilot, lambda: place in "".join(shown[-1].text()), "the way up from the end")
        await same("the screen after all")
        # All widgets at once: one update whose parts lie beside and over each other.
        shown.append(Emulator(*size, lambda answer: None))
        app_of(pilot).painter.forget()
        for widget in pilot.app.screen.walk_children():
            widget.refresh()
        await same("all that is drawn in parts at once")
        shown.append(Emulator(*size, lambda answer: None))
        await pilot.press("ctrl+l")
        await same("a terminal that was cleared, after ctrl+l")
