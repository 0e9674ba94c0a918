"""When what changed is painted: with the key that changed it, and all of it at once."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from bayplan.tui import keyqueue
from bayplan.tui.app import BayApp
from bayplan.tui.compositing import PiecesUpdate
from bayplan.tui.painting import cells_of
from bayplan.tui.widgets.logs import Logs
from bayplan.tui.widgets.table import Table
from replay import Replay, still_app
from rich.color import ColorSystem
from steps import app_of, connected, screen, until
from textual import events
from textual.geometry import Size
from textual.pilot import Pilot
from textual.screen import Screen


class Frames:
    """The lines of each frame that was painted."""

    def __init__(self) -> None:
        self.lines: list[set[int]] = []
        self._came = asyncio.Event()

    def add(self, lines: set[int]) -> None:
        self.lines.append(lines)
        self._came.set()

    async def first_with(self, line: int) -> set[int]:
        """The first frame that has painted `line`."""
        while not (found := [one for one in self.lines if line in one]):
            self._came.clear()
            await asyncio.wait_for(self._came.wait(), 120)
        return found[0]


@pytest.fixture
def frames(monkeypatch: pytest.MonkeyPatch) -> Frames:
    """Filled by the app; whatever the machine does, a key has all the time it needs."""
    monkeypatch.setattr(keyqueue, "PATIENCE", 60.0)
    seen = Frames()
    display = BayApp._display

    def look(self: BayApp, screen: Any, update: Any) -> None:
        if isinstance(update, PiecesUpdate):
            seen.add({piece[0] for piece in update.pieces})
        display(self, screen, update)

    monkeypatch.setattr(BayApp, "_display", look)
    return seen


def press(pilot: Pilot[None], key: str) -> None:
    event = events.Key(key, key)
    event.set_sender(pilot.app)
    assert pilot.app._driver is not None
    pilot.app._driver.send_message(event)


async def settled(pilot: Pilot[None]) -> None:
    """Wait until all that the engine tells by itself is here and painted."""
    await connected(pilot)
    main = app_of(pilot).main
    await until(pilot, lambda: main.model.samples and main.model.events, "samples and events")
    log = main.detail.query_one(Logs)
    await until(pilot, lambda: log.buffer.total or log.note == "No output yet.", "the log")


async def test_a_key_is_one_frame(
    replay: Replay, frames: Frames, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The cursor's row is never seen without its place in the border and in the detail's."""
    monkeypatch.setattr(keyqueue, "HOLD", 60.0)
    async with still_app(replay).run_test(size=(120, 36)) as pilot:
        await settled(pilot)
        main = app_of(pilot).main
        table = main.table("containers")
        frames.lines.clear()
        press(pilot, "j")
        line = table.content_region.y + 1  # below the header
        border = {table.region.bottom - 1, main.detail.region.bottom - 1}
        assert await frames.first_with(line + 1) >= {line} | border
        assert table.position == 1


async def test_what_a_slow_key_has_done_is_painted_meanwhile(
    replay: Replay, frames: Frames, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An action that waits for something does not keep the screen from being painted."""
    done = asyncio.Event()

    async def action_move(self: Table, step: int) -> None:
        self.go(self.position + step)
        await done.wait()

    monkeypatch.setattr(Table, "action_move", action_move)
    async with still_app(replay).run_test(size=(120, 36)) as pilot:
        await settled(pilot)
        frames.lines.clear()
        press(pilot, "j")
        table = app_of(pilot).main.table("containers")
        await frames.first_with(table.content_region.y + 2)
        assert table.position == 1 and not done.is_set()
        done.set()


@pytest.mark.parametrize("size", [(120, 36), (200, 60)])
async def test_a_cell_that_is_drawn_alone_is_as_in_its_row(
    replay: Replay, size: tuple[int, int]
) -> None:
    """Under the cursor, of a name that is wide, marked: each cell as in the whole line."""
    replay.replies["/containers/json"]["json"][1]["Image"] = "例え/長い名前のイメージ:とても長い"
    async with still_app(replay).run_test(size=size) as pilot:
        await settled(pilot)
        table = app_of(pilot).main.table("containers")
        table.marked = {table.rows[2].id}
        width = table.size.width
        for y in range(1, len(table.rows) + 1):
            line = table.render_line(y)
            assert line.cell_length == width
            first = 2
            for _, wide in table._layout_columns(width):
                part = table.part(y, first, first + wide, width)
                assert part is not None
                whole = cells_of(line.crop(first, first + wide), ColorSystem.TRUECOLOR)
                assert cells_of(part, ColorSystem.TRUECOLOR) == whole
                first += wide + 1
        assert table.part(1, 3, 9, width) is None


async def test_an_empty_list_says_why_as_soon_as_the_engine_is_there(replay: Replay) -> None:
    """Not only when its rows are looked at for their ages, ten seconds later."""
    replay.replies["/volumes"] = {"status": 200, "json": {"Volumes": []}}
    replay.replies["/events"] = {"status": 200, "bytes": ""}  # none that has it read again
    async with still_app(replay).run_test(size=(200, 60)) as pilot:
        await connected(pilot)
        volumes = app_of(pilot).main.table("volumes")
        await until(pilot, lambda: "No volumes" in volumes.empty, "why there is none")
        assert "No volumes" in screen(pilot)


async def test_a_size_that_the_terminal_no_longer_has_is_not_laid_out(
    replay: Replay, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each layout tells the screen its size once more: two of them followed each other for ever."""
    laid_out: list[Size] = []
    resized = Screen._screen_resized

    def look(self: Screen[Any], size: Size) -> None:
        laid_out.append(size)
        resized(self, size)

    monkeypatch.setattr(Screen, "_screen_resized", look)
    app = still_app(replay)
    async with app.run_test(size=(120, 36)) as pilot:
        await connected(pilot)
        for size in (Size(90, 30), app.size):
            app.screen.post_message(events.Resize(size, size))
            await asyncio.sleep(0)
        await until(pilot, lambda: laid_out and laid_out[-1] == Size(120, 36), "laid out")
        assert set(laid_out) == {Size(120, 36)}
