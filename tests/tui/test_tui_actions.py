"""Every action of the screen, by its keys, on a real engine."""

from __future__ import annotations

import itertools
import os
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from bayplan.client.hosts import parse_host
from bayplan.tui.app import BayApp
from bayplan.tui.dialing import Dialer
from bayplan.tui.screens.building import Building
from bayplan.tui.screens.confirm import Confirm
from bayplan.tui.screens.form import FormDialog
from bayplan.tui.screens.run import Run
from bayplan.tui.widgets.shell import Shell
from steps import app_of, connected, go_to, screen, until
from support.engine import EngineProcess
from support.registry import Registry
from textual.pilot import Pilot
from textual.widgets import Input

pytestmark = pytest.mark.usefixtures("stillness")
_NUMBERS = itertools.count()
LIMIT = 240.0  # seconds that a busy machine may need for what is instant on an idle one


@pytest.fixture
def name() -> str:
    """A name nobody else has."""
    return f"act-{os.getpid()}-{next(_NUMBERS)}"


@pytest.fixture
def box(engine: EngineProcess, name: str) -> Iterator[str]:
    """A running container."""
    engine.bay(
        *("run", "-d", "--name", name, "--stop-signal", "KILL", "starter", "sleep", "9999"),
        check=True,
    )
    yield name
    engine.bay("rm", "-f", name)


@asynccontextmanager
async def shown(engine: EngineProcess, on: str = "") -> AsyncIterator[Pilot[None]]:
    """The app on the engine, its cursor on the container `on`."""
    app = BayApp(Dialer(parse_host(engine.host)))
    async with app.run_test(size=(120, 36), notifications=True) as pilot:
        await connected(pilot)
        if on:
            await go_to(pilot, on)
        yield pilot


async def becomes(pilot: Pilot[None], fact: Callable[[], object], what: str) -> None:
    await until(pilot, fact, what, LIMIT)


def state(engine: EngineProcess, name: str) -> str:
    return str(engine.inspect(name)["State"]["Status"])


def known(pilot: Pilot[None], name: str) -> dict[str, Any]:
    """The container as the screen knows it; empty while it does not."""
    found = [one for one in app_of(pilot).main.model.containers if f"/{name}" in one["Names"]]
    return found[0] if found else {}


def networks_of(pilot: Pilot[None], name: str) -> dict[str, Any]:
    """The networks of the container as the screen knows it."""
    return dict(known(pilot, name).get("NetworkSettings", {}).get("Networks") or {})


async def fill(pilot: Pilot[None], field: str, text: str) -> None:
    """Type `text` into a field of the form that is open."""
    await becomes(pilot, lambda: isinstance(pilot.app.screen, (FormDialog, Run)), "the form")
    pilot.app.screen.query_one(f"#{field}", Input).value = text
    await pilot.pause()


async def on_row(pilot: Pilot[None], kind: str, words: str) -> None:
    """Go to the row of a list that has `words`."""
    table = app_of(pilot).main.table(kind)

    def place() -> int:
        return next((n for n, row in enumerate(table.rows) if words in row.text), -1)

    await becomes(pilot, lambda: place() >= 0, f"{words} in {kind}")
    table.go(place())
    await pilot.pause()


# --- containers


async def test_stop_undo_restart_pause_and_kill(engine: EngineProcess, box: str) -> None:
    async with shown(engine, box) as pilot:
        await pilot.press("s")
        await becomes(pilot, lambda: known(pilot, box).get("State") == "exited", "a stop")
        await pilot.press("u")
        await becomes(pilot, lambda: known(pilot, box).get("State") == "running", "its undoing")
        began = engine.inspect(box)["State"]["StartedAt"]
        await pilot.press("r")
        await becomes(
            pilot, lambda: engine.inspect(box)["State"]["StartedAt"] != began, "a restart"
        )
        await becomes(pilot, lambda: not app_of(pilot).main.model.busy, "its end")
        # The list is read again a moment after the answer: what was "exited" cannot be paused.
        await becomes(pilot, lambda: known(pilot, box).get("State") == "running", "what it came to")
        await pilot.press("p")
        await becomes(pilot, lambda: known(pilot, box).get("State") == "paused", "a pause")
        await pilot.press("p")
        await becomes(pilot, lambda: known(pilot, box).get("State") == "running", "its end")
        await pilot.press("ctrl+k")
        await becomes(pilot, lambda: isinstance(pilot.app.screen, Confirm), "the question")
        await pilot.press("y")
        await becomes(pilot, lambda: state(engine, box) == "exited", "a kill")
        await becomes(pilot, lambda: known(pilot, box).get("State") == "exited", "that it is known")
        await pilot.press("S")
        await becomes(pilot, lambda: state(engine, box) == "running", "a start")


