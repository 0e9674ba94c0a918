"""How the screen looks, at three sizes, on what a real engine once said."""

from __future__ import annotations

import time
from collections.abc import Awaitable, Callable
from typing import Any

import pytest
from bayplan.tui.screens.fleet import FleetScreen
from bayplan.tui.settings import Settings
from bayplan.tui.widgets.logs import Logs
from replay import Replay, still_app, still_fleet
from steps import app_of, connected, go_to, until
from textual.command import CommandPalette
from textual.pilot import Pilot

Before = Callable[[Pilot[None]], Awaitable[None]]
SIZES = ((80, 24), (120, 36), (200, 60))
# The groups of workers that read what is shown.
READING = {
    *("inspect", "layers", "layerfiles", "stats", "changes"),
    CommandPalette._GATHER_COMMANDS_GROUP,
}


def ready(*keys: str, name: str = "web") -> Before:
    """Wait for the engine's answers, go to `name`, press `keys`, wait for what they asked for."""

    async def before(pilot: Pilot[None]) -> None:
        main = app_of(pilot).main
        await connected(pilot)
        await until(pilot, lambda: main.model.samples, "samples")
        await until(pilot, lambda: main.model.events, "events")
        await go_to(pilot, name)
        for key in keys:
            await pilot.press(key)
        workers = pilot.app.workers

        def is_read() -> bool:
            under_way = {one.group for one in workers if not one.is_finished}
            # What a clean-up would free is read until the question about it is answered.
            asked = len(pilot.app.screen_stack) > 1
            return not under_way & READING and (asked or "prune" not in under_way)

        await until(pilot, is_read, "what was read")
        logs = main.query_one(Logs)
        if main.kind == "containers" and main.detail.tab == "logs":
            await until(pilot, lambda: logs.buffer.total or name == "console", "the log")
        await pilot.pause(0.1)

    return before


VIEWS = {
    "lists": ((), SIZES),
    "stats": (("g",), SIZES),
    "images": (("2",), SIZES[:1]),
    "inspect": (("i",), SIZES[1:2]),
    "search": (("l", "slash", "t", "i", "m", "e", "d", "enter", "t"), SIZES[:1]),
    "filter": (("slash", "s", "h", "o", "p", "enter", "o", "o"), SIZES[1:2]),
    "shell": (("right_square_bracket",), SIZES[:1]),
}


@pytest.mark.parametrize(
    ("view", "keys", "size"),
    [(view, keys, size) for view, (keys, sizes) in VIEWS.items() for size in sizes],
    ids=lambda part: "x".join(map(str, part)) if part in SIZES else None,
)
def test_view(
    view: str, keys: tuple[str, ...], size: tuple[int, int], replay: Replay, snap_compare: Any
) -> None:
    before = ready(*keys)
    assert snap_compare(still_app(replay), terminal_size=size, run_before=before)


@pytest.mark.parametrize(
    ("view", "keys"),
    [
        ("run", ("2", "n")),
        ("remove", ("d",)),
        ("prune", ("X",)),
        ("help", ("question_mark",)),
        ("pull", ("2", "p")),
        ("menu", ("x",)),
        ("columns", ("C",)),
        ("rename", ("R",)),
        ("network", ("3", "n")),
        ("jump", ("J",)),
        ("palette", ("colon", *"restart")),
    ],
)
def test_dialog(view: str, keys: tuple[str, ...], replay: Replay, snap_compare: Any) -> None:
    """Dialogs, where they have the least room."""
    assert snap_compare(still_app(replay), terminal_size=(80, 24), run_before=ready(*keys))


@pytest.mark.parametrize("size", SIZES[1:], ids=lambda size: f"{size[0]}x{size[1]}")
@pytest.mark.parametrize(
    ("view", "keys"),
    [("run", ("2", "n")), ("prune", ("X",)), ("help", ("question_mark",)), ("jump", ("J",))],
)
def test_dialog_with_room(
    view: str, keys: tuple[str, ...], size: tuple[int, int], replay: Replay, snap_compare: Any
) -> None:
    """Those whose layout depends on the room they have."""
    assert snap_compare(still_app(replay), terminal_size=size, run_before=ready(*keys))


