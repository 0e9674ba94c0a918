"""Several hosts in one screen, on real engines: whose each row is, and whose each action."""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager

import pytest
from bayplan.client.hosts import parse_host
from bayplan.tui import fleet
from bayplan.tui.app import BayApp
from bayplan.tui.screens.confirm import Confirm
from bayplan.tui.screens.fleet import FleetScreen
from bayplan.tui.screens.hosts import Hosts
from bayplan.tui.screens.run import Run
from steps import app_of, screen, until
from support.engine import EngineProcess
from textual.pilot import Pilot
from textual.widgets import Input, OptionList

pytestmark = pytest.mark.usefixtures("stillness")
LIMIT = 240.0
SIZES = ((80, 24), (120, 36), (200, 60))


@pytest.fixture(scope="module")
def second() -> Iterator[EngineProcess]:
    """This module's second engine."""
    process = EngineProcess()
    try:
        process.start()
        yield process
    finally:
        process.purge()


@pytest.fixture
def pair(
    engine: EngineProcess, second: EngineProcess
) -> Iterator[tuple[EngineProcess, EngineProcess]]:
    """Two engines with a container of the same name on each."""
    name = f"twin-{os.getpid()}"
    words = ("run", "-d", "--name", name, "--stop-signal", "KILL", "starter", "sh", "-c")
    engine.bay(*words, "echo said on the first; exec sleep 9999", check=True)
    second.bay(*words, "echo said on the second; exec sleep 9999", check=True)
    yield engine, second
    engine.bay("rm", "-f", name)
    second.bay("rm", "-f", name)


def main_of(pilot: Pilot[None]) -> FleetScreen:
    main = app_of(pilot).main
    assert isinstance(main, FleetScreen)
    return main


async def becomes(pilot: Pilot[None], fact: Callable[[], object], what: str) -> None:
    await until(pilot, fact, what, LIMIT)


@asynccontextmanager
async def shown(
    *addresses: str, up: int | None = None, size: tuple[int, int] = (120, 36)
) -> AsyncIterator[Pilot[None]]:
    """The screen over the hosts at these addresses; `up` of them are waited for (None: all)."""
    places = fleet.named([(f"h{n}", f"h{n}", parse_host(one)) for n, one in enumerate(addresses)])
    app = BayApp(places[0].dialer, places=places)
    async with app.run_test(size=size, notifications=True) as pilot:
        stations = main_of(pilot).stations
        wanted = len(addresses) if up is None else up
        await becomes(pilot, lambda: sum(one.up for one in stations) >= wanted, "the links")
        yield pilot


async def on(pilot: Pilot[None], host: str, words: str, kind: str = "containers") -> None:
    """Put the cursor on a host's row that has `words`."""
    table = main_of(pilot).table(kind)

    def place() -> int:
        rows = enumerate(table.rows)
        found = (n for n, row in rows if fleet.owner(row.id) == host and words in row.text)
        return next(found, -1)

    await becomes(pilot, lambda: place() >= 0, f"{words} of {host}")
    table.go(place())
    await becomes(
        pilot, lambda: main_of(pilot).station.name == host, f"{host} as the one worked on"
    )


def state(engine: EngineProcess, name: str) -> str:
    return str(engine.inspect(name)["State"]["Status"])


async def test_an_action_goes_to_the_host_of_its_row(
    pair: tuple[EngineProcess, EngineProcess],
) -> None:
    name = f"twin-{os.getpid()}"
    first, second = pair
    async with shown(first.host, second.host) as pilot:
        await on(pilot, "h1", name)
        await pilot.press("s")
        await becomes(pilot, lambda: state(second, name) == "exited", "its stop")
        assert state(first, name) == "running"
        assert main_of(pilot).last_command == f"bay -c h1 stop {name}"
        # The undoing is for where it was done, though the cursor is elsewhere.
        await on(pilot, "h0", name)
        await pilot.press("u")
        await becomes(pilot, lambda: state(second, name) == "running", "its undoing")