async def test_what_cannot_be_done_now_is_said(engine: EngineProcess, box: str) -> None:
    """A key that does nothing leaves its user wondering."""
    async with shown(engine, box) as pilot:
        await pilot.press("s")
        await becomes(pilot, lambda: known(pilot, box).get("State") == "exited", "a stop")
        await pilot.press("p")
        await becomes(pilot, lambda: f"{box} is exited: nothing to pause." in screen(pilot), "why")


async def test_rename_and_its_undoing(engine: EngineProcess, box: str) -> None:
    async with shown(engine, box) as pilot:
        await pilot.press("R")
        await fill(pilot, "form-name", f"{box}-new")
        assert f"bay rename {box} {box}-new" in screen(pilot)
        await pilot.press("enter")
        await becomes(pilot, lambda: known(pilot, f"{box}-new"), "the new name")
        await pilot.press("u")
        await becomes(pilot, lambda: known(pilot, box), "the old one")


async def test_a_name_that_is_taken_is_refused_in_the_engine_s_words(
    engine: EngineProcess, box: str
) -> None:
    engine.bay("create", "--name", f"{box}-b", "starter", check=True)
    try:
        async with shown(engine, box) as pilot:
            await pilot.press("R")
            await fill(pilot, "form-name", f"{box}-b")
            await pilot.press("enter")
            await becomes(pilot, lambda: "already in use" in screen(pilot), "the sentence")
    finally:
        engine.bay("rm", f"{box}-b")


async def test_commit_tag_and_removal_of_an_image(engine: EngineProcess, box: str) -> None:
    async with shown(engine, box) as pilot:
        await pilot.press("M")
        await fill(pilot, "form-image", f"{box}:made")
        await pilot.press("enter")
        await pilot.press("2")
        await on_row(pilot, "images", f"{box}:made")
        await pilot.press("T")
        await fill(pilot, "form-name", f"{box}:more")
        await pilot.press("enter")
        await on_row(pilot, "images", f"{box}:more")
        for tag in ("more", "made"):
            await on_row(pilot, "images", f"{box}:{tag}")
            await pilot.press("d")
            await becomes(pilot, lambda: isinstance(pilot.app.screen, Confirm), "the question")
            await pilot.press("y")
            table = app_of(pilot).main.table("images")
            await becomes(
                pilot,
                lambda tag=tag, table=table: not any(f"{box}:{tag}" in r.text for r in table.rows),
                f"{tag} gone",
            )


async def test_remove_a_running_container_by_force(engine: EngineProcess, box: str) -> None:
    async with shown(engine, box) as pilot:
        await pilot.press("d")
        await becomes(pilot, lambda: isinstance(pilot.app.screen, Confirm), "the question")
        assert "still runs" in screen(pilot)
        await pilot.press("n")
        await becomes(pilot, lambda: len(pilot.app.screen_stack) == 1, "no question any more")
        assert state(engine, box) == "running"
        await pilot.press("d")
        await becomes(pilot, lambda: isinstance(pilot.app.screen, Confirm), "the question again")
        await pilot.press("y")
        await becomes(pilot, lambda: not known(pilot, box), "its end")


async def test_a_command_is_run_in_a_terminal(engine: EngineProcess, box: str) -> None:
    async with shown(engine, box) as pilot:
        main = app_of(pilot).main
        await main.run_action("ask('execute')")
        await fill(pilot, "form-command", "echo said-$((6*7))")
        pilot.app.screen.query_one("#form-command", Input).value = "sh -c 'echo said-$((6*7)); cat'"
        await pilot.press("enter")
        await becomes(pilot, lambda: "said-42" in screen(pilot), "what it says")
        assert main.query_one(Shell).session is not None


async def test_a_shell_in_a_tab_not_yet_laid_out_knows_its_size(
    engine: EngineProcess, box: str
) -> None:
    """A fast program writes before the layout: in other columns its lines would stay torn."""
    async with shown(engine, box) as pilot:
        main = app_of(pilot).main
        shell = main.shell
        main.detail.open("shell")
        assert not shell.size
        expected = shell.room
        await becomes(pilot, lambda: shell.size, "the layout")
        assert expected == shell.size


async def test_a_container_is_run_from_an_image(engine: EngineProcess, name: str) -> None:
    try:
        async with shown(engine) as pilot:
            await pilot.press("2")
            await on_row(pilot, "images", "starter:latest")
            await pilot.press("n")
            await fill(pilot, "run-name", name)
            await fill(pilot, "run-command", "sleep 999")
            assert f"bay run -d --name {name} starter:latest sleep 999" in screen(pilot)
            await pilot.press("ctrl+r")
            await becomes(pilot, lambda: known(pilot, name).get("State") == "running", "it")
    finally:
        engine.bay("rm", "-f", name)


