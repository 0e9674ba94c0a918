"""An engine that only repeats what a real one said: the snapshot tests' world stands still."""

from __future__ import annotations

import asyncio
import base64
import json
import re
from pathlib import Path
from typing import Any
from urllib.parse import unquote

from bayplan.client.hosts import Host
from bayplan.tui.app import BayApp
from bayplan.tui.dialing import Dialer
from bayplan.tui.fleet import Place
from bayplan.tui.hostinfo import Figures

RECORDING = Path(__file__).with_name("recording.json")
ENDLESS = ("/events", "/bay/samples/stream", "/logs")


class Replay:
    """Serves a recording on a unix socket; streams stay open after their last byte, as they do."""

    def __init__(self, path: Path) -> None:
        self.path = path
        recorded = json.loads(RECORDING.read_text())
        self.now: float = recorded["time"]
        self.replies: dict[str, Any] = recorded["replies"]
        self.asked: list[str] = []
        self.endless: tuple[str, ...] = ENDLESS
        self._server: asyncio.Server | None = None
        self._open: set[asyncio.StreamWriter] = set()

    def compose(self) -> None:
        """Make a project of three of the containers, as docker compose labels them."""
        for one in self.replies["/containers/json"]["json"]:
            name = one["Names"][0].lstrip("/")
            if name in ("web", "api", "db"):
                one["Labels"] |= {
                    "com.docker.compose.project": "shop",
                    "com.docker.compose.service": name,
                    "com.docker.compose.depends_on": "" if name == "db" else "db:service_started:",
                    "com.docker.compose.project.working_dir": "/srv/shop",
                }

    async def start(self) -> None:
        self._server = await asyncio.start_unix_server(self._serve, str(self.path))

    async def stop(self) -> None:
        """Go away as an engine does that is killed: every connection breaks."""
        assert self._server is not None
        self._server.close()
        for writer in list(self._open):
            writer.transport.abort()
        self.path.unlink(missing_ok=True)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._open.add(writer)
        try:
            head = await reader.readuntil(b"\r\n\r\n")
            method, target, _ = head.split(b"\r\n")[0].decode().split(" ")
            path = unquote(target.partition("?")[0])
            self.asked.append(f"{method} {path}")
            status, body = self._answer(method, path)
            headers = f"HTTP/1.1 {status} X\r\nConnection: close\r\n\r\n"
            writer.write(headers.encode() + body)
            await writer.drain()
            if status == 200 and self.endless and path.endswith(self.endless):
                await reader.read()
        except (asyncio.IncompleteReadError, ConnectionError):
            pass  # the screen hung up first
        finally:
            self._open.discard(writer)
            writer.close()

    def _answer(self, method: str, path: str) -> tuple[int, bytes]:
        path = re.sub(r"^/v[0-9.]+(?=/)", "", path)
        if path in ("/bay/samples/stream", "/_ping"):
            return 200, b""
        entry = self.replies.get(path) if method == "GET" else None
        if entry is None:
            return 404, json.dumps({"message": f"not recorded: {method} {path}"}).encode()
        if "bytes" in entry:
            return entry["status"], base64.b64decode(entry["bytes"])
        return entry["status"], json.dumps(entry["json"]).encode()


class StillDialer(Dialer):
    """A dialer whose address on the screen does not depend on the test's folder."""

    name = "/run/bay/bay.sock"  # type: ignore[assignment]  # a constant in place of the property


class CalledDialer(StillDialer):
    """One of several, by a name of its own."""

    def __init__(self, replay: Replay, name: str) -> None:
        super().__init__(Host("unix", path=str(replay.path)))
        self.name = name  # type: ignore[misc]  # a field in place of the property


FIGURES = Figures(
    name="harbour",
    cpus=8,
    cpu=23.0,
    memory_used=11 << 30,
    memory_total=32 << 30,
    load=(1.72, 1.4, 0.95),
    disk_used=182 << 30,
    disk_total=512 << 30,
    rx=0,
    tx=0,
)


def still_fleet(replay: Replay, theme: str = "bay-dark") -> BayApp:
    """The app over three hosts: two that say what was recorded, the third is lost."""
    places = [
        Place("local", "unix:///run/bay/bay.sock", CalledDialer(replay, "/run/bay/bay.sock")),
        Place("build1", "build1", CalledDialer(replay, "ssh://build1"), "-c"),
        Place("edge", "tcp://edge:2376", CalledDialer(replay, "tcp://edge:2376")),
    ]
    return still_app(replay, theme, places=places)


def still_app(replay: Replay, theme: str = "bay-dark", **more: Any) -> BayApp:
    """The app on a recorded engine, with a clock that stands and a host that does not change."""
    app = BayApp(
        StillDialer(Host("unix", path=str(replay.path))),
        read_host=lambda: FIGURES,
        clock=lambda: replay.now,
        theme_name=theme,
        pace=None,
        **more,
    )
    history = app.main.host
    history.cpu.extend(
        20 + 15 * ((n * 7) % 11) / 11 + (25 if n % 40 > 33 else 0) for n in range(400)
    )
    history.memory.extend(30 + n / 100 for n in range(400))
    return app
