"""A short session of the app, recorded as it reaches a terminal: asciinema's format, version 2."""

from __future__ import annotations

import fcntl
import json
import os
import pty
import select
import struct
import termios
import time
from pathlib import Path

from bayplan.tui.emulator import Emulator


class Recording:
    """`argv` on a terminal of `columns` x `rows`; what it writes goes to `path` with its times."""

    def __init__(self, argv: list[str], path: Path, columns: int, rows: int, title: str) -> None:
        self._emulator = Emulator(columns, rows, self._answer)
        self._events: list[tuple[float, str]] = []
        self._path = path
        self._header = {"version": 2, "width": columns, "height": rows, "title": title}
        self._began = time.monotonic()
        self._pid, self._fd = pty.fork()
        if self._pid == 0:
            try:
                size = struct.pack("HHHH", rows, columns, 0, 0)
                fcntl.ioctl(0, termios.TIOCSWINSZ, size)
                environment = {**os.environ, "TERM": "xterm-256color", "COLORTERM": "truecolor"}
                os.execvpe(argv[0], argv, environment)
            finally:
                os._exit(127)

    def _answer(self, data: bytes) -> None:
        """A terminal's answers to the program's questions are left out: nobody waits for them."""

    def _take(self, seconds: float) -> bool:
        ready, _, _ = select.select([self._fd], [], [], seconds)
        if not ready:
            return True
        try:
            data = os.read(self._fd, 1 << 16)
        except OSError:
            return False
        self._emulator.feed(data)
        self._events.append((time.monotonic() - self._began, data.decode(errors="replace")))
        return bool(data)

    def until(self, words: str, timeout: float = 40) -> None:
        """Wait until the screen shows `words`."""
        deadline = time.monotonic() + timeout
        while words not in "\n".join(self._emulator.text()):
            if time.monotonic() > deadline or not self._take(0.1):
                screen = "\n".join(self._emulator.text())
                raise SystemExit(f"the recording never showed {words!r}:\n{screen}")

    def look(self, seconds: float) -> None:
        """Let the viewer see it for that long."""
        deadline = time.monotonic() + seconds
        while (left := deadline - time.monotonic()) > 0 and self._take(left):
            pass

    def press(self, *keys: str, pause: float = 0.12) -> None:
        """Type `keys`, one after the other."""
        for key in keys:
            os.write(self._fd, key.encode())
            self.look(pause)

    def end(self) -> None:
        """Quit, and write the file."""
        os.write(self._fd, b"q")
        deadline = time.monotonic() + 10
        while time.monotonic() < deadline and self._take(0.2):
            pass
        os.close(self._fd)
        os.waitpid(self._pid, 0)
        lines = [json.dumps(self._header)]
        for when, data in self._events:
            lines.append(json.dumps([round(when, 3), "o", data], ensure_ascii=False))
        self._path.write_text("\n".join(lines) + "\n")


def play(bay: Path, host: str, path: Path) -> None:
    """The busiest container, its log, its figures, a shell, its files, and the host."""
    title = "bay: containers in a terminal"
    shown = Recording([str(bay), "-H", host], path, 110, 30, title)
    shown.until("running")
    shown.look(2.5)
    shown.press("o", "o", pause=0.8)
    shown.press("g")
    shown.until("memory ")
    shown.look(3)
    shown.press("l")
    shown.look(2.5)
    shown.press("e")
    shown.until("#")
    shown.press(*"ls /", "\r", pause=0.15)
    shown.until("usr")
    shown.look(2)
    shown.press("\x1d")
    shown.press("]", "]", "]", pause=0.8)
    shown.look(1)
    shown.press("H")
    shown.until("build cache")
    shown.look(4)
    shown.press("\x1b")
    shown.look(1)
    shown.end()
