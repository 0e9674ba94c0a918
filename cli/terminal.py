"""The user's terminal: raw mode, its size, and the keys that leave a container running."""

from __future__ import annotations

import _thread

from ..host.errors import InvalidError
from ..host.light import TYPE_CHECKING, Any, Callable

if TYPE_CHECKING:
    import os
    import signal
    from _queue import SimpleQueue
    from types import FrameType
else:
    import _signal as signal  # what `signal` wraps in enums, which are slow to import

    from ..host import lightos as os

DEFAULT_KEYS = "ctrl-p,ctrl-q"


def parse_keys(text: str) -> bytes:
    """The bytes of a key sequence such as `ctrl-p,ctrl-q` or `ctrl-a,d`. Raises InvalidError."""
    keys = bytearray()
    for key in text.split(","):
        letter = key.lower().removeprefix("ctrl-")
        if len(key) == 1 and key.isascii():
            keys += key.encode()
        elif key.lower().startswith("ctrl-") and len(letter) == 1 and letter in _CONTROL:
            keys.append(_CONTROL[letter])
        else:
            raise InvalidError(
                f"invalid detach keys ({text}): write single characters or ctrl-<value>, separated"
                " by commas; <value> is a-z or one of @ [ ] ^ _ \\"
            )
    return bytes(keys)


_CONTROL = {chr(code + 0x60): code for code in range(1, 27)} | {
    "@": 0, "[": 27, "\\": 28, "]": 29, "^": 30, "_": 31,
}  # fmt: skip


class DetachKeys:
    """Watches what is typed for the detach sequence; holds back what may be its beginning."""

    def __init__(self, keys: bytes) -> None:
        self._keys = keys
        self._matched = 0

    def feed(self, data: bytes) -> tuple[bytes, bool]:
        """(what to pass on, whether the sequence is complete)."""
        if not self._keys:
            return data, False
        out = bytearray()
        for byte in data:
            if byte == self._keys[self._matched]:
                self._matched += 1
                if self._matched == len(self._keys):
                    return bytes(out), True
                continue
            out += self._keys[: self._matched]
            self._matched = 1 if byte == self._keys[0] else 0
            if not self._matched:
                out.append(byte)
        return bytes(out), False


class RawMode:
    """The terminal `fd` in raw mode: keys go to the container as they are; restored at the end.

    Use it in a `with`; a negative `fd` is no terminal, and nothing is done.
    """

    def __init__(self, fd: int) -> None:
        self._fd = fd
        self._before: list[Any] = []

    def __enter__(self) -> None:
        if self._fd >= 0:
            import termios  # most runs and execs are not on a terminal
            import tty

            self._before = termios.tcgetattr(self._fd)
            # Docker leaves output processing as it was made: raw. What came so far stays.
            tty.setraw(self._fd, termios.TCSANOW)

    def __exit__(self, *_: object) -> None:
        if self._before:
            import termios

            termios.tcsetattr(self._fd, termios.TCSADRAIN, self._before)


def size_of(fd: int) -> tuple[int, int]:
    """(rows, columns) of the terminal `fd`; (0, 0) when it has no size."""
    try:
        columns, rows = os.get_terminal_size(fd)
    except OSError:
        return 0, 0
    return rows, columns


class Resizer:
    """Tells the engine when the terminal's size changes, on a thread of its own.

    `send` may take long (each connection over ssh does); sizes that come meanwhile are skipped but
    the last. Use it in a `with`, from the main thread (it handles SIGWINCH).
    """

    def __init__(self, fd: int, send: Callable[[int, int], None]) -> None:
        self._fd = fd
        self._send = send
        # Puts of a signal's handler and takes of the thread; `threading` is slow to import.
        from _queue import SimpleQueue

        self._changes: SimpleQueue[bool] = SimpleQueue()
        self._before: Any = signal.SIG_DFL

    def __enter__(self) -> Resizer:
        self._before = signal.signal(signal.SIGWINCH, self._on_change)
        _thread.start_new_thread(self._work, ())
        return self

    def __exit__(self, *_: object) -> None:
        signal.signal(signal.SIGWINCH, self._before)
        self._changes.put(False)

    def check(self) -> None:
        """Send the size as it is now."""
        self._changes.put(True)

    def _on_change(self, _number: int, _frame: FrameType | None) -> None:
        self._changes.put(True)

    def _work(self) -> None:
        last = (0, 0)
        while self._changes.get():
            size = size_of(self._fd)
            if size != last and all(size):
                last = size
                self._send(*size)
