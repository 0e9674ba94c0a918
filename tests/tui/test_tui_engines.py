"""The same screen on a dockerd and on a podman: every tab, the actions, what only ours has."""

from __future__ import annotations

import contextlib
import itertools
import json
import os
import subprocess
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager
from typing import Any

import pytest
from bayplan.client.hosts import parse_host
from bayplan.tui import tabs
from bayplan.tui.app import BayApp
from bayplan.tui.dialing import Dialer
from bayplan.tui.screens.confirm import Confirm
from bayplan.tui.screens.form import FormDialog
from bayplan.tui.screens.prune import Prune
from bayplan.tui.screens.run import Run
from bayplan.tui.widgets.shell import Shell
from steps import app_of, connected, go_to, screen, until
from support.dockerd import dockerd
from support.podmanapi import podman_api
from textual.pilot import Pilot
from textual.widgets import Input

pytestmark = pytest.mark.usefixtures("stillness")
LIMIT = 240.0
LOOP = "echo begun; i=0; while true; do i=$((i+1)); echo line $i; sleep 1; done"
_NUMBERS = itertools.count()


class Peer:
    """Somebody else's engine behind a socket, worked by the docker command."""

    def __init__(self, kind: str, socket: object, image: str) -> None:
        self.kind = kind
        self.address = f"unix://{socket}"
        self.image = image

    def __call__(self, *words: str) -> str:
        argv = ["docker", "-H", self.address, *words]
        done = subprocess.run(argv, capture_output=True, text=True, check=False)
        assert done.returncode == 0, f"{words}\n{done.stdout}{done.stderr}"
        return done.stdout.strip()

    def state(self, name: str) -> str:
        return str(json.loads(self("inspect", name))[0]["State"]["Status"])


@pytest.fixture(scope="module", params=["docker", "podman"])
def peer(request: pytest.FixtureRequest) -> Iterator[Peer]:
    """The engine; with busybox, and no network but its own loopback."""
    with contextlib.ExitStack() as stack:
        if request.param == "docker":
            made = stack.enter_context(dockerd(["unshare", "--net"], "busybox:1"))
            found = Peer("docker", made.socket, "busybox:1")
        else:
            service = stack.enter_context(podman_api("busybox:1"))
            found = Peer("podman", service.socket, "localhost/busybox:1")
        yield found
        ids = found("ps", "-aq").split()
        if ids:
            found("rm", "-f", *ids)


@pytest.fixture
def box(peer: Peer) -> str:
    """A running container that writes a line a second; its module's engine ends it."""
    name = f"box-{os.getpid()}-{next(_NUMBERS)}"
    peer("create", "--name", name, "--network", "none", "--stop-signal", "KILL", "-e", "BAYTEST=1",
         peer("images", "-q").split()[0], "sh", "-c", LOOP)  # fmt: skip
    peer("start", name)
    return name


@asynccontextmanager
async def shown(peer: Peer, on: str) -> AsyncIterator[Pilot[None]]:
    app = BayApp(Dialer(parse_host(peer.address)))
    async with app.run_test(size=(120, 36), notifications=True) as pilot:
        await connected(pilot)
        await go_to(pilot, on)
        yield pilot


async def becomes(pilot: Pilot[None], fact: Callable[[], object], what: str) -> None:
    await until(pilot, fact, what, LIMIT)


async def shows(pilot: Pilot[None], words: str) -> None:
    await becomes(pilot, lambda: words in screen(pilot), words)


def known(pilot: Pilot[None], name: str) -> str:
    """The state of a container as the screen knows it; "" while it does not."""
    found = [one for one in app_of(pilot).main.model.containers if f"/{name}" in one["Names"]]
    return str(found[0]["State"]) if found else ""


async def test_every_tab_is_filled_or_says_why_not(peer: Peer, box: str) -> None:
    expected = {
        "logs": "line 1",
        "shell": "open a shell in",
        "stats": "processes",
        "inspect": "State",
        "files": "cannot read files without",
        "changes": "",
        "layers": "",
        "processes": "sleep",
        "env": "BAYTEST",
        "ports": "publishes no port",
        "health": "no health check",
        "happened": "start",
    }
    async with shown(peer, box) as pilot:
        main = app_of(pilot).main
        called = {"docker": "Docker", "podman": "Podman"}[peer.kind]
        assert tabs.engine_name(main.model.version).startswith(called)
        for tab in tabs.TABS["containers"]:
            main.action_tab(tab)
            await becomes(
                pilot,
                lambda tab=tab: main.detail.tab == tab and expected[tab] in screen(pilot),
                tab,
            )
            assert "Traceback" not in screen(pilot)
        # Of a container of docker's the tab is grey; what else is asked for is the engine's.
        main.action_tab("layers")
        await becomes(pilot, lambda: "1 layer" in screen(pilot), "the layers of the image")
        main.action_tab("changes")
        await main.run_action("tab('changes')")
        changes: Any = main.detail.content
        await becomes(
            pilot, lambda: main.model.container(changes._target), "whose changes they are"
        )
        pilot.app.NOTIFICATION_TIMEOUT = LIMIT  # a busy machine may not show it within five seconds
        changes.action_snapshots()
        await shows(pilot, "takes no snapshots")
        await pilot.press("escape", "escape", "2")
        for tab in tabs.TABS["images"]:
            main.action_tab(tab)
            words = "cannot read files" if tab == "files" else ""
            await becomes(pilot, lambda words=words: words in screen(pilot), tab)
        await pilot.press("escape", "H")
        await shows(pilot, f"engine  {called}")


