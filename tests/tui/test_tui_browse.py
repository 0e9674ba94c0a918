"""Files, changes, layers, snapshots and the host view, on a real engine."""

from __future__ import annotations

import itertools
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from bayplan.client.hosts import parse_host
from bayplan.tui import hostfacts
from bayplan.tui.app import BayApp
from bayplan.tui.dialing import Dialer
from bayplan.tui.screens.ask import Ask
from bayplan.tui.screens.hostview import HostView
from bayplan.tui.screens.snapshots import Snapshots
from bayplan.tui.screens.viewer import Viewer
from bayplan.tui.widgets.changes import Changes
from bayplan.tui.widgets.files import FilesTab
from bayplan.tui.widgets.layers import LayersTab
from steps import app_of, connected, go_to, until
from support.engine import EngineProcess
from textual.pilot import Pilot
from textual.widgets import Input

_NAMES = itertools.count()
SCRIPT = "mkdir /made; echo hello > /made/greeting; rm /bin/arch; while :; do sleep 1; done"


@pytest.fixture(scope="module")
def box(engine: EngineProcess) -> Iterator[str]:
    """A container that wrote, and removed, a file."""
    name = f"browse-{next(_NAMES)}"
    engine.bay("run", "-d", "--name", name, "--network", "none", "starter", "sh", "-c", SCRIPT)
    try:
        yield name
    finally:
        engine.bay("rm", "-f", name)


@asynccontextmanager
async def shown(engine: EngineProcess, name: str, tab: str) -> AsyncIterator[Pilot[None]]:
    """The app with a tab of `name` open and worked in."""
    app = BayApp(Dialer(parse_host(engine.host)), theme_name="bay-dark")
    async with app.run_test(size=(120, 36)) as pilot:
        await connected(pilot)
        await go_to(pilot, name)
        app.main.action_tab(tab)
        await pilot.pause()
        yield pilot


async def answer(pilot: Pilot[None], words: str) -> None:
    """Type into the question that is asked, and give the answer."""
    await until(pilot, lambda: pilot.app.screen.query(Input), "a question")
    pilot.app.screen.query_one(Input).value = words
    await pilot.press("enter")


def names(view: object) -> list[str]:
    return [row.id for row in view.rows]  # type: ignore[attr-defined] # a Table


async def test_a_file_is_viewed_and_copied_out_and_in(
    engine: EngineProcess, box: str, tmp_path: Path
) -> None:
    async with shown(engine, box, "files") as pilot:
        view = app_of(pilot).main.detail.content
        assert isinstance(view, FilesTab)
        await until(pilot, lambda: "/made" in names(view), "the root folder")
        view.go(names(view).index("/made"))
        await pilot.press("enter")
        await until(pilot, lambda: "/made/greeting" in names(view), "what is in it")
        view.go(names(view).index("/made/greeting"))
        await pilot.press("enter")
        await until(pilot, lambda: isinstance(pilot.app.screen, Viewer), "the viewer")
        assert [line.text for line in pilot.app.screen.view.buffer.lines] == ["hello"]  # type: ignore[attr-defined] # a Viewer
        await pilot.press("escape", "w")
        await answer(pilot, str(tmp_path / "out"))
        await until(pilot, (tmp_path / "out").exists, "the copy")
        await until(pilot, lambda: (tmp_path / "out").read_text() == "hello\n", "its content")
        (tmp_path / "in").write_text("from outside\n")
        await pilot.press("u")
        await answer(pilot, str(tmp_path / "in"))
        await until(pilot, lambda: "/made/in" in names(view), "what was copied in")
        engine.bay("exec", box, "touch", "/made/later", check=True)
        await pilot.press("ctrl+r")
        await until(pilot, lambda: "/made/later" in names(view), "what was made meanwhile")
    shown_inside = engine.bay("exec", box, "cat", "/made/in", check=True).stdout
    assert shown_inside == "from outside\n"
    engine.bay("exec", box, "rm", "/made/in", "/made/later", check=True)


async def test_changes_have_sizes_and_removed_files(engine: EngineProcess, box: str) -> None:
    async with shown(engine, box, "changes") as pilot:
        view = app_of(pilot).main.detail.content
        assert isinstance(view, Changes)

        def removed() -> bool:
            view.action_reread()  # its script may have come no further yet
            return "/bin" in names(view)

        await until(pilot, removed, "what it wrote")
        assert "/made" in names(view)
        view.go(names(view).index("/bin"))
        await pilot.press("enter")
        await until(pilot, lambda: "/bin/arch" in names(view), "what it removed")
        node = view.tree_root.children and view.tree_root.children["bin"].children
        assert node and node["arch"].change == 2
        assert "written" in view.about


async def test_a_snapshot_is_taken_and_rolled_back_to(engine: EngineProcess, box: str) -> None:
    async with shown(engine, box, "changes") as pilot:
        await pilot.press("b")
        await until(pilot, lambda: isinstance(pilot.app.screen, Snapshots), "the dialog")
        dialog = pilot.app.screen
        assert isinstance(dialog, Snapshots)
        await pilot.press("n")
        await answer(pilot, "before")
        await until(pilot, lambda: dialog._rows, "the snapshot")
        engine.bay("exec", box, "sh", "-c", "echo spoilt > /made/greeting", check=True)
        engine.bay("kill", box, check=True)
        await pilot.press("r")
        await until(pilot, lambda: isinstance(pilot.app.screen, Ask), "the question")
        asked = pilot.app.screen
        assert isinstance(asked, Ask) and "~" in asked._question
        assert "/made/greeting" in asked._question and "0 removed" in asked._question
        await answer(pilot, "before")
        path = f"/bay/containers/{box}/files/content?path=/made/greeting"
        await until(pilot, lambda: engine.api("GET", path).body == b"hello\n", "the file as it was")
        await pilot.press("b")
        await answer(pilot, f"{box}-then")
        listed = lambda: engine.bay("ps", "-aq", "--filter", f"name={box}-then").stdout  # noqa: E731
        await until(pilot, listed, "the branch")
        await pilot.press("d")
        await answer(pilot, "before")
        await until(pilot, lambda: not dialog._rows, "no snapshot")
        engine.bay("rm", f"{box}-then", check=True)
        engine.bay("start", box, check=True)


async def test_layers_say_what_each_wrote(engine: EngineProcess, box: str) -> None:
    async with shown(engine, box, "layers") as pilot:
        view = app_of(pilot).main.detail.content
        assert isinstance(view, LayersTab)
        await until(pilot, lambda: view.table.rows, "the layers")
        assert "wasted" in view.about
        await until(pilot, lambda: "/bin" in names(view.files), "the files of the largest")


async def test_the_host_view_maps_processes_to_containers(engine: EngineProcess, box: str) -> None:
    pid = engine.inspect(box)["State"]["Pid"]
    assert hostfacts.owner(pid) == engine.inspect(box)["Id"]
    async with shown(engine, box, "logs") as pilot:
        pilot.app.action_host()  # type: ignore[attr-defined] # a BayApp
        await until(pilot, lambda: isinstance(pilot.app.screen, HostView), "the view")
        view = pilot.app.screen
        assert isinstance(view, HostView)
        await until(pilot, lambda: view.facts.processes, "processes")
        await until(pilot, lambda: view.usage, "the engine's disk use")
        words = "\n".join("".join(text for text, _ in line) for line in view.lines(60))
        assert "cpu 0" in words and "build cache" in words and "answers" in words
        await pilot.press("escape")
        await until(pilot, lambda: pilot.app.screen is not view, "the way back")
