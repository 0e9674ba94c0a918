"""The lists over a recorded engine: filter, columns, sorting, marks, hiding, projects, memory."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from bayplan.tui.keys import TABLE
from bayplan.tui.memory import Memory
from bayplan.tui.screens.help import Help
from bayplan.tui.screens.jump import Jump
from bayplan.tui.screens.lists import Lists
from bayplan.tui.screens.main import MainScreen
from bayplan.tui.screens.menu import Columns, Menu
from bayplan.tui.settings import Settings
from replay import Replay, still_app
from steps import app_of, connected, go_to, screen, until
from textual.pilot import Pilot


@asynccontextmanager
async def shown(
    replay: Replay, *keys: str, size: tuple[int, int] = (120, 36), **more: Any
) -> AsyncIterator[Pilot[None]]:
    """The app on the recording after `keys`."""
    app = still_app(replay, **more)
    async with app.run_test(size=size, notifications=True) as pilot:
        await connected(pilot)
        await until(pilot, lambda: app.main.model.samples, "samples")
        for key in keys:
            await pilot.press(key)
        await pilot.pause()
        yield pilot


def names(pilot: Pilot[None], kind: str = "containers") -> list[str]:
    rows = app_of(pilot).main.table(kind).rows
    return ["".join(part for part, _ in row.cells["name"]) for row in rows]


async def test_a_filter_narrows_as_it_is_typed_and_escape_ends_it(replay: Replay) -> None:
    async with shown(replay, "slash", *"!exited", "enter") as pilot:
        assert names(pilot) and "migrate" not in names(pilot)
        assert "/!exited" in screen(pilot)
        await pilot.press("escape")
        assert "migrate" in names(pilot)


async def test_an_empty_list_says_why_it_is_empty(replay: Replay) -> None:
    async with shown(replay, "slash", *"nosuch", "enter") as pilot:
        assert "None of 7 matches nosuch" in screen(pilot)


async def test_a_broken_pattern_is_said_beside_the_filter(replay: Replay) -> None:
    async with shown(replay, "slash", "slash", "left_square_bracket") as pilot:
        assert "unterminated" in screen(pilot)


async def test_stopped_containers_are_hidden_and_counted(replay: Replay) -> None:
    async with shown(replay, "h") as pilot:
        assert "migrate" not in names(pilot) and "import" not in names(pilot)
        assert "2 hidden" in screen(pilot)
        await pilot.press("h")
        assert "migrate" in names(pilot)


async def test_columns_are_chosen_and_the_first_one_stays(replay: Replay) -> None:
    async with shown(replay, "C") as pilot:
        assert isinstance(pilot.app.screen, Columns)
        await pilot.press("space", "down", "down", "space", "escape")
        keys = [one.key for one in app_of(pilot).main.table("containers").columns]
        assert "name" in keys and "cpu" not in keys
        assert "CPU" not in screen(pilot).splitlines()[3]


async def test_sorting_goes_through_the_shown_columns_and_round(replay: Replay) -> None:
    async with shown(replay, "o", "o") as pilot:
        assert names(pilot)[:2] == ["worker", "api"], "by CPU, the busiest first"
        await pilot.press("O")
        assert names(pilot)[-1] == "worker"


async def test_a_click_on_a_header_sorts_and_a_second_one_turns(replay: Replay) -> None:
    async with shown(replay) as pilot:
        table = app_of(pilot).main.table("containers")
        await pilot.click("#containers", offset=(4, 1))
        assert (table.sorted_by, table.reversed) == ("name", False)
        await pilot.click("#containers", offset=(4, 1))
        assert (table.sorted_by, table.reversed) == ("name", True)


async def test_marks_are_all_or_none_and_an_action_is_for_them(replay: Replay) -> None:
    async with shown(replay, "A") as pilot:
        table = app_of(pilot).main.table("containers")
        assert len(table.marked) == 7
        await pilot.press("d")
        await until(pilot, lambda: len(pilot.app.screen_stack) == 2, "the question")
        assert "Remove 7 containers?" in screen(pilot)
        await pilot.press("escape", "A")
        assert not table.marked


async def test_a_project_shows_its_members_and_their_log_in_one(replay: Replay) -> None:
    replay.compose()
    async with shown(replay, "5", size=(80, 24)) as pilot:
        assert names(pilot, "projects") == ["shop"]
        assert "3 merged" in screen(pilot)
        await pilot.press("enter")
        assert sorted(names(pilot)) == ["api", "db", "web"]
        await pilot.press("escape")
        assert len(names(pilot)) == 7


async def test_below_sixty_by_fifteen_there_is_one_list_and_enter_opens_the_detail(
    replay: Replay,
) -> None:
    async with shown(replay, size=(50, 12)) as pilot:
        main = app_of(pilot).main
        assert not main.detail.is_on_screen and "api" in screen(pilot)
        await go_to(pilot, "web")
        await pilot.press("enter")
        assert main.detail.is_on_screen
        await pilot.press("escape")
        assert not main.detail.is_on_screen and main.focused is main.table("containers")


# --- menus, palette, jump, help


async def test_the_menu_has_what_the_list_can_and_runs_it(replay: Replay) -> None:
    async with shown(replay, "x") as pilot:
        assert isinstance(pilot.app.screen, Menu)
        for words in ("restart", "kill", "rename", "commit", "connect"):
            assert words in screen(pilot)
        await pilot.press("d")
        await until(pilot, lambda: "Remove" in screen(pilot), "the question of remove")


async def test_the_palette_finds_an_action_by_its_words(replay: Replay) -> None:
    async with shown(replay, "colon", *"hide what") as pilot:
        await until(pilot, lambda: "hide what is stopped" in screen(pilot), "the entry")
        await pilot.press("enter")
        main = app_of(pilot).main
        await until(pilot, lambda: main.hide_stopped, "what it does")


async def test_the_palette_changes_the_theme(replay: Replay) -> None:
    async with shown(replay, "colon", *"bay-lig") as pilot:
        await until(pilot, lambda: "theme bay-light" in screen(pilot), "the entry")
        await pilot.press("enter")
        await until(pilot, lambda: pilot.app.theme == "bay-light", "the theme")


async def test_a_jump_is_two_keys(replay: Replay) -> None:
    async with shown(replay, "J") as pilot:
        assert isinstance(pilot.app.screen, Jump)
        await pilot.press("s")
        assert app_of(pilot).main.kind == "images"
        await pilot.press("J", "minus")
        assert app_of(pilot).main.kind == "images", "any other key only leaves"


async def test_help_has_every_key_of_the_table(replay: Replay) -> None:
    async with shown(replay, "question_mark", size=(200, 60)) as pilot:
        assert isinstance(pilot.app.screen, Help)
        text = screen(pilot)
        for key in TABLE:
            if key.face:
                assert key.label in text


# --- settings and memory


async def test_every_action_of_the_table_exists() -> None:
    for key in TABLE:
        name = key.action.partition("(")[0]
        if name and name != "noop" and not name.startswith("app."):
            assert hasattr(MainScreen, f"action_{name}"), key.action


async def test_a_read_only_screen_changes_nothing(replay: Replay) -> None:
    async with shown(replay, chosen=Settings(read_only=True)) as pilot:
        await go_to(pilot, "web")
        for key in TABLE:
            if key.writes and key.keys:
                await pilot.press(key.keys.split(",")[0])
        await pilot.pause()
        assert len(pilot.app.screen_stack) == 1, "nothing is asked that can't be done"
        assert all(asked.startswith("GET ") for asked in replay.asked)
        assert "read-only" in screen(pilot)


async def test_what_is_not_to_be_confirmed_is_not_asked(replay: Replay) -> None:
    async with shown(replay, chosen=Settings(confirm=frozenset({"stop"}))) as pilot:
        await go_to(pilot, "web")
        await pilot.press("ctrl+k")
        await until(pilot, lambda: any("/kill" in one for one in replay.asked), "the kill")
        await pilot.press("s")
        await until(pilot, lambda: "Stop web?" in screen(pilot), "the question of stop")


async def test_a_remapped_key_works_and_the_old_one_does_not(replay: Replay) -> None:
    chosen = Settings(keys={"hide_stopped": "f9"})
    async with shown(replay, "h", chosen=chosen) as pilot:
        assert "migrate" in names(pilot)
        await pilot.press("f9")
        assert "migrate" not in names(pilot)


async def test_mistakes_in_the_settings_are_said(replay: Replay) -> None:
    chosen = Settings(problems=("config.toml: there is no setting 'colour'",))
    async with shown(replay, chosen=chosen) as pilot:
        await until(pilot, lambda: "no setting 'colour'" in screen(pilot), "the sentence")


async def test_ctrl_c_neither_ends_the_screen_nor_a_container(replay: Replay) -> None:
    async with shown(replay, "ctrl+c", "ctrl+c") as pilot:
        assert pilot.app.is_running
        assert all(asked.startswith("GET ") for asked in replay.asked)


async def test_the_next_start_is_where_one_was(replay: Replay, tmp_path: Path) -> None:
    file = tmp_path / "screen.json"
    before = Memory(file)
    async with shown(replay, "h", "o", "o", "i", "escape", kept=before) as pilot:
        await go_to(pilot, "api")
        main = app_of(pilot).main
        await until(pilot, lambda: main.memory.now.rows.get("containers"), "the row")
        assert isinstance(main, Lists)
    async with shown(replay, kept=Memory(file)) as pilot:
        main = app_of(pilot).main
        assert main.hide_stopped and main.detail.tab == "inspect"
        assert main.table("containers").sorted_by == "cpu"
        row = main.table("containers").current
        assert row is not None and row.cells["name"][0][0] == "api"


async def test_a_resize_storm_ends_with_the_right_layout(replay: Replay) -> None:
    async with shown(replay) as pilot:
        for width, height in ((80, 24), (40, 10), (200, 60), (61, 15), (20, 5), (120, 36)) * 3:
            await pilot.resize_terminal(width, height)
        await until(pilot, lambda: "2 Images" in screen(pilot), "the layout of 120x36")
        assert not app_of(pilot).main.has_class("-single")


@pytest.mark.parametrize("size", [(20, 5), (30, 8), (59, 14), (60, 15)])
async def test_no_size_is_refused(size: tuple[int, int], replay: Replay) -> None:
    async with shown(replay, size=size) as pilot:
        assert "1" in screen(pilot).splitlines()[1]
