"""The screen over a real sshd: one login for all its connections, and why there is none."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from bayplan.client.hosts import parse_host
from bayplan.tui import fleet
from bayplan.tui.app import BayApp
from bayplan.tui.dialing import Dialer
from bayplan.tui.widgets.shell import Shell
from steps import app_of, go_to, screen, until
from support.engine import BAY, EngineProcess
from support.sshd import Sshd

pytestmark = pytest.mark.usefixtures("stillness")
LIMIT = 240.0


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Sshd]:
    """An sshd whose users find `bay`."""
    folder = tmp_path_factory.mktemp("ssh")
    programs = folder / "programs"
    programs.mkdir()
    (programs / "bay").symlink_to(BAY)
    made = Sshd(folder, f"{programs}:/usr/bin:/bin")
    try:
        yield made
    finally:
        made.close()


@pytest.fixture
def state(server: Sshd, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """The folder of this test's shared logins, which end with it."""
    folder = Path("/tmp") / f"bt-s{os.getpid()}"
    monkeypatch.setenv("XDG_STATE_HOME", str(folder))
    monkeypatch.setenv("PATH", f"{server.client_path}:{os.environ['PATH']}")
    yield folder
    for socket in folder.glob("bay/ssh/*"):
        argv = ["ssh", "-o", f"ControlPath={socket}", "-O", "exit", "any"]
        subprocess.run(argv, capture_output=True, check=False)
    subprocess.run(["rm", "-rf", str(folder)], check=True)


def address(server: Sshd, engine: EngineProcess, user: str = "root") -> str:
    return f"ssh://{user}@127.0.0.1:{server.port}{engine.socket}"


def logins(server: Sshd) -> int:
    return (server.folder / "log").read_text(errors="replace").count("Accepted publickey")


async def test_one_login_carries_lists_logs_and_a_shell(
    server: Sshd, state: Path, engine: EngineProcess
) -> None:
    name = f"ssh-{os.getpid()}"
    engine.bay("run", "-d", "--name", name, "starter", "sh", "-c", "echo begun; exec sleep 999",
               check=True)  # fmt: skip
    before = logins(server)
    try:
        app = BayApp(Dialer(parse_host(address(server, engine))))
        async with app.run_test(size=(120, 36)) as pilot:
            await until(pilot, lambda: app.main.model.link == "up", "a link", LIMIT)
            await go_to(pilot, name)
            await until(pilot, lambda: "begun" in screen(pilot), "its log", LIMIT)
            # What else is opened at the beginning has its own connection.
            model = app.main.model
            await until(pilot, lambda: model.samples and model.events, "samples, events", LIMIT)
            after = logins(server)
            await pilot.press("e")
            shell = app.main.query_one(Shell)
            await until(pilot, lambda: shell.has_focus and "#" in screen(pilot), "a prompt", LIMIT)
            await pilot.press(*"echo", "space", *"$((6*7))", "enter")
            await until(pilot, lambda: "42" in screen(pilot), "the answer", LIMIT)
            # What was opened at the same moment logged in beside the first; nothing after it.
            assert logins(server) == after
            assert after - before <= 2
    finally:
        engine.bay("rm", "-f", name)


async def test_beside_a_local_host_and_one_that_refuses(
    server: Sshd, state: Path, engine: EngineProcess
) -> None:
    """The reason ssh gave stands in the screen, not over it."""
    given = [engine.host, address(server, engine), address(server, engine, "nobody")]
    places = fleet.named([(f"h{n}", f"h{n}", parse_host(one)) for n, one in enumerate(given)])
    app = BayApp(places[0].dialer, places=places)
    async with app.run_test(size=(120, 36)) as pilot:
        stations = app_of(pilot).main.stations  # type: ignore[attr-defined]  # a FleetScreen
        await until(pilot, lambda: stations[0].up and stations[1].up, "two links", LIMIT)
        await until(pilot, lambda: "Permission denied" in stations[2].reason, "the reason", LIMIT)
        await until(pilot, lambda: "Permission denied" in screen(pilot), "it is seen", LIMIT)
        assert stations[2].health[1] == "lost"
