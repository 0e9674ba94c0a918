"""What each key of a pane does, over a recorded engine: several facts per start of the app."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from bayplan.tui import hostfacts
from bayplan.tui.dialing import Dialer
from bayplan.tui.jobs import Job
from bayplan.tui.logbuffer import LogBuffer
from bayplan.tui.screens.ask import Ask
from bayplan.tui.screens.hostview import HostView
from bayplan.tui.screens.menu import Columns, Menu
from bayplan.tui.screens.progress import Jobs, Progress
from bayplan.tui.screens.viewer import Viewer
from bayplan.tui.widgets.changes import Changes
from bayplan.tui.widgets.inspect import Inspect
from bayplan.tui.widgets.listing import Listing
from bayplan.tui.widgets.logs import Logs
from bayplan.tui.widgets.stats import Stats
from bayplan.tui.widgets.table import Table
from replay import Replay, still_app
from steps import app_of, connected, go_to, screen, until
from textual.pilot import Pilot
from textual.widgets import Input, OptionList


@asynccontextmanager
async def shown(replay: Replay, *keys: str, name: str = "web") -> AsyncIterator[Pilot[None]]:
    """The app on the recording, its cursor on `name`, after `keys`."""
    app = still_app(replay)
    async with app.run_test(size=(120, 36), notifications=True) as pilot:
        await connected(pilot)
        await go_to(pilot, name)
        await pilot.press(*keys)
        yield pilot


async def open_tab(pilot: Pilot[None], tab: str, kind: type[Any], filled: Callable[[Any], object]):  # type: ignore[no-untyped-def] # the pane, of any kind
    """Go to a tab by its name, and wait for what it reads."""
    app_of(pilot).main.action_tab(tab)
    view = app_of(pilot).main.detail.content
    assert isinstance(view, kind)
    await until(pilot, lambda: filled(view), f"what {tab} shows")
    return view


async def test_panes_are_gone_through_zoomed_and_drawn_anew(replay: Replay) -> None:
    async with shown(replay) as pilot:
        main = app_of(pilot).main
        first = main.focused
        await pilot.press("tab")
        second = main.focused
        assert second is not first
        await pilot.press("shift+tab")
        assert main.focused is first
        await pilot.press("left_square_bracket")
        assert main.detail.tab == "happened"
        await pilot.press("z")
        assert main.has_class("-zoomed") and main.focused is main.detail.content
        await pilot.press("z", "escape")
        assert not main.has_class("-zoomed")
        before = screen(pilot)
        await pilot.press("ctrl+l")
        await pilot.pause()
        assert screen(pilot) == before
        await pilot.press("question_mark")
        assert len(pilot.app.screen_stack) == 2
        await pilot.press("f1", "f10")
        await until(pilot, lambda: "What shall be done?" in screen(pilot), "the palette")
        await pilot.press("escape")
        main.action_slow_link()
        assert main.settings.slow_link
        await pilot.press("q")
        await until(pilot, lambda: not pilot.app.is_running, "the end")


async def test_a_list_is_gone_through_by_lines_pages_and_ends(replay: Replay) -> None:
    async with shown(replay) as pilot:
        table = app_of(pilot).main.table("containers")
        table.go(0)
        for key, place in (
            *(("down", 1), ("j", 2), ("up", 1), ("k", 0), ("end", 6), ("home", 0), ("G", 6)),
            *(("pageup", 0), ("pagedown", 6)),
        ):
            await pilot.press(key)
            assert table.position == place, key
        await pilot.press("space")
        assert len(table.marked) == 1
        await pilot.press("escape", "enter")
        assert app_of(pilot).main.focused is app_of(pilot).main.detail.content


async def test_a_log_is_gone_through_wrapped_dated_and_searched(replay: Replay) -> None:
    async with shown(replay, "l", "z") as pilot:
        view = app_of(pilot).main.detail.content
        assert isinstance(view, Logs)
        await until(pilot, lambda: view.buffer.total, "the log")
        top = lambda: view._places[0]  # noqa: E731
        view.styles.height = 8  # a log longer than its pane
        await until(pilot, lambda: view.size.height == 8 and view.following, "few lines of it")
        for key in ("up", "k", "pageup"):
            before = top()
            await pilot.press(key)
            await until(pilot, lambda before=before: top() < before, f"{key}: older lines")
            assert not view.following
        for key in ("down", "j"):
            before = top()
            await pilot.press(key)
            await until(pilot, lambda before=before: top() > before, f"{key}: newer lines")
        await pilot.press("pagedown", "pagedown", "pagedown", "pagedown", "f")
        await until(pilot, lambda: view.following, "the end of it")
        await pilot.press("w")
        assert not view.wrap
        await pilot.press("right")
        assert view._shift == 8
        await pilot.press("left")
        assert view._shift == 0
        await pilot.press("w", "t")
        assert view.wrap and view.times
        await pilot.press("slash", *"timed", "enter")
        await until(pilot, lambda: view.found > 1, "matches")
        last = view._match
        await pilot.press("N")
        await until(pilot, lambda: view._match < last, "the match before")
        await pilot.press("n")
        assert view._match == last
        await pilot.press("escape", "c")
        assert "timed" in pilot.app.clipboard
        await pilot.press("T")
        await until(pilot, lambda: isinstance(pilot.app.screen, Ask), "the question")
        pilot.app.screen.query_one(Input).value = "nonsense"
        await pilot.press("enter")
        await until(pilot, lambda: "nonsense" in screen(pilot), "why not")
        replay.endless = ()  # a log asked for from a place on ends
        await pilot.press("g")
        await until(pilot, lambda: "from its first line" in view.about, "its beginning")


async def test_the_last_error_of_a_log_is_one_key_away(replay: Replay) -> None:
    async with shown(replay, "l") as pilot:
        view = app_of(pilot).main.detail.content
        assert isinstance(view, Logs)
        await until(pilot, lambda: view.buffer.total, "the log")
        await pilot.press("exclamation_mark")
        await until(pilot, lambda: view.found, "an error")
        last = view._match
        line = view.buffer.get(last)
        assert line is not None and "timed out" in line.plain
        await pilot.press("exclamation_mark")
        await until(pilot, lambda: view._match < last, "the one before")


async def test_a_tree_is_folded_sorted_by_size_and_copied(replay: Replay) -> None:
    async with shown(replay) as pilot:
        view = await open_tab(pilot, "changes", Changes, lambda one: one.rows)
        paths = lambda: [row.id for row in view.rows]  # noqa: E731
        view.go(paths().index("/www"))
        await pilot.press("left")
        assert "/www/index.html" not in paths()
        await pilot.press("right")
        assert "/www/index.html" in paths()
        await pilot.press("right", "h")
        assert view.current.id == "/www", "left of a file is its folder"
        await pilot.press("c")
        assert pilot.app.clipboard == "/www"
        await pilot.press("minus")
        assert "/www/index.html" not in paths()
        await pilot.press("asterisk")
        assert "/www/index.html" in paths()
        await pilot.press("o")
        assert "largest first" in view.about
        asked = len(replay.asked)
        await pilot.press("ctrl+r")
        await until(pilot, lambda: len(replay.asked) > asked, "a reading")
        await pilot.press("C")
        await until(pilot, lambda: "Commit" in screen(pilot), "the form of commit")


async def test_an_inspection_is_gone_through_by_matches_folded_and_copied_whole(
    replay: Replay,
) -> None:
    async with shown(replay) as pilot:
        view = await open_tab(pilot, "inspect", Inspect, lambda one: one._json)
        await pilot.press("slash", *"port", "enter")
        here = lambda: view.cursor_node.data if view.cursor_node else None  # noqa: E731
        first, second = view.matches[:2]
        await until(pilot, lambda: here() == first, "the first")
        await pilot.press("n")
        await until(pilot, lambda: here() == second, "the next")
        await pilot.press("N")
        await until(pilot, lambda: here() == first, "the first again")
        await pilot.press("escape", "minus")
        folded = len(view._tree_lines)
        await pilot.press("asterisk")
        assert len(view._tree_lines) > folded
        await pilot.press("C")
        assert pilot.app.clipboard.startswith("{") and '"Config"' in pilot.app.clipboard


async def test_a_variable_is_copied_and_the_graphs_turn_to_a_day(replay: Replay) -> None:
    async with shown(replay) as pilot:
        await open_tab(pilot, "env", Listing, lambda one: one.rows)
        await pilot.press("c")
        assert "=" in pilot.app.clipboard
        view = await open_tab(pilot, "stats", Stats, lambda one: one._lines)
        assert "10 minutes" in view.about
        await pilot.press("t")
        assert view.about.startswith("24 hours")
        await pilot.press("t")
        assert view.about.startswith("10 minutes")


async def test_menus_and_columns_are_gone_through_by_letters(replay: Replay) -> None:
    async with shown(replay, "x") as pilot:
        assert isinstance(pilot.app.screen, Menu)
        options = pilot.app.screen.query_one(OptionList)
        await pilot.press("j", "j", "k")
        assert options.highlighted == 1
        await pilot.press("x")
        main = app_of(pilot).main
        before = [one.key for one in main.table("containers").columns]
        await pilot.press("C", "j", "j", "k", "space", "C")
        changed = [one.key for one in main.table("containers").columns]
        assert changed != before
        await pilot.press("C")
        assert isinstance(pilot.app.screen, Columns)
        await pilot.press("r", "escape")
        assert [one.key for one in main.table("containers").columns] == before


async def test_a_file_is_searched_where_it_is_viewed(replay: Replay) -> None:
    buffer = LogBuffer()
    buffer.feed(1, b"2026-01-01T00:00:00Z one\n2026-01-01T00:00:00Z two\n")
    async with shown(replay) as pilot:
        viewer = Viewer("/etc/some", "", buffer)
        pilot.app.push_screen(viewer)
        await pilot.pause()
        await pilot.press("slash")
        await until(pilot, lambda: isinstance(pilot.app.screen, Ask), "the question")
        await pilot.press(*"two", "enter")
        await until(pilot, lambda: viewer.view.found == 1, "the match")
        await pilot.press("escape")
        assert viewer.view.query_text == ""
        await pilot.press("q")
        assert pilot.app.screen is app_of(pilot).main


async def test_enter_in_the_host_view_goes_to_the_container(
    replay: Replay, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of a process that is of none it is said."""
    target = ""
    read = hostfacts.Reader.read

    def owned(self: hostfacts.Reader) -> hostfacts.Facts:
        facts = read(self)
        # This machine runs none of the recording's containers.
        facts.processes = [replace(one, container=target) for one in facts.processes]
        return facts

    monkeypatch.setattr(hostfacts.Reader, "read", owned)
    async with shown(replay, "H") as pilot:
        await until(pilot, lambda: isinstance(pilot.app.screen, HostView), "the view")
        table = pilot.app.screen.query_one(Table)
        main = app_of(pilot).main
        await until(pilot, lambda: table.rows, "processes")
        await pilot.press("enter")
        await until(pilot, lambda: "of no container" in screen(pilot), "why not")
        target = main.table("containers").rows[0].id
        await until(pilot, lambda: table.current and table.current.sort["owner"], "its owner")
        await pilot.press("enter")
        await until(pilot, lambda: pilot.app.screen is main, "the list")
        assert main.under_cursor("containers") == target


