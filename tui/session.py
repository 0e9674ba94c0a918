"""A terminal into a container: an exec or an attach over the API, on an emulated screen."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable
from typing import Literal

from ..host.errors import BayError
from .model import Json
from .source import Source, Wire, demux

Kind = Literal["exec", "attach"]
GRACE = 2.0  # seconds for a shell to end by ^D
DRAINED = 16384  # bytes taken in between two looks at the keyboard
# The first of these that exists; a login shell would read the profile and so change the PATH that
# the image set.
SHELL = ["sh", "-c", "command -v bash >/dev/null 2>&1 && exec bash || exec sh"]


class Session:
    """One terminal; lives on while it is not shown, until the program or the user ends it.

    `on_output` is called after the screen changed, `on_end` once when it is over.
    """

    def __init__(self, source: Source, container: str, kind: Kind, columns: int, rows: int) -> None:
        self._source = source
        self.container = container
        self.kind: Kind = kind
        # Here and not above: most who open the screen open no shell, and bittty takes a tenth of
        # the time to the first paint.
        from .emulator import Emulator

        self.emulator = Emulator(columns, rows, self._answer)
        self.on_output: Callable[[], None] = lambda: None
        self.on_end: Callable[[], None] = lambda: None
        self.tee: Callable[[bytes], None] | None = None
        self.over = False
        self.outcome = ""
        self._exec = ""
        self._tty = True
        self._wire: Wire | None = None
        self._task: asyncio.Task[None] | None = None
        self._size = (columns, rows)
        self._told = (0, 0)
        self._telling = False

    # --- opening

    async def open(self, command: list[str] | None = None, start: bool = False) -> None:
        """Connect; the terminal has its size before the program writes its first byte.

        `start` starts the container once its terminal is attached. Raises BayError when the engine
        refuses.
        """
        if self.kind == "exec":
            self._wire = await self._start(command or SHELL)
        else:
            self._wire = await self._attach()
            if start:
                await self._begin(self._wire)
        self._task = asyncio.create_task(self._pump(self._wire))

    async def _start(self, command: list[str]) -> Wire:
        columns, rows = self._size
        terminal = {"Tty": True, "ConsoleSize": [rows, columns]}
        request = {
            "Cmd": command,
            "Env": ["TERM=xterm-256color", "COLORTERM=truecolor"],
            "AttachStdin": True,
            "AttachStdout": True,
            "AttachStderr": True,
            **terminal,
        }
        reply = await self._source.post(f"/containers/{self.container}/exec", request)
        self._exec = reply["Id"]
        # A screen that is killed, or whose line breaks, cannot hang up: our engine then does.
        begin = {"Detach": False, "HangUp": True, **terminal}
        wire = await self._source.hijack(f"/exec/{self._exec}/start", begin)
        # Engines before API 1.42 do not know ConsoleSize.
        await self._tell()
        return wire

    async def _begin(self, wire: Wire) -> None:
        try:
            await self._source.post(f"/containers/{self.container}/start")
        except BayError:
            wire.close()
            raise
        # An engine that does not know ConsoleSize hears of it as soon as there is a terminal.
        await self._tell()

    async def _attach(self) -> Wire:
        details = await self._source.get(f"/containers/{self.container}/json")
        self._tty = bool(details["Config"]["Tty"])
        running = bool(details["State"]["Running"])
        if self._tty and running:
            await self._tell()
        wanted = {"stream": True, "stdin": True, "stdout": True, "stderr": True}
        wire = await self._source.hijack(f"/containers/{self.container}/attach", **wanted)
        if self._tty and running:
            await self._redraw()
        return wire

    async def _redraw(self) -> None:
        """Make a program that is already running draw its screen, by a change of its size."""
        columns, rows = self._size
        await self._resize(columns, rows + 1)
        await self._resize(columns, rows)

    # --- bytes

    async def _pump(self, wire: Wire) -> None:
        try:
            if self._tty:
                while data := await wire.read():
                    await self._take(data)
            else:
                async for _, data in demux(_pieces(wire)):
                    await self._take(data.replace(b"\n", b"\r\n"))
        finally:
            wire.close()
        await self._finish()

    async def _take(self, data: bytes) -> None:
        for start in range(0, len(data), DRAINED):
            piece = data[start : start + DRAINED]
            self.emulator.feed(piece)
            if self.tee is not None:
                self.tee(piece)
            self.on_output()
            await asyncio.sleep(0)

    async def _finish(self) -> None:
        self.over = True
        self.outcome = "disconnected"
        with contextlib.suppress(BayError):  # a container removed meanwhile: nothing to add
            what = f"/exec/{self._exec}" if self._exec else f"/containers/{self.container}"
            reply: Json = await self._source.get(f"{what}/json")
            state = reply if self._exec else reply["State"]
            if not state["Running"]:
                self.outcome = f"ended with {state.get('ExitCode', 'no code')}"
        self.on_output()
        self.on_end()

    def _answer(self, data: bytes) -> None:
        """What the emulator types: keys, and answers to the program's questions.

        With a real terminal listening in, that one answers.
        """
        if self.tee is None:
            self._send(data)

    def _send(self, data: bytes) -> None:
        if self._wire is not None and not self.over:
            # Without a terminal nobody turns the return key into a newline.
            self._wire.write(data if self._tty else data.replace(b"\r", b"\n"))

    def send(self, data: bytes) -> None:
        """Type bytes as they are."""
        self._send(data)

    # --- size

    def resize(self, columns: int, rows: int) -> None:
        """Change the size here and in the container; of many at once the last one counts."""
        if (columns, rows) == self._size or columns < 1 or rows < 1:
            return
        self._size = (columns, rows)
        self.emulator.resize(columns, rows)
        if self._wire is not None and not self.over and not self._telling:
            self._telling = True
            self._teller = asyncio.create_task(self._tell())

    async def _tell(self) -> None:
        try:
            while self._told != self._size and not self.over:
                self._told = self._size
                await self._resize(*self._size)
        finally:
            self._telling = False

    async def _resize(self, columns: int, rows: int) -> None:
        if not self._tty:
            return
        what = f"/exec/{self._exec}" if self._exec else f"/containers/{self.container}"
        with contextlib.suppress(BayError):  # it ended in this moment: the pump says so
            await self._source.post(f"{what}/resize", h=rows, w=columns)

    # --- end

    async def end(self) -> bool:
        """End a shell with what runs in it, as closing a terminal does; detach from an attach.

        False when it runs on: Docker's API cannot hang up, where a shell at its prompt ends by ^D.
        """
        if self.kind != "exec" or self.over or self._task is None:
            self.close()
            return True
        try:
            await self._source.post(f"/bay/exec/{self._exec}/hangup")
            return True
        except BayError:
            self._send(b"\x04")
            done, _ = await asyncio.wait({self._task}, timeout=GRACE)
            return bool(done)
        finally:
            self.close()

    def close(self) -> None:
        """Drop the connection; what runs there runs on."""
        if self._task is not None:
            self._task.cancel()
        if self._wire is not None:
            self._wire.close()
        self.over = True


async def _pieces(wire: Wire) -> AsyncIterator[bytes]:
    while data := await wire.read():
        yield data
