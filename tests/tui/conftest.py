"""The screen's tests: nothing blinks, moves or depends on where and when they run."""

from __future__ import annotations

import asyncio
import tempfile
import threading
import time
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import pytest
from bayplan.tui import keyqueue
from bayplan.tui.app import BayApp
from bayplan.tui.widgets import logs
from replay import Replay
from textual.app import App
from textual.pilot import Pilot
from textual.worker import WorkerState


@pytest.fixture(autouse=True)
def stillness(monkeypatch: pytest.MonkeyPatch) -> None:
    """One terminal, one time zone, whatever the machine has."""
    for name in ("NO_COLOR", "BAY_THEME", "BAY_HOST", "COLORTERM", "TMUX", "STY"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("TERM", "xterm-256color")
    monkeypatch.setenv("LANG", "C.UTF-8")
    monkeypatch.setenv("TZ", "UTC")
    time.tzset()
    # Textual has read its environment when it was imported.
    monkeypatch.setattr("textual.constants.TEXTUAL_ANIMATIONS", "none")
    # A pilot goes on when the process uses little time of the processor, which on a busy machine
    # it does in the middle of its work, too: here, when nothing is under way any more.
    monkeypatch.setattr(keyqueue, "PATIENCE", 60.0)
    # The recorded logs never end: not one is given up, however long a test takes.
    monkeypatch.setattr(logs, "PATIENCE", 3600.0)
    press, pause = App._press_keys, Pilot.pause

    async def pressed(self: App[Any], keys: Iterable[str]) -> None:
        for key in keys:
            await press(self, [key])
            await at_rest(self)

    async def paused(self: Pilot[Any], delay: float | None = None) -> None:
        await pause(self, delay)
        await at_rest(self.app)
        if self.app._screen_stack:
            self.app.screen._on_timer_update()

    monkeypatch.setattr(App, "_press_keys", pressed)
    monkeypatch.setattr(Pilot, "pause", paused)


async def at_rest(app: App[Any]) -> None:
    """Wait until no key is under way, no part of the screen has a message to look at, and the
    detail and its log show what the cursor is on."""
    end, calm, looks = time.monotonic() + 60, 0, 0
    while calm < 3 and time.monotonic() < end and app._screen_stack and not app._exit:
        await asyncio.sleep(0 if looks < 50 else 0.002)
        looks += 1
        calm = calm + 1 if _is_at_rest(app) else 0


def _is_at_rest(app: App[Any]) -> bool:
    if getattr(app, "_typist", None) is not None or not app._screen_stack:
        return False
    if any(worker.state is WorkerState.PENDING for worker in app.workers):
        return False
    if isinstance(app, BayApp) and app.main.is_mounted:
        detail = app.main.detail
        if detail._pause is not None or detail.query_one(logs.Logs)._paint is not None:
            return False
    pumps = [app, *app.screen.walk_children(with_self=True)]
    return all(one._message_queue.empty() and not one._next_callbacks for one in pumps)


@pytest.fixture
def replay() -> Iterator[Replay]:
    """A recorded engine on a socket, served by a thread: the app owns the test's loop."""
    loop = asyncio.new_event_loop()
    with tempfile.TemporaryDirectory(prefix="bt-", dir="/tmp") as folder:
        server = Replay(Path(folder) / "bay.sock")
        loop.run_until_complete(server.start())
        thread = threading.Thread(target=loop.run_forever)
        thread.start()
        try:
            yield server
        finally:
            asyncio.run_coroutine_threadsafe(server.stop(), loop).result(120)
            loop.call_soon_threadsafe(loop.stop)
            thread.join()
            loop.close()
