"""The terminal from the command to the app: nothing is echoed, no key is lost, a frame is shown.

Textual takes a third of a second to be imported. Here the terminal is made quiet at once and the
first frame is painted on it; whatever ends the program before the app has taken over, the terminal
is as it was.
"""

from __future__ import annotations

# signal makes enums of it, for which there is time later.
import _signal  # type: ignore[import-not-found]  # no stub: it is CPython's own
import os
import termios
import time
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from types import FrameType

    from .ahead import Ahead
    from .hostinfo import Figures
    from .inks import Cell
    from .settings import Settings

ALTERNATE = "\x1b[?1049h"
_BACK = "\x1b[0m\x1b[?25h\x1b[?1049l"
# What the app has switched on by the time its own handlers stand: the mouse, focus, paste, keys.
_APP_BACK = "\x1b[?2004l\x1b[?1000l\x1b[?1003l\x1b[?1015l\x1b[?1006l\x1b[?1004l\x1b[<u\x1b[?7h"
# What the app imports first, in pieces that are small: the frame comes before the rest.
_NEXT = ("asyncio", "rich.console")
_ENDS = (_signal.SIGTERM, _signal.SIGHUP)


class Prelude:
    """A terminal that is got ready for the app; a context manager that gives it back.

    Textual writes to stderr and reads stdin: without a terminal at both nothing is done. An
    interrupt (ctrl+c) ends the program as before any other verb, by the exception.
    """

    def __init__(self) -> None:
        self.figures: Figures | None = None  # the host's, as they were painted
        self.lines: list[list[Cell]] = []  # what is on the terminal
        self._before: list[Any] | None = None
        self._painted = self._taken = False
        self._handlers: dict[int, Any] = {}

    def __enter__(self) -> Prelude:
        if not (os.isatty(0) and os.isatty(1) and os.isatty(2)):
            return self
        try:
            self._before = termios.tcgetattr(0)
        except termios.error:
            return self
        for number in _ENDS:
            if _signal.getsignal(number) == _signal.SIG_DFL:  # who ignores it goes on doing so
                self._handlers[number] = _signal.signal(number, self._ended)
        quiet = [*self._before[:6], [*self._before[6]]]
        quiet[0] &= ~(termios.IXON | termios.IXOFF | termios.ICRNL | termios.INLCR | termios.IGNCR)
        quiet[3] &= ~(termios.ECHO | termios.ICANON | termios.IEXTEN)
        quiet[6][termios.VMIN], quiet[6][termios.VTIME] = 1, 0
        for key in (termios.VQUIT, termios.VSUSP):  # a stop in mid-frame would leave it like that
            quiet[6][key] = b"\0"
        termios.tcsetattr(0, termios.TCSANOW, quiet)
        return self

    def __exit__(self, *_: object) -> None:
        self.end()

    def paint(self, ahead: Ahead, settings: Settings, engine: str) -> None:
        """Paint the first frame from what the engine has answered; none where that is not whole."""
        if self._before is None:
            return
        # Imported while the engine answers.
        from importlib import import_module

        from . import hostinfo, memory
        from .firstframe import FirstFrame
        from .model import Model

        for name in _NEXT:  # no time is lost while the engine is slow
            if ahead.is_done:
                break
            import_module(name)
        model, history = Model(), hostinfo.HostHistory()
        if not ahead.fill(model):
            return
        try:
            figures = hostinfo.read()
            history.add(figures, 0)
            kept = memory.Memory(memory.path(os.environ) if settings.restore else None)
            frame = FirstFrame(model, history, kept, settings, engine, time.time)
            lines = frame.cells(*_size(), os.environ)
        except Exception as error:  # whatever it is, the app begins without; the log has it
            from . import crash

            crash.keep(error, os.environ)
            return
        if lines is None:
            return
        self._painted, self.figures, self.lines = True, figures, lines
        _write(f"{ALTERNATE}\x1b[?25l{''.join(_sequences(lines))}\x1b[0m")

    @property
    def painted(self) -> bool:
        """Whether a frame is on the terminal."""
        return self._painted

    def hand_over(self) -> list[Any] | None:
        """The app takes the terminal; its attributes before, None where it was not touched."""
        self._taken = True
        return self._before

    def let_go(self) -> None:
        """The app's own handlers stand."""
        handlers, self._handlers = self._handlers, {}
        for number, handler in handlers.items():
            if _signal.getsignal(number) == self._ended:
                _signal.signal(number, handler)

    def end(self) -> None:
        """Give the terminal back, unless the app has it, which does that itself."""
        self.let_go()
        if not self._taken:
            self._restore(_BACK if self._painted else "")

    def _restore(self, words: str) -> None:
        before, self._before = self._before, None
        if before is None:
            return
        _write(words)
        try:
            termios.tcsetattr(0, termios.TCSANOW, before)
        except termios.error:
            pass  # it has hung up

    def _ended(self, number: int, _: FrameType | None) -> None:
        """Somebody ends the program, while nothing else would give the terminal back."""
        self._restore(
            (_APP_BACK if self._taken else "") + (_BACK if self._painted or self._taken else "")
        )
        _signal.signal(number, _signal.SIG_DFL)
        os.kill(os.getpid(), number)


def _size() -> tuple[int, int]:
    """Columns and lines, as shutil finds them for Textual: it is slow to import."""
    try:
        given = [int(os.environ.get(name, 0)) for name in ("COLUMNS", "LINES")]
        columns, lines = os.get_terminal_size(1)
    except (ValueError, OSError):
        return 0, 0
    return (given[0] if given[0] > 0 else columns), (given[1] if given[1] > 0 else lines)


def _write(words: str) -> None:
    data = words.encode()
    try:
        while data:
            data = data[os.write(2, data) :]
    except OSError:
        pass  # it has hung up, which the app will notice


def _sequences(lines: list[list[Cell]]) -> list[str]:
    """What paints the lines, from the first on."""
    parts, codes = list[str](), ""
    for y, line in enumerate(lines, 1):
        parts.append(f"\x1b[{y}H")
        for now, character in line:
            if now != codes:
                parts.append(f"\x1b[0;{now}m")
                codes = now
            parts.append(character)
    return parts