class Standing(Job):
    """A job that goes on until it is cancelled."""


async def test_jobs_are_chosen_from_their_list_and_looked_at(replay: Replay) -> None:
    async with shown(replay) as pilot:
        main = app_of(pilot).main
        jobs = [Standing(f"job {n}", "bay pull") for n in range(3)]
        for job in jobs:
            main.jobs[job] = main.run_worker(_forever())  # type: ignore[assignment] # it ends never
        await pilot.press("percent_sign")
        await until(pilot, lambda: isinstance(pilot.app.screen, Jobs), "the list")
        dialog = pilot.app.screen
        assert isinstance(dialog, Jobs)
        await pilot.press("down", "j", "k")
        assert dialog.current is jobs[1]
        await pilot.press("enter")
        await until(pilot, lambda: isinstance(pilot.app.screen, Progress), "its progress")
        await until(pilot, lambda: "job 1" in screen(pilot), "whose")
        await pilot.press("ctrl+x")
        await until(pilot, lambda: main.jobs[jobs[1]].is_cancelled, "its end")
        await until(pilot, lambda: pilot.app.screen is main, "the list")


async def _forever() -> bool:
    import asyncio

    await asyncio.Event().wait()
    return True


async def test_the_engine_of_this_machine_is_started_by_a_key(
    tmp_path: Path, replay: Replay, monkeypatch: Any
) -> None:
    """Where none runs, the banner names the key, and the key tries; why it can't is said."""
    app = still_app(replay)
    started: list[str] = []

    async def start(self: Dialer) -> None:
        started.append(self.name)

    monkeypatch.setattr(Dialer, "can_start", True)
    monkeypatch.setattr(Dialer, "start", start)
    async with app.run_test(size=(120, 36)) as pilot:
        await connected(pilot)
        count = len(started)
        await pilot.press("ctrl+s")
        await pilot.pause()
        assert len(started) == count, "one that runs is not started"
        app.main.model.link = "lost"
        app.main._show_link()
        await pilot.pause()
        assert "ctrl+s starts it" in screen(pilot)
        await pilot.press("ctrl+s")
        await until(pilot, lambda: len(started) > count, "the start")
