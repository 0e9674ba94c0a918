"""Attach, copying, clean-ups, jobs and the end of shells, by their keys, on a real engine."""

from __future__ import annotations

import asyncio
import itertools
import os
import tarfile
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from bayplan.client.hosts import parse_host
from bayplan.host.errors import InvalidError
from bayplan.tui import packing
from bayplan.tui.app import BayApp
from bayplan.tui.dialing import Dialer
from bayplan.tui.keys import TABLE
from bayplan.tui.screens.progress import Jobs
from bayplan.tui.screens.prune import Prune
from bayplan.tui.widgets.files import FilesTab
from bayplan.tui.widgets.shell import Shell
from steps import app_of, connected, go_to, screen, until
from support.engine import EngineProcess
from support.waiting import wait_until
from textual.pilot import Pilot
from textual.widgets import Checkbox, Input

pytestmark = pytest.mark.usefixtures("stillness")
_NUMBERS = itertools.count()
LIMIT = 240.0


@pytest.fixture
def name() -> str:
    """A name nobody else has."""
    return f"work-{os.getpid()}-{next(_NUMBERS)}"


@pytest.fixture
def cat(engine: EngineProcess, name: str) -> Iterator[str]:
    """A container whose main process answers on its terminal."""
    engine.bay("run", "-dit", "--name", name, "starter", "cat", check=True)
    yield name
    engine.bay("rm", "-f", name)


@asynccontextmanager
async def shown(engine: EngineProcess, on: str = "") -> AsyncIterator[Pilot[None]]:
    app = BayApp(Dialer(parse_host(engine.host)))
    async with app.run_test(size=(120, 36), notifications=True) as pilot:
        await connected(pilot)
        if on:
            await go_to(pilot, on)
        yield pilot


async def becomes(pilot: Pilot[None], fact: Callable[[], object], what: str) -> None:
    await until(pilot, fact, what, LIMIT)


def shell_ready(pilot: Pilot[None]) -> bool:
    """Whether there is a prompt, and the keyboard is the shell's."""
    return app_of(pilot).main.shell.has_focus and "#" in screen(pilot)


async def test_attach_is_the_main_process_and_leaving_it_leaves_it(
    engine: EngineProcess, cat: str
) -> None:
    async with shown(engine, cat) as pilot:
        shell = app_of(pilot).main.query_one(Shell)
        await pilot.press("a")
        await becomes(pilot, lambda: shell.session is not None, "a session")
        assert shell.session is not None and shell.session.kind == "attach"
        await pilot.press(*"said-here", "enter")
        # Once typed, once by cat.
        await becomes(pilot, lambda: screen(pilot).count("said-here") >= 2, "its answer")
        assert "detaches" in screen(pilot)
        await pilot.press("ctrl+right_square_bracket")
        await becomes(pilot, lambda: shell.session is None, "the end of the session")
        assert engine.inspect(cat)["State"]["Running"]


async def test_copy_puts_the_id_of_a_row_and_what_a_shell_shows_on_the_clipboard(
    engine: EngineProcess, cat: str
) -> None:
    async with shown(engine, cat) as pilot:
        await pilot.press("c")
        identifier = engine.inspect(cat)["Id"]
        await becomes(pilot, lambda: pilot.app.clipboard == identifier, "the id")
        await pilot.press("2", "c")
        await becomes(pilot, lambda: pilot.app.clipboard != identifier, "a name of an image")
        assert ":" in pilot.app.clipboard
        await pilot.press("1", "a", *"to-be-copied", "enter")
        await becomes(pilot, lambda: screen(pilot).count("to-be-copied") >= 2, "its answer")
        app_of(pilot).main.query_one(Shell).action_copy_screen()
        assert "to-be-copied\nto-be-copied" in pilot.app.clipboard


async def test_closing_a_shell_ends_what_runs_in_it(engine: EngineProcess, cat: str) -> None:
    """A program that reads no ^D ends as it does when a terminal's window is closed."""

    def sleeps() -> bool:
        return "sleep 98765" in str(engine.api("GET", f"/containers/{cat}/top").json())

    async with shown(engine, cat) as pilot:
        shell = app_of(pilot).main.query_one(Shell)
        await pilot.press("e")
        await becomes(pilot, lambda: shell_ready(pilot), "a prompt")
        await pilot.press(*"sleep", "space", *"98765", "enter")
        await becomes(pilot, sleeps, "the program")
        first = shell.session
        await pilot.press("ctrl+right_square_bracket", "E")
        await becomes(pilot, lambda: shell.session not in (None, first), "one more shell")
        second = shell.session
        await becomes(pilot, lambda: "exec 2 of 2" in screen(pilot), "that there are two")
        await pilot.press("ctrl+right_square_bracket")
        shell.action_other(1)
        assert shell.session is first
        shell.action_other(-1)
        assert shell.session is second
        app_of(pilot).main.action_end_session()
        assert shell.session is first
        app_of(pilot).main.action_end_session()
        await becomes(pilot, lambda: not sleeps(), "its end")
        assert shell.session is None


async def test_quitting_ends_the_shells_and_what_runs_in_them(
    engine: EngineProcess, cat: str
) -> None:
    def sleeps() -> bool:
        return "sleep 87654" in str(engine.api("GET", f"/containers/{cat}/top").json())

    async with shown(engine, cat) as pilot:
        await pilot.press("e")
        await becomes(pilot, lambda: shell_ready(pilot), "a prompt")
        await pilot.press(*"sleep", "space", *"87654", "enter")
        await becomes(pilot, sleeps, "the program")
    await asyncio.to_thread(wait_until, lambda: not sleeps(), "the end of the program")
    assert engine.inspect(cat)["State"]["Running"]