async def test_a_question_stays_with_its_host(
    pair: tuple[EngineProcess, EngineProcess],
) -> None:
    """What is asked about one host is done there, wherever the cursor went meanwhile."""
    name = f"twin-{os.getpid()}"
    first, second = pair
    async with shown(first.host, second.host) as pilot:
        await on(pilot, "h1", name)
        await pilot.press("ctrl+k")
        await becomes(pilot, lambda: isinstance(pilot.app.screen, Confirm), "the question")
        assert f"Kill {name} on h1?" in screen(pilot)
        await on(pilot, "h0", name)
        await pilot.press("y")
        await becomes(pilot, lambda: state(second, name) == "exited", "the kill")
        assert state(first, name) == "running"


async def test_marked_over_two_hosts(pair: tuple[EngineProcess, EngineProcess]) -> None:
    name = f"twin-{os.getpid()}"
    first, second = pair
    async with shown(first.host, second.host) as pilot:
        main = main_of(pilot)
        await on(pilot, "h1", name)
        await pilot.press("space")
        await on(pilot, "h0", name)
        await pilot.press("space")
        await becomes(pilot, lambda: len(main.table("containers").marked) == 2, "two marks")
        # Their logs are one, each line with its host and container.
        for words in (f"h0:{name} said on the first", f"h1:{name} said on the second"):
            await becomes(pilot, lambda words=words: words in screen(pilot), words)
        await pilot.press("s")
        await becomes(pilot, lambda: state(first, name) == "exited", "a stop")
        await becomes(pilot, lambda: state(second, name) == "exited", "the other")
        await becomes(pilot, lambda: not main.table("containers").marked, "no marks")


async def test_a_shell_and_a_run_are_on_the_row_s_host(
    pair: tuple[EngineProcess, EngineProcess],
) -> None:
    name = f"twin-{os.getpid()}"
    first, second = pair
    second.bay("exec", name, "sh", "-c", "echo here-is-h1 > /mark", check=True)
    async with shown(first.host, second.host) as pilot:
        main = main_of(pilot)
        await on(pilot, "h1", name)
        await pilot.press("e")
        await becomes(pilot, lambda: main.shell.session, "a session")
        await becomes(pilot, lambda: main.shell.has_focus and "#" in screen(pilot), "a prompt")
        await pilot.press(*"cat", "space", "slash", *"mark", "enter")
        await becomes(pilot, lambda: "here-is-h1" in screen(pilot), "that host's file")
        await pilot.press("ctrl+right_square_bracket")
        await on(pilot, "h1", name)
        await pilot.press("n")
        await becomes(pilot, lambda: isinstance(pilot.app.screen, Run), "the form")
        await becomes(pilot, lambda: "· h1" in screen(pilot), "whose it is")
        pilot.app.screen.query_one("#run-image", Input).value = "starter"
        pilot.app.screen.query_one("#run-name", Input).value = f"{name}-new"
        await pilot.pause()
        await pilot.press("ctrl+r")
        await becomes(
            pilot,
            lambda: f"{name}-new" in second.bay("ps", "-a", "--format", "{{.Names}}").stdout,
            "the container there",
        )
        assert f"{name}-new" not in first.bay("ps", "-a", "--format", "{{.Names}}").stdout


async def test_one_that_is_killed_does_not_hold_up_the_other(
    pair: tuple[EngineProcess, EngineProcess],
) -> None:
    name = f"twin-{os.getpid()}"
    first, second = pair
    async with shown(first.host, second.host) as pilot:
        main = main_of(pilot)
        gone = main.stations[1]
        await on(pilot, "h0", name)
        second.kill9()
        await becomes(pilot, lambda: gone.health[1] == "lost", "its loss")
        await becomes(pilot, lambda: "h1 lost" in screen(pilot), "the word")
        await becomes(pilot, lambda: "✕ h1" in screen(pilot), "the mark")
        await pilot.press("s")
        await becomes(pilot, lambda: state(first, name) == "exited", "a stop on the other")
        # What was known of it is still seen, in grey, and an action on it says why it can't be.
        await on(pilot, "h1", name)
        row = main.table("containers").current
        assert row is not None and row.cells["name"] == ((name, "dim"),)
        assert row.cells["host"][-1][0].startswith(" ✕ ")
        main.hide_stopped = True
        main.redraw("containers")
        await on(pilot, "h1", name)  # not known to be stopped, so not hidden
        main.hide_stopped = False
        await pilot.press("r")
        await becomes(pilot, lambda: "Restart failed" in screen(pilot), "the refusal")
        await pilot.press("at")
        await becomes(pilot, lambda: isinstance(pilot.app.screen, Hosts), "the hosts")
        await pilot.press("down", "down", "d")
        await becomes(pilot, lambda: "dismissed until it is back" in screen(pilot), "that it is")
        await pilot.press("escape")
        rows = lambda: {fleet.owner(one.id) for one in main.table("containers").rows}  # noqa: E731
        await becomes(pilot, lambda: rows() == {"h0"}, "no rows of it")
        await becomes(pilot, lambda: "h1 lost" not in screen(pilot), "no word of it")
        second.start()
        await becomes(pilot, lambda: gone.up, "its return")
        await becomes(pilot, lambda: rows() == {"h0", "h1"}, "its rows")
        await becomes(pilot, lambda: "h1 lost" not in screen(pilot), "no word of it")


