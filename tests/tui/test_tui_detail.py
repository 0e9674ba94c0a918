"""The tabs of the detail pane over a recorded engine: each reads, searches and copies."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from bayplan.tui.tabs import TABS
from bayplan.tui.widgets.changes import Changes
from bayplan.tui.widgets.inspect import Inspect
from bayplan.tui.widgets.listing import Listing
from bayplan.tui.widgets.logs import Logs
from replay import Replay, still_app
from steps import app_of, connected, go_to, screen, until
from textual.pilot import Pilot


@asynccontextmanager
async def shown(replay: Replay, *keys: str, name: str = "web") -> AsyncIterator[Pilot[None]]:
    """The app on the recording, its cursor on `name`, after `keys`."""
    app = still_app(replay)
    async with app.run_test(size=(120, 36)) as pilot:
        await connected(pilot)
        await go_to(pilot, name)
        for key in keys:
            await pilot.press(key)
        yield pilot


def detail_of(pilot: Pilot[None]):  # type: ignore[no-untyped-def] # the pane, of which tests ask much
    return app_of(pilot).main.detail


async def test_every_tab_opens_and_says_something(replay: Replay) -> None:
    async with shown(replay) as pilot:
        for tab in TABS["containers"]:
            detail_of(pilot).open(tab)
            await pilot.pause()
            assert detail_of(pilot).tab == tab
            await until(pilot, lambda: screen(pilot).strip(), f"something in {tab}")


async def test_turning_goes_through_all_tabs_and_round(replay: Replay) -> None:
    async with shown(replay) as pilot:
        for _ in TABS["containers"]:
            await pilot.press("right_square_bracket")
        assert detail_of(pilot).tab == "logs"


async def test_inspect_finds_a_value_that_is_folded_away_and_copies_it(replay: Replay) -> None:
    async with shown(replay, "i") as pilot:
        view = detail_of(pilot).content
        assert isinstance(view, Inspect)
        await until(pilot, lambda: view._json, "the document")
        await pilot.press("slash", *"exposedports", "enter")
        node = lambda: view.cursor_node.data if view.cursor_node else None  # noqa: E731
        await until(pilot, lambda: node() == ("Config", "ExposedPorts"), "the cursor on it")
        assert "found" in view.about
        await pilot.press("c")
        assert "80/tcp" in pilot.app.clipboard
        await pilot.press("escape")
        assert view.query_text == ""


async def test_a_port_is_copied_where_there_is_no_browser(
    replay: Replay, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("DISPLAY", "WAYLAND_DISPLAY"):
        monkeypatch.delenv(name, raising=False)
    async with shown(replay) as pilot:
        detail_of(pilot).open("ports")
        view = detail_of(pilot).content
        assert isinstance(view, Listing)
        await until(pilot, lambda: view.rows, "its ports")
        view.focus()
        await pilot.pause()
        await pilot.press("o")
        assert pilot.app.clipboard.startswith("http://localhost:")


async def test_changes_are_a_tree(replay: Replay) -> None:
    async with shown(replay, "f") as pilot:
        view = detail_of(pilot).content
        assert isinstance(view, Changes)
        await until(pilot, lambda: view.rows, "its changes")
        paths = [row.id for row in view.rows]
        assert "/www" in paths and "/www/index.html" in paths
        await pilot.press("minus")
        assert "/www/index.html" not in [row.id for row in view.rows]
        await pilot.press("enter")
        assert "/www/index.html" in [row.id for row in view.rows]


async def test_logs_filter_shows_matches_then_their_context(replay: Replay) -> None:
    async with shown(replay, "l") as pilot:
        view = detail_of(pilot).content
        assert isinstance(view, Logs)
        await until(pilot, lambda: view.buffer.total, "the log")
        await pilot.press("slash", *"timed", "enter", "m")
        await pilot.pause()
        only = [number for number, _ in view._places]
        assert only and all(
            "timed" in line.plain for n in only if (line := view.buffer.get(n)) is not None
        )
        await pilot.press("m")
        await pilot.pause()
        assert any(
            "timed" not in line.plain
            for n, _ in view._places
            if (line := view.buffer.get(n)) is not None
        )


async def test_marked_containers_have_one_log(replay: Replay) -> None:
    async with shown(replay) as pilot:
        main = app_of(pilot).main
        names = {one["Names"][0] for one in main.model.containers}
        assert {"/web", "/db"} <= names
        await go_to(pilot, "db")
        await pilot.press("space")
        await go_to(pilot, "web")
        await pilot.press("space")
        logs = main.query_one(Logs)
        await until(pilot, lambda: len(logs.names) == 2, "two names in the log")
        await pilot.press("escape")
        await until(pilot, lambda: not logs.names, "one log again")


async def test_a_log_is_saved_whole(replay: Replay, tmp_path: Path) -> None:
    async with shown(replay, "l") as pilot:
        view = detail_of(pilot).content
        await until(pilot, lambda: view.buffer.total, "the log")
        count = view.buffer.total
        replay.endless = ()  # saving reads to the end of the log
        await pilot.press("W")
        await until(pilot, lambda: len(pilot.app.screen_stack) == 2, "the question")
        target = tmp_path / "web.log"
        field = pilot.app.screen.query_one("Input")
        field.value = str(target)  # type: ignore[attr-defined] # it is an Input
        await pilot.press("enter")
        await until(pilot, target.exists, "the file")
        await until(pilot, lambda: len(target.read_text().splitlines()) == count, "all lines")
