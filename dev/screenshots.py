"""Pictures and a recording of the app over a real engine with real containers: screenshots/."""

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

import demo
import recording
from bayplan.client.client import Client
from bayplan.client.hosts import parse_host
from bayplan.tui import hostfacts
from bayplan.tui.app import BayApp
from bayplan.tui.dialing import Dialer
from bayplan.tui.model import container_name

OUT = Path(__file__).parent.parent / "screenshots"
BAY = Path(sys.executable).with_name("bay")
HISTORY_SECONDS = 45
FONT = "DejaVu Sans Mono"


def text_of(app: BayApp) -> str:
    """What the screen shows, without the drawing."""
    return re.sub(r"<[^>]+>", "", app.export_screenshot()).replace("&#160;", " ")


class Stage:
    """One app on a screen of a size, driven by keys."""

    def __init__(self, app: BayApp, pilot: object) -> None:
        self.app = app
        self.pilot = pilot

    async def until(self, words: str, timeout: float = 40) -> None:
        """Wait until the screen shows `words`."""
        deadline = time.monotonic() + timeout
        while words not in text_of(self.app):
            if time.monotonic() > deadline:
                raise SystemExit(f"the screen never showed {words!r}:\n{text_of(self.app)}")
            await asyncio.sleep(0.1)

    async def go(self, name: str) -> None:
        """Put the cursor on a container."""
        main = self.app.main
        table = main.table("containers")
        names = {one["Id"]: container_name(one) for one in main.model.containers}
        table.focus()
        table.go([names.get(row.id) for row in table.rows].index(name))
        await asyncio.sleep(0.5)

    async def press(self, *keys: str) -> None:
        for key in keys:
            await self.pilot.press(key)  # type: ignore[attr-defined]
            await asyncio.sleep(0.1)

    async def tab(self, name: str, words: str) -> None:
        """Turn to a tab and wait for what it shows."""
        self.app.main.action_tab(name)
        await self.until(words)
        await asyncio.sleep(1)

    def save(self, name: str) -> None:
        """The SVG as Textual draws it, and a PNG of it."""
        svg = self.app.export_screenshot()
        (OUT / f"{name}.svg").write_text(svg)
        # librsvg fetches no web font and drops the blanks that begin a text.
        plain = svg.replace("&#160;", " ").replace("<text ", '<text xml:space="preserve" ')
        plain = plain.replace("Fira Code", FONT)
        argv = ["rsvg-convert", "--zoom", "1", "--format", "png", "--output", OUT / f"{name}.png"]
        subprocess.run(argv, input=plain.encode(), check=True)
        print(f"screenshots/{name}.svg .png", flush=True)


async def shoot(host: str, size: tuple[int, int], play: Callable[[Stage], Awaitable[None]]) -> None:
    app = BayApp(Dialer(parse_host(host)), theme_name="bay-dark")
    async with app.run_test(size=size) as pilot:
        stage = Stage(app, pilot)
        await stage.until("worker")
        await stage.until("running")
        await asyncio.sleep(3)
        await play(stage)


async def play_tabs(stage: Stage) -> None:
    await stage.go("web")
    await stage.until("GET /cart")
    stage.save("main-120x36")
    await stage.go("worker")
    await stage.tab("stats", "processes ")
    stage.save("stats-120x36")
    await stage.go("db")
    await stage.tab("inspect", "OOMKilled")
    stage.save("inspect-120x36")
    await stage.tab("changes", "written")
    await stage.go("web")
    await stage.tab("files", "OWNER")
    await stage.press("enter")
    await stage.until("busybox")
    stage.save("files-120x36")
    await stage.press("escape", "e")
    await stage.until("#")
    for key in ("l", "s", "space", "minus", "l", "space", "slash", "enter"):
        await stage.press(key)
    await stage.until("root")
    await asyncio.sleep(1)
    stage.save("shell-120x36")
    await stage.press("ctrl+right_square_bracket", "2")
    await stage.tab("layers", "FILES OF THIS LAYER")
    await stage.press("z", "end")
    await asyncio.sleep(2)
    stage.save("layers-120x36")
    await stage.press("escape", "escape", "1")
    await play_host(stage)


async def play_host(stage: Stage) -> None:
    read = hostfacts.Reader.read

    def of_containers(reader: hostfacts.Reader) -> hostfacts.Facts:
        """Without the processes of the machine itself, which are nobody else's business."""
        facts = read(reader)
        known = {one["Id"] for one in stage.app.main.model.containers}
        facts.processes = [one for one in facts.processes if one.container in known]
        return facts

    hostfacts.Reader.read = of_containers  # type: ignore[method-assign] # for the picture only
    await stage.press("H")
    await stage.until("build cache")
    await asyncio.sleep(4)
    stage.save("host-120x36")


async def play_small(stage: Stage) -> None:
    await stage.go("web")
    await stage.until("GET /cart")
    stage.save("small-80x24")


async def play_wide(stage: Stage) -> None:
    await stage.go("web")
    await stage.press("space")
    await stage.go("db")
    await stage.press("space")
    await stage.until("merged")
    await stage.tab("logs", "GET /cart")
    stage.save("wide-200x60")


def main() -> int:
    OUT.mkdir(exist_ok=True)
    folder = Path(tempfile.mkdtemp(prefix="bay-shots-", dir="/tmp"))
    run_root = folder / "run"
    os.environ.update(BAY_ROOT=str(folder / "root"), BAY_RUN_ROOT=str(run_root))

    def bay(*words: str) -> None:
        subprocess.run([BAY, *words], check=False, stdout=subprocess.DEVNULL)

    host = f"unix://{run_root}/bay.sock"
    try:
        bay("images")  # starts the engine
        client = Client(parse_host(host))
        demo.build(client)
        print(f"{HISTORY_SECONDS} s of history for the curves", flush=True)
        demo.settle(client, HISTORY_SECONDS)
        asyncio.run(shoot(host, (120, 36), play_tabs))
        asyncio.run(shoot(host, (80, 24), play_small))
        asyncio.run(shoot(host, (200, 60), play_wide))
        recording.play(BAY, host, OUT / "session.cast")
        print("screenshots/session.cast")
    finally:
        bay("engine", "purge", "--force")
        subprocess.run(["rmdir", str(folder)], check=False)
    return 0


if __name__ == "__main__":
    sys.exit(main())