# --- networks and volumes


async def test_a_network_is_created_connected_left_and_removed(
    engine: EngineProcess, box: str
) -> None:
    net = f"{box}-net"
    async with shown(engine, box) as pilot:
        main = app_of(pilot).main
        await pilot.press("3", "n")
        await fill(pilot, "form-name", net)
        await pilot.press("enter")
        await on_row(pilot, "networks", net)
        await pilot.press("1")
        await go_to(pilot, box)
        identifier = next(one["Id"] for one in main.model.networks if one["Name"] == net)
        await main.run_action("ask('connect')")
        await becomes(pilot, lambda: isinstance(pilot.app.screen, FormDialog), "the form")
        pilot.app.screen.query_one("#form-network").value = identifier  # type: ignore[attr-defined]
        await pilot.press("ctrl+r")
        await becomes(pilot, lambda: net in networks_of(pilot, box), "a connection")
        await main.run_action("ask('disconnect')")
        await becomes(pilot, lambda: isinstance(pilot.app.screen, FormDialog), "the form")
        pilot.app.screen.query_one("#form-network").value = identifier  # type: ignore[attr-defined]
        await pilot.press("ctrl+r")
        await becomes(pilot, lambda: net not in networks_of(pilot, box), "its end")
        await pilot.press("3")
        await on_row(pilot, "networks", net)
        await pilot.press("d")
        await becomes(pilot, lambda: isinstance(pilot.app.screen, Confirm), "the question")
        await pilot.press("y")
        await becomes(
            pilot, lambda: not any(one["Name"] == net for one in main.model.networks), "none"
        )


async def test_a_volume_is_created_and_undone(engine: EngineProcess, name: str) -> None:
    async with shown(engine) as pilot:
        main = app_of(pilot).main
        await pilot.press("4", "n")
        await fill(pilot, "form-name", name)
        await pilot.press("enter")
        await on_row(pilot, "volumes", name)
        await pilot.press("u")
        await becomes(
            pilot, lambda: not any(one["Name"] == name for one in main.model.volumes), "none"
        )


# --- projects


async def test_a_project_is_stopped_started_and_taken_down(
    engine: EngineProcess, name: str
) -> None:
    label = "com.docker.compose."
    for service, needs in (("web", "db:service_started:false"), ("db", "")):
        labels = {"project": name, "service": service, "depends_on": needs}
        words = [w for k, v in labels.items() for w in ("--label", f"{label}{k}={v}")]
        engine.bay(
            *("run", "-d", "--name", f"{name}-{service}", "--stop-signal", "KILL", *words),
            *("starter", "sleep", "9999"),
            check=True,
        )
    try:
        async with shown(engine) as pilot:
            await pilot.press("5")
            await on_row(pilot, "projects", name)
            both = (f"{name}-web", f"{name}-db")
            for key, wanted in (("s", "exited"), ("s", "running")):
                await pilot.press(key)
                await becomes(
                    pilot,
                    lambda wanted=wanted: all(known(pilot, n).get("State") == wanted for n in both),
                    wanted,
                )
                await becomes(pilot, lambda: not app_of(pilot).main.model.busy, "the end of it")
            await pilot.press("d")
            await becomes(pilot, lambda: isinstance(pilot.app.screen, Confirm), "the question")
            await pilot.press("y")
            await becomes(pilot, lambda: not any(known(pilot, n) for n in both), "the end")
    finally:
        for service in ("web", "db"):
            engine.bay("rm", "-f", f"{name}-{service}")


# --- long work


async def test_an_image_goes_to_a_file_and_comes_back(
    engine: EngineProcess, name: str, tmp_path: Path
) -> None:
    engine.bay("tag", "starter", f"{name}:1", check=True)
    file = tmp_path / "image.tar"
    try:
        async with shown(engine) as pilot:
            await pilot.press("2")
            await on_row(pilot, "images", f"{name}:1")
            await pilot.press("W")
            await fill(pilot, "form-file", str(file))
            await pilot.press("enter")
            await becomes(pilot, file.exists, "the file")
            assert not list(tmp_path.glob(".*.part"))
            await becomes(pilot, lambda: len(pilot.app.screen_stack) == 1, "the dialog gone")
            engine.bay("rmi", f"{name}:1", check=True)
            await pilot.press("L")
            await fill(pilot, "form-file", str(file))
            await pilot.press("enter")
            await on_row(pilot, "images", f"{name}:1")
    finally:
        engine.bay("rmi", f"{name}:1")