async def test_one_that_never_answers_is_connecting_and_holds_up_nobody(
    engine: EngineProcess, tmp_path_factory: pytest.TempPathFactory
) -> None:
    path = tmp_path_factory.mktemp("mute") / "sock"

    async def mute(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read()
        writer.close()

    server = await asyncio.start_unix_server(mute, str(path))
    try:
        async with shown(engine.host, f"unix://{path}", "unix:///nowhere/sock", up=1) as pilot:
            stations = main_of(pilot).stations
            assert stations[0].up
            await becomes(pilot, lambda: stations[2].health[1] == "lost", "the third's loss")
            assert stations[1].health[1] == "connecting"
            await pilot.press("at")
            await becomes(pilot, lambda: isinstance(pilot.app.screen, Hosts), "the hosts")
            await becomes(pilot, lambda: "no answer yet" in screen(pilot), "the second's state")
            await becomes(pilot, lambda: "No such file" in screen(pilot), "the third's")
            await pilot.press("j", "j", "j", "k")
            assert pilot.app.screen.query_one(OptionList).highlighted == 2
            retried = asyncio.Event()
            stations[1].feed.retry = retried.set  # type: ignore[method-assign] # seen, not done
            await pilot.press("r")
            assert retried.is_set()
            await pilot.press("ctrl+s")
            await becomes(pilot, lambda: "Only the engine of this machine" in screen(pilot), "why")
    finally:
        server.close()


async def test_one_host_alone(pair: tuple[EngineProcess, EngineProcess]) -> None:
    """The hosts' dialog narrows all lists to one host, and back; so does `host:` in a filter."""
    first, second = pair
    async with shown(first.host, second.host) as pilot:
        main = main_of(pilot)
        owners = lambda: {fleet.owner(row.id) for row in main.table("networks").rows}  # noqa: E731
        await becomes(pilot, lambda: owners() == {"h0", "h1"}, "the networks of both")
        await pilot.press("at")
        await becomes(pilot, lambda: isinstance(pilot.app.screen, Hosts), "the hosts")
        await pilot.press("down", "down", "enter")
        await becomes(pilot, lambda: owners() == {"h1"}, "those of one")
        assert main.station.name == "h1"
        await pilot.press("at")
        await becomes(pilot, lambda: isinstance(pilot.app.screen, Hosts), "the hosts")
        await pilot.press("a")
        await becomes(pilot, lambda: owners() == {"h0", "h1"}, "both again")
        main.filter_list("networks", "host:h0")
        await becomes(pilot, lambda: owners() == {"h0"}, "the filter")


@pytest.mark.parametrize("size", SIZES, ids=lambda size: f"{size[0]}x{size[1]}")
async def test_the_host_column_and_the_health_are_seen_at(
    size: tuple[int, int], pair: tuple[EngineProcess, EngineProcess]
) -> None:
    first, second = pair
    async with shown(first.host, second.host, "unix:///nowhere/s", up=2, size=size) as pilot:
        stations = main_of(pilot).stations
        await becomes(pilot, lambda: stations[2].health[1] == "lost", "the third's loss")
        await becomes(pilot, lambda: "HOST" in screen(pilot), "the column")
        await becomes(pilot, lambda: "✕ h2" in screen(pilot), "its health in the host line")
        assert "h0" in screen(pilot)
