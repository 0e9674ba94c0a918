"""The first frame: the app's own, before Textual is there, on a terminal that is given back."""

from __future__ import annotations

import asyncio
import copy
import os
import signal
import sys
import termios
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from bayplan.tui import tones
from bayplan.tui.ahead import Ahead
from bayplan.tui.emulator import Emulator
from bayplan.tui.feed import Feed
from bayplan.tui.firstframe import FirstFrame
from bayplan.tui.inks import Cell, eight_bit
from bayplan.tui.memory import Memory
from bayplan.tui.model import Model
from bayplan.tui.painting import cells_of
from bayplan.tui.settings import Settings
from bayplan.tui.widgets.logs import Logs
from bayplan.tui.widgets.rail import Events
from replay import Replay, still_app
from rich.color import Color, ColorSystem
from steps import app_of
from support.terminal import Terminal
from textual.geometry import Region

ENVIRONMENT = {"TERM": "xterm-256color", "COLORTERM": "truecolor"}


@pytest.mark.parametrize(
    ("size", "theme", "known"),
    [
        ((80, 24), "bay-dark", {}),
        ((120, 36), "bay-dark", {}),
        ((200, 60), "bay-dark", {}),
        *(((200, height), "bay-dark", {}) for height in range(26, 29)),
        ((80, 24), "bay-ansi", {"kind": "networks"}),
        ((120, 36), "bay-ansi", {"rows": {"images": "sha"}}),
        ((200, 60), "bay-ansi", {"kind": "projects"}),
        ((80, 20), "bay-light", {"hide_stopped": True, "tab": "stats"}),
        ((63, 30), "bay-contrast", {"filters": {"containers": "nothing"}}),
        ((150, 50), "bay-dark", {"kind": "images", "sorts": {"images": ["size", True]}}),
        ((100, 30), "bay-dark", {"kind": "volumes", "columns": {"containers": ["name", "id"]}}),
        ((100, 30), "bay-dark", {"filters": {"containers": "w /[/"}, "rows": {"networks": "z"}}),
    ],
    ids=str,
)
async def test_it_is_the_app_s_own(
    replay: Replay,
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
    size: tuple[int, int],
    theme: str,
    known: dict[str, Any],
) -> None:
    """Cell by cell, but for the insides of the detail and of the events, which it leaves blank."""

    async def never(self: object) -> None:
        await asyncio.Event().wait()

    monkeypatch.setattr(Feed, "run", never)
    monkeypatch.setattr(Logs, "_serve", never)
    replay.compose()
    kept = Memory(tmp_path / "screen.json")
    vars(kept.now).update(known)
    kept.keep()
    app = still_app(replay, theme, kept=Memory(tmp_path / "screen.json"))
    app.main.ahead = Ahead(lambda path, **_: copy.deepcopy(replay.replies[path]["json"]))
    async with app.run_test(size=size) as pilot:
        await pilot.pause()
        main = app_of(pilot).main
        # Rich keeps a style's codes for all systems of colours: there is one in a process.
        system = ColorSystem.TRUECOLOR
        theirs = [cells_of(one, system) for one in main._compositor.render_strips()]
        blank = [main.detail.content.region, main.query_one(Events).content_region]
        if main.detail.tab != "logs":  # what its border says of it is read first
            x, bottom = main.detail.region.bottom_left
            blank.append(Region(x, bottom - 1, main.detail.region.width, 1))
        frame = FirstFrame(
            *(main.model, main.host, Memory(tmp_path / "screen.json"), Settings()),
            *("/run/bay/bay.sock", lambda: replay.now),
        )
        ours = frame.cells(*size, {**ENVIRONMENT, "BAY_THEME": theme})
    assert ours is not None and [len(line) for line in ours] == [size[0]] * size[1]
    for y, (one, two) in enumerate(zip(ours, theirs, strict=True)):
        seen = [x for x in range(size[0]) if not any(part.contains(x, y) for part in blank)]
        assert [(x, one[x]) for x in seen] == [(x, two[x]) for x in seen], f"line {y}"


@pytest.mark.parametrize(
    ("environment", "settings", "size"),
    [
        ({**ENVIRONMENT, "NO_COLOR": "1"}, Settings(), (80, 24)),
        ({"TERM": "dumb"}, Settings(), (80, 24)),
        ({"TERM": "xterm", "BAY_THEME": "dark"}, Settings(), (80, 24)),
        (ENVIRONMENT, Settings(ascii_only=True), (80, 24)),
        (ENVIRONMENT, Settings(problems=("a mistake",)), (80, 24)),
        (ENVIRONMENT, Settings(), (59, 24)),
        (ENVIRONMENT, Settings(), (80, 14)),
        (ENVIRONMENT, Settings(), (120, 20)),
    ],
)
def test_what_it_can_t_draw_alike_is_left_to_the_app(
    environment: dict[str, str], settings: Settings, size: tuple[int, int]
) -> None:
    """Rather no frame than another one."""
    assert drawn(Model(), environment, settings, size) is None


