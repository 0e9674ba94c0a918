"""Progress of pulls, pushes and loads: Docker's stream of JSON messages, as lines that update."""

from __future__ import annotations

from ..client.errors import from_response
from ..host.light import Any, Callable, Iterable, TextIO
from .units import human_size

Json = dict[str, Any]

_BAR = 50


def show_progress(
    messages: Iterable[Json], out: TextIO, on_aux: Callable[[Json], None] | None = None
) -> None:
    """Print the messages as they come: on a terminal each layer on its own line, which updates.

    `on_aux` gets the `aux` objects (the id of what was made). Raises BayError for an `error` among
    the messages: the HTTP status had been sent before it happened.
    """
    board = _Board(out) if out.isatty() else None
    for message in messages:
        if message.get("error"):
            detail = message.get("errorDetail") or {}
            raise from_response(int(detail.get("code") or 500), str(message["error"]).encode())
        if "aux" in message:
            if on_aux is not None:
                on_aux(message["aux"])
            continue
        if board is not None:
            board.show(message)
        elif not message.get("progressDetail") or not message["progressDetail"].get("total"):
            out.write(_plain(message))
            out.flush()


def drain(messages: Iterable[Json]) -> None:
    """Follow the messages without printing; raises as `show_progress` does."""
    for message in messages:
        if message.get("error"):
            raise from_response(500, str(message["error"]).encode())


def _plain(message: Json) -> str:
    """A message as a line of a log; updates of figures are left out by the caller."""
    if "stream" in message:
        return str(message["stream"])
    status = message.get("status", "")
    return f"{message['id']}: {status}\n" if message.get("id") else f"{status}\n"


class _Board:
    """The lines on a terminal, one per id, below those that are final."""

    def __init__(self, out: TextIO) -> None:
        self.out = out
        self.lines: dict[str, int] = {}

    def show(self, message: Json) -> None:
        """Print or update one message."""
        key = message.get("id")
        if not key:
            # A line without an id ends the block: what comes later starts a new one.
            self.lines.clear()
            self.out.write(_plain(message))
            self.out.flush()
            return
        width = columns_of(self.out)
        text = f"{key}: {message.get('status', '')} {_bar(message, width)}".rstrip()[: width - 1]
        if key not in self.lines:
            self.lines[key] = len(self.lines)
            self.out.write(f"{text}\n")
        else:
            up = len(self.lines) - self.lines[key]
            # CUU, CR, EL, text, CUD (ECMA-48)
            self.out.write(f"\x1b[{up}A\r\x1b[2K{text}\x1b[{up}B\r")
        self.out.flush()


def columns_of(out: TextIO) -> int:
    """The width of the terminal behind `out`; 80 when it is none."""
    import os

    try:
        return os.get_terminal_size(out.fileno()).columns or 80
    except OSError:
        return 80


def _bar(message: Json, width: int) -> str:
    """The bar and figures of a message; empty when it has none."""
    detail = message.get("progressDetail") or {}
    current, total = detail.get("current") or 0, detail.get("total") or 0
    if not current and not total:
        return ""
    if total <= 0 or current > total:
        return human_size(current, 4)
    figures = f"{human_size(current, 4):>8}/{human_size(total, 4)}"
    if width < 110:
        return figures
    filled = int(_BAR * current / total)
    head = ">" if filled < _BAR else ""
    return f"[{'=' * filled + head:<{_BAR}}] {figures}"
