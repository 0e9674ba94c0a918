"""Progress as Docker tells it: one JSON object per change, in its words."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable

from ..types import Json

Progress = Callable[[Json], None]
_EVERY = 0.1
_WIDTH = 50
_UNITS = ("B", "kB", "MB", "GB", "TB")


def message(status: str, name: str = "", current: int = 0, total: int = 0) -> Json:
    """One object of Docker's `jsonmessage`; `name` is a layer's short digest, or a tag."""
    found: Json = {"status": status}
    if total or current:
        detail = {"current": current, "total": total} if total else {"current": current}
        found.update(progressDetail=detail, progress=bar(current, total))
    elif name:
        found["progressDetail"] = {}
    if name:
        found["id"] = name
    return found


def bar(current: int, total: int) -> str:
    """Docker's own drawing of it: `[=====>     ]  1.2MB/4MB`; clients without one show this."""
    if total <= 0:
        return size(current)
    filled = min(_WIDTH, current * _WIDTH // total)
    head = ">" if filled < _WIDTH else ""
    drawn = f"{'=' * filled}{head}".ljust(_WIDTH)
    return f"[{drawn}] {size(current):>8}/{size(total)}"


def size(count: int) -> str:
    """Bytes in powers of a thousand with four digits, as Docker's units package writes them."""
    value = float(count)
    for unit in _UNITS:
        if value < 1000 or unit == _UNITS[-1]:
            return f"{value:.4g}{unit}"
        value /= 1000
    raise AssertionError("unreachable")


class Reporter:
    """Carries messages from the transfer's threads to the event loop that wants them."""

    def __init__(self, progress: Progress) -> None:
        self._progress = progress
        self._loop = asyncio.get_running_loop()

    def say(self, status: str, name: str = "") -> None:
        """Tell a change of status; from the loop's own thread."""
        self._progress(message(status, name))

    def tell(self, found: Json) -> None:
        """Tell anything else; from the loop's own thread."""
        self._progress(found)

    def meter(self, status: str, name: str, total: int) -> Meter:
        """A counter of bytes that any one thread may drive."""
        return Meter(
            lambda found: self._loop.call_soon_threadsafe(self._progress, found),
            status,
            name,
            total,
        )


class Meter:
    """Bytes done of `total`, told ten times a second at most, and in the end; not while `quiet`."""

    def __init__(self, tell: Callable[[Json], object], status: str, name: str, total: int) -> None:
        self.quiet = False
        self._tell = tell
        self._status = status
        self._name = name
        self.total = total
        self._next = 0.0

    def at(self, current: int) -> None:
        """Tell that `current` bytes are done."""
        now = time.monotonic()
        if self.quiet or (now < self._next and current < self.total):
            return
        self._next = now + _EVERY
        self._tell(message(self._status, self._name, min(current, self.total), self.total))