@pytest.mark.parametrize("theme", ["bay-light", "bay-ansi", "bay-contrast"])
@pytest.mark.parametrize(
    ("view", "keys"), [("remove", ("d",)), ("columns", ("C",)), ("network", ("3", "n"))]
)
def test_dialog_theme(
    view: str, keys: tuple[str, ...], theme: str, replay: Replay, snap_compare: Any
) -> None:
    """A question, a list and a form: what has the focus is seen in every theme."""
    app = still_app(replay, theme)
    assert snap_compare(app, terminal_size=(80, 24), run_before=ready(*keys))


@pytest.mark.parametrize("size", SIZES, ids=lambda size: f"{size[0]}x{size[1]}")
@pytest.mark.parametrize("theme", ["bay-light", "bay-ansi"])
def test_theme(theme: str, size: tuple[int, int], replay: Replay, snap_compare: Any) -> None:
    app = still_app(replay, theme)
    assert snap_compare(app, terminal_size=size, run_before=ready())


async def lose_the_third(pilot: Pilot[None]) -> None:
    """Wait for all three hosts; the third was then lost two minutes ago."""
    main = app_of(pilot).main
    assert isinstance(main, FleetScreen)
    await until(pilot, lambda: all(one.up for one in main.stations), "links", 60)
    await until(pilot, lambda: all(one.model.samples for one in main.stations), "samples", 60)
    lost = main.stations[2]
    for worker in [one for one in pilot.app.workers if one.group == "feed"]:
        worker.cancel()  # nobody tries to reach it again
    lost.model.link, lost.model.trouble = "lost", "Cannot connect to the engine: no route to host"
    lost.heard = time.monotonic() - 121
    for one in main.stations[:2]:
        one.heard = time.monotonic() + 3600  # not silent, however long a busy machine takes
    main._heard(lost, "link")


def fleet_ready(*keys: str) -> Before:
    """Three hosts, the last one lost; then `keys`."""

    async def before(pilot: Pilot[None]) -> None:
        await lose_the_third(pilot)
        # The row that came first keeps the cursor, whichever host answered first.
        await pilot.press("home", *keys)
        logs = app_of(pilot).main.detail.query_one(Logs)
        await until(pilot, lambda: logs.note == "No output yet.", "the log", 60)
        await pilot.pause(0.1)

    return before


@pytest.mark.parametrize(
    ("theme", "size"),
    [*(("bay-dark", size) for size in SIZES), ("bay-light", SIZES[1]), ("bay-ansi", SIZES[0])],
    ids=lambda part: part if isinstance(part, str) else f"{part[0]}x{part[1]}",
)
def test_hosts(theme: str, size: tuple[int, int], replay: Replay, snap_compare: Any) -> None:
    app = still_fleet(replay, theme)
    assert snap_compare(app, terminal_size=size, run_before=fleet_ready())


def test_hosts_dialog(replay: Replay, snap_compare: Any) -> None:
    app = still_fleet(replay)
    assert snap_compare(app, terminal_size=(80, 24), run_before=fleet_ready("at"))


@pytest.mark.parametrize("size", [(80, 24), (50, 12)], ids=lambda size: f"{size[0]}x{size[1]}")
def test_projects(size: tuple[int, int], replay: Replay, snap_compare: Any) -> None:
    replay.compose()
    assert snap_compare(still_app(replay), terminal_size=size, run_before=ready("5"))


def test_ascii(replay: Replay, snap_compare: Any) -> None:
    """The ASCII symbol set: no character of the screen's own is outside of it."""
    app = still_app(replay, chosen=Settings(ascii_only=True))
    assert snap_compare(app, terminal_size=(120, 36), run_before=ready())


def test_without_colour(replay: Replay, snap_compare: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """NO_COLOR leaves words, glyphs, bold and reverse: nothing is said by colour alone."""
    monkeypatch.setenv("NO_COLOR", "1")
    app = still_app(replay, "bay-ansi")
    assert snap_compare(app, terminal_size=(120, 36), run_before=ready())
