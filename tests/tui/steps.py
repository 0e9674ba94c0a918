"""What the screen's tests do again and again: wait for a fact, go to a row, read the screen."""

from __future__ import annotations

import time
from collections.abc import Callable

from bayplan.tui.app import BayApp
from bayplan.tui.model import container_name
from textual.pilot import Pilot


async def until(
    pilot: Pilot[None], fact: Callable[[], object], what: str, limit: float = 240
) -> None:
    """Let the app work until `fact()` is true. Raises AssertionError naming `what`."""
    deadline = time.monotonic() + limit
    while not fact():
        assert time.monotonic() < deadline, f"{what}: not so after {limit:.0f} s\n{screen(pilot)}"
        await pilot.pause(0.02)
    await pilot.pause()


def app_of(pilot: Pilot[None]) -> BayApp:
    """The pilot's app, as what it is."""
    assert isinstance(pilot.app, BayApp)
    return pilot.app


def screen(pilot: Pilot[None]) -> str:
    """What is on the screen, as text."""
    lines = pilot.app.screen._compositor.render_strips()
    return "\n".join("".join(segment.text for segment in strip) for strip in lines)


async def connected(pilot: Pilot[None]) -> None:
    """Wait until the lists and the samples are there."""
    model = app_of(pilot).main.model
    await until(pilot, lambda: model.link == "up", "a link to the engine")


async def go_to(pilot: Pilot[None], name: str) -> None:
    """Put the containers' cursor on `name`."""
    main = app_of(pilot).main
    table = main.table("containers")

    def place() -> int:
        names = {one["Id"]: container_name(one) for one in main.model.containers}
        return next((n for n, row in enumerate(table.rows) if names.get(row.id) == name), -1)

    await until(pilot, lambda: place() >= 0, f"{name} in the list")
    table.go(place())
    await pilot.pause()


def text_of(lines: list[str]) -> str:
    """Lines as one text."""
    return "\n".join(lines)
