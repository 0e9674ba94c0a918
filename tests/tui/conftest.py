"""The screen's tests: nothing blinks, moves or depends on where and when they run."""

from __future__ import annotations

import asyncio
import tempfile
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from replay import Replay


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
            asyncio.run_coroutine_threadsafe(server.stop(), loop).result(10)
            loop.call_soon_threadsafe(loop.stop)
            thread.join()
            loop.close()
