"""A session over the whole real terminal: bytes go straight through, only ctrl+] is ours.

Textual is suspended meanwhile. Whatever it would still write piles up in a queue of thirty that
nobody empties, and then blocks the event loop for good: so every repaint is held in a batch, and
nothing may ring the bell or set the clipboard through the app until this is over.
"""

from __future__ import annotations

import asyncio
import os
import signal
import sys
import termios
import tty

from textual.app import App, SuspendNotSupported

from .session import Session

# ctrl+] as terminals send it, and as those do that speak Kitty's keyboard protocol.
DETACH = (b"\x1d", b"\x1b[93;5u", b"\x1b[27;5;93~")
# What programs turn on and may leave on when we go in the middle of them.
_RESET = (
    "\x1b[?1049l\x1b[?1000l\x1b[?1002l\x1b[?1003l\x1b[?1006l\x1b[?1004l\x1b[?2004l\x1b[?1l"
    "\x1b>\x1b[<8u\x1b[>4;0m\x1b[?7h\x1b[?25h\x1b[0m\x1b[r\x1b[H\x1b[2J"
)


class Passthrough:
    """Hands the terminal to `session` until its end or ctrl+]."""

    def __init__(self, session: Session, name: str) -> None:
        self._session = session
        self._name = name
        self._done = asyncio.Event()
        self._input = -1
        self._output = -1

    async def run(self, app: App[None]) -> str:
        """Do it; the sentence of what went wrong, "" when nothing did."""
        trouble = ""
        try:
            with app.batch_update(), app.suspend():
                # Nothing may be raised here: Textual would not take its terminal back.
                try:
                    await self._hand_over()
                except Exception as error:
                    trouble = f"{type(error).__name__}: {error}"
        except SuspendNotSupported:
            return "This terminal can't be handed over."
        app.refresh(layout=True)
        return trouble

    async def _hand_over(self) -> None:
        assert sys.__stdin__ is not None and sys.__stderr__ is not None
        self._input, self._output = sys.__stdin__.fileno(), sys.__stderr__.fileno()
        loop = asyncio.get_running_loop()
        session, before = self._session, termios.tcgetattr(self._input)
        bell, copy, ended = session.emulator.on_bell, session.emulator.on_copy, session.on_end
        session.emulator.on_bell, session.emulator.on_copy = lambda: None, lambda text: None
        try:
            tty.setraw(self._input)
            self._write(f"\x1b]0;{self._name}: ctrl+] goes back to bay\x07".encode())
            self._write(session.emulator.paint().encode())
            session.tee = self._write
            session.on_end = self._done.set
            self._fit()
            loop.add_signal_handler(signal.SIGWINCH, self._fit)
            loop.add_reader(self._input, self._typed)
            if not session.over:
                await self._done.wait()
        finally:
            session.tee, session.on_end = None, ended
            session.emulator.on_bell, session.emulator.on_copy = bell, copy
            loop.remove_reader(self._input)
            loop.remove_signal_handler(signal.SIGWINCH)
            self._write(_RESET.encode())
            termios.tcsetattr(self._input, termios.TCSAFLUSH, before)

    def _fit(self) -> None:
        size = os.get_terminal_size(self._output)
        self._session.resize(size.columns, size.lines)

    def _write(self, data: bytes) -> None:
        view = memoryview(data)
        while view:
            view = view[os.write(self._output, view) :]

    def _typed(self) -> None:
        data = os.read(self._input, 65536)
        kept, left = before_detach(data)
        if kept:
            self._session.send(kept)
        if left or not data:
            self._done.set()


def before_detach(data: bytes) -> tuple[bytes, bool]:
    """What of `data` was typed before the detach key, and whether that key is in it."""
    places = [place for place in map(data.find, DETACH) if place >= 0]
    return (data[: min(places)], True) if places else (data, False)