@pytest.mark.parametrize("name", ["日本", "e\u0301", "a\u202eb", "\x1b[2J"])
def test_what_is_not_one_column_wide_is_left_to_the_app(name: str) -> None:
    """Widths are the app's to know, and what a terminal would act on is its to leave out."""
    model = Model()
    model.volumes = [{"Name": "tähti"}]
    assert drawn(model, ENVIRONMENT, Settings(), (200, 60)) is not None
    model.volumes = [{"Name": name}]
    assert drawn(model, ENVIRONMENT, Settings(), (200, 60)) is None


def drawn(
    model: Model, environment: dict[str, str], settings: Settings, size: tuple[int, int]
) -> list[list[Cell]] | None:
    from bayplan.tui.hostinfo import HostHistory

    frame = FirstFrame(model, HostHistory(), Memory(None), settings, "/run/bay.sock", lambda: 0.0)
    return frame.cells(*size, environment)


def test_colours_are_those_of_rich() -> None:
    """Where a terminal has 256 of them."""
    for palette in tones.PALETTES.values():
        for name in (palette.accent, palette.ground, palette.raised, *palette.tones.values()):
            if name.startswith("#"):
                triplet = Color.parse(name).get_truecolor()
                nearest = Color.parse(name).downgrade(ColorSystem.EIGHT_BIT)
                assert eight_bit(*triplet) == nearest.number, name


# --- on a terminal

# `bay`; Textual is imported once somebody says so, and how: what it does then is `sys.argv[2]`.
HELD = """
import os, signal, sys

class Held:
    def find_spec(self, name, *more):
        if name == "textual":
            sys.meta_path.remove(self)
            with open(sys.argv[2]) as go:
                exec(go.read())

sys.meta_path.insert(0, Held())
from bayplan.cli.main import main
sys.exit(main(["-H", sys.argv[1]]))
"""


@contextmanager
def held(replay: Replay, folder: Path) -> Iterator[tuple[Terminal, Path]]:
    """The screen as a user has it, its first frame painted; the import of Textual waits."""
    go = folder / "go"
    os.mkfifo(go)
    environment = {**os.environ, **ENVIRONMENT, "XDG_STATE_HOME": str(folder)}
    environment |= {"XDG_CONFIG_HOME": str(folder)}
    argv = [sys.executable, "-c", HELD, f"unix://{replay.path}", str(go)]
    with Terminal(argv, environment, 36, 120) as terminal:
        yield terminal, go


def attributes(terminal: Terminal) -> list[Any]:
    return termios.tcgetattr(terminal.fd)


@pytest.mark.parametrize(
    ("how", "code"),
    [
        (signal.SIGTERM, 128 + signal.SIGTERM),
        (signal.SIGHUP, 128 + signal.SIGHUP),
        ("\x03", 130),
        ("raise ImportError('made to fail')", 1),
    ],
    ids=str,
)
def test_what_ends_it_before_the_app_gives_the_terminal_back(
    replay: Replay, tmp_path: Path, how: str | signal.Signals, code: int
) -> None:
    """Its page, its cursor, its echo."""
    with held(replay, tmp_path) as (terminal, go):
        before = attributes(terminal)
        terminal.wait_for("running.*find.*quit")
        assert attributes(terminal)[3] & (termios.ECHO | termios.ICANON) == 0
        if isinstance(how, signal.Signals):
            os.kill(terminal.pid, how)
        elif how == "\x03":
            terminal.send(how)
        else:
            go.write_text(how)
        assert terminal.wait(120) == code
        assert attributes(terminal) == before
        told = terminal.output
    assert told.count(b"\x1b[?1049h") == told.count(b"\x1b[?1049l") == 1
    assert b"\x1b[?25h" in told and b"\xe2\x95\xad" not in told.rpartition(b"\x1b[?1049l")[2]


def test_the_app_takes_it_over_and_has_the_keys(replay: Replay, tmp_path: Path) -> None:
    """What is there stays, cell by cell; what was typed meanwhile is done, and nothing echoed."""
    with held(replay, tmp_path) as (terminal, go):
        before = attributes(terminal)
        terminal.wait_for("running.*find.*quit")
        first = len(terminal.output)
        terminal.send("jj")
        go.write_text("pass")
        emulator = Emulator(120, 36, lambda answer: None)
        emulator.feed(terminal.output[:first])
        frame, at = emulator.text(), first
        while "3 of 7" not in "\n".join(emulator.text()):
            assert terminal.more(120), "the end"
            emulator.feed(terminal.output[at:])
            at = len(terminal.output)
            shown = emulator.text()
            gone = [y for y in range(36) if not shown[y].strip() and frame[y].strip()]
            assert not gone, "painted over"
        terminal.send("q")
        assert terminal.wait(120) == 0
        assert attributes(terminal) == before
        told = terminal.output.replace(str(replay.path).encode(), b"")
    assert told.count(b"\x1b[?1049h") == told.count(b"\x1b[?1049l") == 1
    assert b"jj" not in told