async def test_an_image_is_pushed_and_pulled(
    engine: EngineProcess, registry: Registry, name: str
) -> None:
    reference = f"{registry.address}/{name}:1"
    engine.bay("tag", "starter", reference, check=True)
    try:
        async with shown(engine) as pilot:
            main = app_of(pilot).main
            await pilot.press("2")
            await on_row(pilot, "images", reference)
            await pilot.press("P", "enter")
            await becomes(pilot, lambda: "Pushed" in screen(pilot), "the push")
            await becomes(pilot, lambda: not main.jobs, "its end")
            engine.bay("rmi", reference, check=True)
            await becomes(
                pilot,
                lambda: not any(reference in r.text for r in main.table("images").rows),
                "the image gone",
            )
            await main.pull(reference).wait()
            await on_row(pilot, "images", reference)
    finally:
        engine.bay("rmi", reference)


async def test_a_build_that_fails_shows_its_line_and_one_that_does_not_its_image(
    engine: EngineProcess, name: str, tmp_path: Path
) -> None:
    file = tmp_path / "Dockerfile"
    file.write_text("FROM starter\nRUN echo first\nRUN echo why-it-failed && exit 7\n")
    try:
        async with shown(engine) as pilot:
            await pilot.press("2", "b")
            await fill(pilot, "form-folder", str(tmp_path))
            await fill(pilot, "form-tag", f"{name}:1")
            await pilot.press("enter")
            await becomes(pilot, lambda: "non-zero code: 7" in screen(pilot), "the error")
            assert isinstance(pilot.app.screen, Building)
            assert "▸   3 RUN echo why-it-failed" in screen(pilot)
            assert pilot.app.screen.build_job.failed_line == 3
            await pilot.press("escape")
            file.write_text("FROM starter\nRUN echo first\n")
            await pilot.press("b")
            await fill(pilot, "form-folder", str(tmp_path))
            await fill(pilot, "form-tag", f"{name}:1")
            await pilot.press("enter")
            await becomes(pilot, lambda: f"Built {name}:1" in screen(pilot), "the image")
            await pilot.press("escape")
            await on_row(pilot, "images", f"{name}:1")
    finally:
        engine.bay("rmi", f"{name}:1")


async def test_a_stage_that_another_ended_has_not_failed(
    engine: EngineProcess, name: str, tmp_path: Path
) -> None:
    """The cursor is at the step at fault; its line is shown in the file, and the way leads back."""
    lines = ["FROM starter AS a", "RUN sleep 600", "FROM starter AS b", "RUN echo at-fault; exit 7"]
    text = "\n".join([*lines, "FROM a", "COPY --from=b / /b", *["RUN true"] * 30])
    (tmp_path / "Dockerfile").write_text(text)
    async with shown(engine) as pilot:
        await pilot.press("2", "b")
        await fill(pilot, "form-folder", str(tmp_path))
        await fill(pilot, "form-tag", f"{name}:1")
        await pilot.press("enter")
        await becomes(pilot, lambda: "non-zero code: 7" in screen(pilot), "the error")
        building = pilot.app.screen
        assert isinstance(building, Building)
        states = {one.line: one.state for one in building.build_job.steps.values()}
        assert states[4] == "failed" and states[2] == "stopped", states
        await becomes(pilot, lambda: "│  at-fault" in screen(pilot), "what the step said")
        await pilot.press("v")
        await becomes(pilot, lambda: "▸   4 RUN echo at-fault" in screen(pilot), "the file")
        assert "FROM starter AS a" in screen(pilot)
        await pilot.press("escape")
        await becomes(pilot, lambda: isinstance(pilot.app.screen, Building), "the build again")
        await pilot.press("escape")


async def test_a_build_is_cancelled(engine: EngineProcess, name: str, tmp_path: Path) -> None:
    (tmp_path / "Dockerfile").write_text(f"FROM starter\nRUN echo {name}; sleep 600\n")
    async with shown(engine) as pilot:
        main = app_of(pilot).main
        await pilot.press("2", "b")
        await fill(pilot, "form-folder", str(tmp_path))
        await fill(pilot, "form-tag", f"{name}:1")
        await pilot.press("enter")
        await becomes(pilot, lambda: "▸" in screen(pilot) and name in screen(pilot), "its step")
        await pilot.press("ctrl+x")
        await becomes(pilot, lambda: not main.jobs, "its end")
        containers = lambda: engine.bay("ps", "-a", "--format", "{{.Command}}").stdout  # noqa: E731
        await becomes(pilot, lambda: name not in containers(), "nothing left of it")