async def test_a_clean_up_says_what_it_freed_and_removes_only_what_was_chosen(
    fresh_engine: Callable[..., EngineProcess], tmp_path: Path
) -> None:
    engine = fresh_engine()
    writes = ("dd", "if=/dev/zero", "of=/f", "bs=1M", "count=3")
    engine.bay("run", "--name", "ended", "starter", *writes, check=True)
    engine.bay("volume", "create", "kept", check=True)
    (tmp_path / "Dockerfile").write_text("FROM starter\nRUN echo built > /f\n")
    engine.bay("build", "-q", "-t", "made:1", str(tmp_path), check=True)
    async with shown(engine, "ended") as pilot:
        main = app_of(pilot).main
        await pilot.press("X")
        await becomes(pilot, lambda: isinstance(pilot.app.screen, Prune), "what would go")
        assert "build cache" in screen(pilot)
        cache = pilot.app.screen.query_one("#waste-cache", Checkbox)
        assert not cache.disabled and not cache.value
        cache.value = True
        pilot.app.screen.query_one("#waste-unused", Checkbox).value = True
        await pilot.pause()
        await pilot.press("y")
        await becomes(pilot, lambda: "Cleaned up" in screen(pilot), "the word of it")
        assert "freed" in screen(pilot)
        await becomes(pilot, lambda: not main.model.containers, "the container gone")
        await becomes(
            pilot,
            lambda: not any("made:1" in (one["RepoTags"] or []) for one in main.model.images),
            "the image gone",
        )
    left = engine.api("GET", "/bay/prune?kinds=containers,build-cache&all=1").json()
    assert left["Items"] == []
    assert [one["Name"] for one in engine.api("GET", "/volumes").json()["Volumes"]] == ["kept"]


async def test_the_list_of_what_is_under_way_shows_a_job_and_cancels_it(
    engine: EngineProcess, name: str
) -> None:
    """A pull from a registry that accepts and says nothing is under way until it is cancelled."""
    mute = await asyncio.start_server(lambda reader, writer: reader.read(), "127.0.0.1", 0)
    port = mute.sockets[0].getsockname()[1]
    try:
        async with shown(engine) as pilot:
            main = app_of(pilot).main
            await pilot.press("percent_sign")
            await becomes(pilot, lambda: "Nothing is under way" in screen(pilot), "no job")
            await pilot.press("escape", "2")
            main.pull(f"127.0.0.1:{port}/{name}:1")
            await becomes(pilot, lambda: len(pilot.app.screen_stack) > 1, "its progress")
            await pilot.press("escape", "percent_sign")
            await becomes(pilot, lambda: isinstance(pilot.app.screen, Jobs), "the list")
            await becomes(pilot, lambda: name in screen(pilot), "the job in it")
            await pilot.press("ctrl+x")
            await becomes(pilot, lambda: not main.jobs, "its end")
            await becomes(pilot, lambda: "Cancelled" in screen(pilot), "the word of it")
    finally:
        mute.close()


async def test_a_folder_of_an_image_is_copied_out(engine: EngineProcess, tmp_path: Path) -> None:
    async with shown(engine) as pilot:
        main = app_of(pilot).main
        await pilot.press("2")
        table = main.table("images")
        await becomes(pilot, lambda: any("starter" in row.text for row in table.rows), "the image")
        table.go(next(n for n, row in enumerate(table.rows) if "starter" in row.text))
        main.action_tab("files")
        view = main.detail.content
        assert isinstance(view, FilesTab)
        await becomes(pilot, lambda: "/bin" in [row.id for row in view.rows], "its folders")
        view.go([row.id for row in view.rows].index("/bin"))
        await pilot.press("w")
        await becomes(pilot, lambda: pilot.app.screen.query(Input), "the question")
        pilot.app.screen.query_one(Input).value = str(tmp_path / "bin.tar")
        await pilot.press("enter")
        await becomes(pilot, lambda: "Copied" in screen(pilot), "the word of it")
    with tarfile.open(tmp_path / "bin.tar") as archive:
        names = archive.getnames()
        assert names[0] == "bin" and "bin/busybox" in names
        busybox = archive.extractfile("bin/busybox")
        assert busybox is not None and busybox.read(4) == b"\x7fELF"


async def test_what_is_copied_in_is_never_in_memory_as_a_whole(tmp_path: Path) -> None:
    """An archive comes in pieces of a megabyte at most, and is what tar makes of the folder."""
    folder = tmp_path / "folder"
    (folder / "below").mkdir(parents=True)
    with open(folder / "large", "wb") as file:
        file.truncate(40 << 20)
    (folder / "below" / "small").write_text("small\n")
    with open(tmp_path / "out.tar", "wb") as out:
        async for piece in packing.local(folder):
            assert len(piece) <= packing.PIECE
            out.write(piece)
    with tarfile.open(tmp_path / "out.tar") as archive:
        sizes: dict[str, Any] = {one.name: one.size for one in archive}
    assert sizes["folder/large"] == 40 << 20 and sizes["folder/below/small"] == 6
    with pytest.raises(InvalidError, match="Cannot read"):
        async for _ in packing.local(tmp_path / "none"):
            pass


async def test_each_tab_has_a_key(engine: EngineProcess, cat: str) -> None:
    tabs = ["stats", "processes", "files", "layers", "env", "ports", "health", "happened"]
    async with shown(engine, cat) as pilot:
        for tab in tabs:
            await pilot.press("escape", next(one.keys for one in TABLE if one.name == tab))
            await becomes(pilot, lambda tab=tab: app_of(pilot).main.detail.tab == tab, tab)
