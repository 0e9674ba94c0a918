"""Screenshots of the app over a real engine with real containers, into screenshots/."""

from __future__ import annotations

import asyncio
import os
import re
import subprocess
import sys
import tempfile
import time
from collections.abc import Awaitable, Callable
from pathlib import Path

from bayplan.client.hosts import parse_host
from bayplan.tui.app import BayApp
from bayplan.tui.dialing import Dialer

OUT = Path(__file__).parent.parent / "screenshots"
BAY = Path(sys.executable).with_name("bay")
LOOP = "i=0; while :; do i=$((i+1)); {}; sleep {}; done"
BUSY = "j=0; while [ $j -lt {} ]; do j=$((j+1)); done"
CONTAINERS = {
    "web": LOOP.format(
        "echo GET /orders/$i 200 $((i*7%90))ms; " + BUSY.format("$((i*i%7*9000))"), "0.4"
    ),
    "api": LOOP.format("echo request $i done; " + BUSY.format(20000), "0.7"),
    "worker": "dd if=/dev/zero of=/dev/shm/cache bs=1M count=24 2>/dev/null; "
    + LOOP.format("echo job $i finished; " + BUSY.format(60000), "0.3"),
    "cache": LOOP.format("echo $i keys", "2"),
    "migrate": "echo column missing: orders.paid_at >&2; exit 3",
    "backup": LOOP.format("echo copied block $i", "1"),
}
HISTORY_SECONDS = 30


def text_of(app: BayApp) -> str:
    """What the screen shows, without the drawing."""
    svg = app.export_screenshot()
    return re.sub(r"<[^>]+>", "", svg).replace("&#160;", " ")


class Stage:
    """One app on a screen of a size, driven by keys."""

    def __init__(self, app: BayApp, pilot: object) -> None:
        self.app = app
        self.pilot = pilot

    async def until(self, words: str, timeout: float = 20) -> None:
        """Wait until the screen shows `words`."""
        deadline = time.monotonic() + timeout
        while words not in text_of(self.app):
            if time.monotonic() > deadline:
                raise SystemExit(f"the screen never showed {words!r}")
            await asyncio.sleep(0.1)

    async def press(self, *keys: str) -> None:
        await self.pilot.press(*keys)  # type: ignore[attr-defined]

    def save(self, name: str) -> None:
        self.app.save_screenshot(f"{name}.svg", path=str(OUT))
        print(f"screenshots/{name}.svg")


async def shoot(host: str, size: tuple[int, int], play: Callable[[Stage], Awaitable[None]]) -> None:
    app = BayApp(Dialer(parse_host(host)), theme_name="bay-dark")
    async with app.run_test(size=size) as pilot:
        stage = Stage(app, pilot)
        await stage.until("worker")
        await play(stage)


def play_at(name: str) -> Callable[[Stage], Awaitable[None]]:
    async def play(stage: Stage) -> None:
        await stage.until("running")
        await asyncio.sleep(2)
        stage.save(name)

    return play


async def play_tabs(stage: Stage) -> None:
    await play_at("main-120x36")(stage)
    await stage.press("right_square_bracket", "right_square_bracket")
    await asyncio.sleep(1)
    stage.save("stats-120x36")
    await stage.press("i")
    await stage.until("OOMKilled")
    stage.save("inspect-120x36")
    await stage.press("escape", "e")
    await stage.until("#")
    await stage.press(*"ls", "space", "slash", "enter")
    await stage.until("proc")
    stage.save("shell-120x36")


def main() -> int:
    OUT.mkdir(exist_ok=True)
    folder = Path(tempfile.mkdtemp(prefix="bay-shots-", dir="/tmp"))
    run_root = folder / "run"
    os.environ.update(BAY_ROOT=str(folder / "root"), BAY_RUN_ROOT=str(run_root))

    def bay(*words: str) -> None:
        subprocess.run([BAY, *words], check=False, stdout=subprocess.DEVNULL)

    try:
        for name, script in CONTAINERS.items():
            bay("run", "-d", "--name", name, "--hostname", name, "starter", "sh", "-c", script)
        bay("pause", "backup")
        print(f"{HISTORY_SECONDS} s of history for the sparklines")
        time.sleep(HISTORY_SECONDS)
        host = f"unix://{run_root}/bay.sock"
        asyncio.run(shoot(host, (120, 36), play_tabs))
        asyncio.run(shoot(host, (80, 24), play_at("small-80x24")))
        asyncio.run(shoot(host, (200, 60), play_at("wide-200x60")))
    finally:
        bay("engine", "purge", "--force")
        subprocess.run(["rmdir", str(folder)], check=False)
    return 0


if __name__ == "__main__":
    sys.exit(main())
