"""The progress of a build on a terminal: lines that update."""

from __future__ import annotations

import re

from ..host.light import Any, TextIO
from .buildprogress import Silent
from .progress import columns_of

Json = dict[str, Any]

_KEPT_LINES = 6
_CONTROL = re.compile(r"\x1b\[[0-9;?]*[A-Za-z]|[\x00-\x08\x0b-\x1f\x7f]")


class Board(Silent):
    """Finished steps as one line each, and below them what runs now with its last lines."""

    def __init__(self, out: TextIO) -> None:
        super().__init__(out)
        self._running: dict[int, list[str]] = {}
        self._reasons: dict[int, str] = {}
        self._drawn = 0

    def take(self, event: Json | None, message: Json) -> None:
        """See `Silent`."""
        if event is None:
            return
        kind, number = event["type"], event.get("id", 0)
        final = ""
        if kind == "step":
            self.steps[number] = event
            self._running[number] = [""]
        elif kind == "log":
            self._log(number, event["data"])
        elif kind == "miss":
            self._reasons[number] = event["reason"]
        elif kind == "pull":
            one = event["message"]
            if number in self._running and not one.get("progressDetail"):
                self._log(number, f"{one.get('id', '')} {one.get('status', '')}\n".lstrip())
        elif kind == "done":
            final = self._done(number, event)
        elif kind == "failed":
            lines = self._running.pop(number, [])
            kept = "".join(f"    {line}\n" for line in lines[-30:] if line)
            final = f" ✗ {self.title(self.steps[number])}\n{kept}"
        elif kind == "note":
            final = f"{event['text']}\n"
        self._draw(final)

    def _log(self, number: int, data: str) -> None:
        lines = self._running.setdefault(number, [""])
        *whole, rest = (lines.pop() + data).replace("\r\n", "\n").split("\n")
        lines += [line.rsplit("\r", 1)[-1] for line in whole]
        lines.append(rest)
        del lines[:-200]

    def _done(self, number: int, event: Json) -> str:
        self._running.pop(number, None)
        reason = self._reasons.pop(number, "")
        if event["cached"]:
            tail = "cached"
        else:
            tail = f"{event['ms'] / 1000:.1f}s" + (f", {reason}" if reason else "")
        return f" ✓ {self.title(self.steps[number])} ({tail})\n"

    def _draw(self, final: str) -> None:
        """Print what is final above the part that updates, and that part anew."""
        width = max(columns_of(self.out), 20) - 1
        lines = []
        for number, log in self._running.items():
            lines.append(f" ▸ {self.title(self.steps[number])}"[:width])
            shown = [line for line in log if line.strip()][-_KEPT_LINES:]
            lines += [("     " + _CONTROL.sub("", line))[:width] for line in shown]
        # CUU, CR, ED (ECMA-48)
        up = f"\x1b[{self._drawn}A\r\x1b[J" if self._drawn else ""
        self.out.write(up + final + "".join(f"{line}\n" for line in lines))
        self.out.flush()
        self._drawn = len(lines)

    def end(self) -> None:
        """See `Silent`."""
        self._running.clear()
        self._draw("")
