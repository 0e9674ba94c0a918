"""The progress of a build as lines: what began, what it said, why it was no hit, how long."""

from __future__ import annotations

from ..host import quickjson
from ..host.light import Any, Iterable, TextIO
from .errors import CodedError

Json = dict[str, Any]


def show(messages: Iterable[Json], out: TextIO, style: str) -> str:
    """Print a build's messages; the image's id.

    `style`: "plain" lines of a log, "tty" lines that update, "rawjson" the messages themselves,
    "quiet" nothing. Raises CodedError with the code of the step's command.
    """
    screen = _screen(out, style)
    image = ""
    warnings: list[Json] = []
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
            event = aux.get("bay")
            if event and event["type"] == "warning":
                warnings.append(event)
            screen.take(event, message)
    finally:
        screen.end()
    if failure is not None:
        raise failure
    if warnings and style in ("plain", "tty"):
        out.write(_summary(warnings))
        out.flush()
    return image


def _summary(warnings: list[Json]) -> str:
    """The linter's findings in short, as BuildKit's clients end a build with."""
    count = len(warnings)
    lines = [
        f"\n {count} warning{'s' if count > 1 else ''} found (bay build --check shows the lines):"
    ]
    lines += [f" - {one['rule']}: {one['message']} (line {one['line']})" for one in warnings]
    return "\n".join(lines) + "\n"


def _screen(out: TextIO, style: str) -> Silent:
    if style == "tty":
        from .buildboard import Board  # a script's build needs neither it nor re

        return Board(out)
    return {"plain": Plain, "rawjson": Raw}.get(style, Silent)(out)


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
        self.out.write(quickjson.dumps(message) + "\n")
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