async def test_what_is_done_to_a_container_is_done(peer: Peer, box: str) -> None:
    async with shown(peer, box) as pilot:
        main = app_of(pilot).main
        for key, wanted in (("s", "exited"), ("u", "running"), ("p", "paused"), ("p", "running")):
            await pilot.press(key)
            await becomes(
                pilot, lambda wanted=wanted: known(pilot, box) == wanted, f"{key} {wanted}"
            )
            await becomes(pilot, lambda: not main.model.busy, f"the end of {key}")
        began = json.loads(peer("inspect", box))[0]["State"]["StartedAt"]
        await pilot.press("r")
        await becomes(
            pilot,
            lambda: json.loads(peer("inspect", box))[0]["State"]["StartedAt"] != began,
            "a restart",
        )
        await becomes(pilot, lambda: known(pilot, box) == "running", "what it came to")
        await pilot.press("R")
        await becomes(pilot, lambda: isinstance(pilot.app.screen, FormDialog), "the form")
        pilot.app.screen.query_one("#form-name", Input).value = f"{box}-new"
        await pilot.press("enter")
        await becomes(pilot, lambda: known(pilot, f"{box}-new"), "the new name")
        await pilot.press("ctrl+k")
        await becomes(pilot, lambda: isinstance(pilot.app.screen, Confirm), "the question")
        await pilot.press("y")
        await becomes(pilot, lambda: known(pilot, f"{box}-new") == "exited", "a kill")
        await pilot.press("d")
        await becomes(pilot, lambda: isinstance(pilot.app.screen, Confirm), "the question")
        await pilot.press("y")
        await becomes(pilot, lambda: not known(pilot, f"{box}-new"), "its removal")


async def test_a_shell_and_an_attach(peer: Peer, box: str) -> None:
    async with shown(peer, box) as pilot:
        main = app_of(pilot).main
        await pilot.press("e")
        await becomes(pilot, lambda: main.query_one(Shell).session, "a session")
        await becomes(pilot, lambda: main.shell.has_focus and "#" in screen(pilot), "a prompt")
        await pilot.press(*"echo", "space", *"$((6*7))", "enter")
        await shows(pilot, "42")
        # The program that runs on is ended with the tab, where the engine can; else that is said.
        await pilot.press("ctrl+right_square_bracket")
        await pilot.press("a")
        await becomes(pilot, lambda: getattr(main.query_one(Shell).session, "kind", "") == "attach",
                      "an attach")  # fmt: skip
        await shows(pilot, "line")
        await pilot.press("ctrl+right_square_bracket")
        await becomes(pilot, lambda: known(pilot, box) == "running", "the container as it was")


async def test_an_image_a_volume_and_a_run(peer: Peer, box: str) -> None:
    async with shown(peer, box) as pilot:
        main = app_of(pilot).main
        await pilot.press("M")
        await becomes(pilot, lambda: isinstance(pilot.app.screen, FormDialog), "the form")
        pilot.app.screen.query_one("#form-image", Input).value = "made:1"
        await pilot.press("enter")
        table = main.table("images")
        await becomes(
            pilot, lambda: any("made:1" in row.text for row in table.rows), "the new image"
        )
        await pilot.press("4", "n")
        await becomes(pilot, lambda: isinstance(pilot.app.screen, FormDialog), "the form")
        pilot.app.screen.query_one("#form-name", Input).value = f"{box}-v"
        await pilot.press("enter")
        await becomes(
            pilot, lambda: any(one["Name"] == f"{box}-v" for one in main.model.volumes), "a volume"
        )
        await pilot.press("u")
        await becomes(
            pilot,
            lambda: not any(one["Name"] == f"{box}-v" for one in main.model.volumes),
            "its undoing",
        )
        await pilot.press("1", "n")
        await becomes(pilot, lambda: isinstance(pilot.app.screen, Run), "the form")
        pilot.app.screen.query_one("#run-image", Input).value = peer.image
        pilot.app.screen.query_one("#run-name", Input).value = f"{box}-run"
        pilot.app.screen.query_one("#run-command", Input).value = "sleep 99"
        await pilot.pause()
        await pilot.press("ctrl+r")
        await becomes(
            pilot,
            lambda: known(pilot, f"{box}-run") or "failed" in screen(pilot),
            "a container, or why there is none",
        )


async def test_a_clean_up_leaves_what_is_used(peer: Peer, box: str) -> None:
    ended = f"{box}-ended"
    image = peer("images", "-q").split()[0]
    peer("create", "--name", ended, "--network", "none", image, "true")
    async with shown(peer, box) as pilot:
        await pilot.press("X")
        await becomes(pilot, lambda: isinstance(pilot.app.screen, Prune), "what would go")
        wastes = pilot.app.screen._wastes
        found = {name for one in wastes for _, name, _ in one.items}
        assert ended in found and peer.image not in found
        await pilot.press("y")
        await shows(pilot, "freed")
        await becomes(pilot, lambda: not known(pilot, ended), "its end")
        assert known(pilot, box) == "running"
