"""The progress of a build as lines: what began, what it said, why it was no hit, how long."""

from __future__ import annotations

import re

from ..host.light import Any, Iterable, TextIO
from .errors import CodedError
from .progress import columns_of

Json = dict[str, Any]

_KEPT_LINES = 6
_CONTROL = re.compile(r"\x1b\[[0-9;?]*[A-Za-z]|[\x00-\x08\x0b-\x1f\x7f]")


def show(messages: Iterable[Json], out: TextIO, style: str) -> str:
    """Print a build's messages; the image's id.

    `style`: "plain" lines of a log, "tty" lines that update, "rawjson" the messages themselves,
    "quiet" nothing. Raises CodedError with the code of the step's command.
    """
    screen = {"tty": Board, "plain": Plain, "rawjson": Raw}.get(style, Silent)(out)
    image = ""
    failure: CodedError | None = None
    try:
        for message in messages:
            if message.get("error"):
                # Raised when the stream has ended: the engine still has to say that it has.
                detail = message.get("errorDetail") or {}
                failure = CodedError(str(message["error"]), int(detail.get("code") or 1))
            aux = message.get("aux") or {}
            if aux.get("ID"):
                image = str(aux["ID"])
            screen.take(aux.get("bay"), message)
    finally:
        screen.end()
    if failure is not None:
        raise failure
    return image


class Silent:
    """Shows nothing; the others are of its shape."""

    def __init__(self, out: TextIO) -> None:
        self.out = out
        self.steps: dict[int, Json] = {}

    def take(self, event: Json | None, message: Json) -> None:
        """One message, and the event in it."""

    def end(self) -> None:
        """There are no more."""

    def title(self, step: Json) -> str:
        """How a step is named: its stage, its number, its text."""
        text = " ".join(str(step["text"]).split())
        return f"[{step['name']} {step['number']}/{step['total']}] {text}"


class Raw(Silent):
    """Each message as it is, a line of JSON."""

    def take(self, event: Json | None, message: Json) -> None:
        """See `Silent`."""
        import json

        self.out.write(json.dumps(message) + "\n")
        self.out.flush()


class Plain(Silent):
    """A line for everything, each with the number of its step."""

    def __init__(self, out: TextIO) -> None:
        super().__init__(out)
        self._partial: dict[int, str] = {}

    def take(self, event: Json | None, message: Json) -> None:
        """See `Silent`."""
        if event is None:
            return
        kind, number = event["type"], event.get("id", 0)
        if kind == "step":
            self.steps[number] = event
            self._line(f"#{number} {self.title(event)}")
        elif kind == "log":
            *lines, rest = (self._partial.pop(number, "") + event["data"]).split("\n")
            self._partial[number] = rest
            for line in lines:
                self._line(f"#{number} {line.rstrip(chr(13))}")
        elif kind == "miss":
            self._line(f"#{number} not cached: {event['reason']}")
        elif kind == "pull":
            self._pull(number, event["message"])
        elif kind in ("done", "failed"):
            if rest := self._partial.pop(number, ""):
                self._line(f"#{number} {rest}")
            if kind == "failed":
                self._line(f"#{number} ERROR: {event['error']}")
            elif event["cached"]:
                self._line(f"#{number} CACHED")
            else:
                self._line(f"#{number} DONE {event['ms'] / 1000:.1f}s")
        elif kind == "note":
            self._line(event["text"])

    def _pull(self, number: int, message: Json) -> None:
        if not message.get("progressDetail"):
            name = f"{message['id']}: " if message.get("id") else ""
            self._line(f"#{number} {name}{message.get('status', '')}")

    def _line(self, text: str) -> None:
        self.out.write(text + "\n")
        self.out.flush()


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
