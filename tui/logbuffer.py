"""The lines of a log, bounded: pieces in, whole lines out, searched by text."""

from __future__ import annotations

import contextlib
import re
from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from functools import lru_cache

KEEP = 20_000
LONGEST = 32_768  # characters of a line that are kept

# What a terminal would act on and a list of lines can't: everything but SGR colours and tabs.
_CONTROL = re.compile(
    r"\x1b\][^\x07\x1b]*(?:\x07|\x1b\\)?|\x1b\[[0-?]*[ -/]*[@-ln-~]|\x1b[@-Z\\^_]"
    r"|[\x00-\x08\x0b-\x1a\x1c-\x1f\x7f\x9b]"
)
_SGR = re.compile(r"\x1b\[[0-9;:]*m|\x1b")


@dataclass(frozen=True)
class Line:
    """One line: its number since the log was opened, 1 stdout | 2 stderr, time, text with SGR.

    What was written before the log was opened has negative numbers. `who` is whose line it is, in a
    log merged of several containers: 0 is the first of them.
    """

    number: int
    stream: int
    time: str
    text: str
    who: int = 0

    @property
    def plain(self) -> str:
        """The text without colours."""
        return _SGR.sub("", self.text) if "\x1b" in self.text else self.text


@dataclass
class LogBuffer:
    """`KEEP` lines in a row; `total` is the number after the last one.

    It grows at its end, and the oldest go; or at its beginning (`prepend`), and the newest go.
    """

    stamped: bool = True
    lines: deque[Line] = field(default_factory=lambda: deque(maxlen=KEEP))
    total: int = 0
    _rest: dict[int, str] = field(default_factory=dict)
    _bytes: dict[int, bytes] = field(default_factory=dict)

    def feed(self, stream: int, data: bytes, who: int = 0) -> int:
        """Take what arrived on `stream` of container `who`; the number of lines it completed."""
        stream += who * 4  # what has no newline yet is kept apart for each
        data = self._bytes.pop(stream, b"") + data
        cut = _whole(data)
        self._bytes[stream] = data[cut:]
        *whole, rest = (self._rest.get(stream, "") + data[:cut].decode(errors="replace")).split(
            "\n"
        )
        # An endless line must not grow without bound: its start is shown, the rest is let go.
        self._rest[stream] = rest[: LONGEST + 64]
        for text in whole:
            self._append(stream, text)
        return len(whole)

    def finish(self) -> None:
        """Show what was written without a newline at the end."""
        for stream, rest in self._rest.items():
            if rest:
                self._append(stream, rest)
        self._rest.clear()

    def _append(self, stream: int, text: str) -> None:
        time = ""
        if self.stamped:
            time, _, text = text.partition(" ")
        text = text.rstrip("\r")
        if "\r" in text:  # a progress bar: what a terminal would show last
            text = text[text.rindex("\r") + 1 :]
        text = _CONTROL.sub("", text[:LONGEST]).expandtabs(8)
        self.lines.append(Line(self.total, stream % 4, time, text, stream // 4))
        self.total += 1

    @property
    def first(self) -> int:
        """The number of the oldest line kept."""
        return self.total - len(self.lines)

    def pages(self) -> LogBuffer:
        """A buffer with the same lines, to be grown at its ends apart from this one."""
        return LogBuffer(self.stamped, self.lines.copy(), self.total)

    def prepend(self, lines: list[Line]) -> None:
        """Put `lines` before the first; as many of the newest go as are too many."""
        number = self.first
        for line in reversed(lines):
            number -= 1
            self.lines.appendleft(replace(line, number=number))
        if self.lines:
            self.total = self.lines[-1].number + 1

    def append(self, lines: list[Line]) -> None:
        """Put `lines` after the last; as many of the oldest go as are too many."""
        for line in lines:
            self.lines.append(replace(line, number=self.total))
            self.total += 1

    def get(self, number: int) -> Line | None:
        """Line `number`, None when it is gone or not there yet."""
        index = number - self.first
        return self.lines[index] if 0 <= index < len(self.lines) else None

    def matches(self, query: str) -> Iterator[int]:
        """The numbers of the lines that match `query`."""
        for line in self.lines:
            if matches(line, query):
                yield line.number


def matches(line: Line, query: str) -> bool:
    """Whether `line` contains `query`, or does not where that begins with `!`.

    Capitals count when it has any. Between slashes it is a regular expression, case ignored.
    """
    wanted = query.removeprefix("!")
    if not wanted:
        return True
    return bool(_pattern(wanted).search(line.plain)) != query.startswith("!")


def places(text: str, query: str) -> list[tuple[int, int]]:
    """Where in a line `query` is found, as (start, end); nowhere for one that is inverted."""
    if not query or query.startswith("!"):
        return []
    return [one.span() for one in _pattern(query).finditer(text) if one.end() > one.start()]


@lru_cache(maxsize=16)
def _pattern(wanted: str) -> re.Pattern[str]:
    if len(wanted) > 2 and wanted[0] == wanted[-1] == "/":
        with contextlib.suppress(re.error):  # half typed, or meant as it is
            return re.compile(wanted[1:-1], re.IGNORECASE)
    return re.compile(re.escape(wanted), 0 if wanted != wanted.lower() else re.IGNORECASE)


def _whole(data: bytes) -> int:
    """Where to cut `data` so that no UTF-8 character is split at its end."""
    for back in range(1, min(4, len(data)) + 1):
        byte = data[-back]
        if byte >= 0xC0:
            need = 2 if byte < 0xE0 else 3 if byte < 0xF0 else 4
            return len(data) - back if back < need else len(data)
        if byte < 0x80:
            break
    return len(data)


def stamp(time: str) -> str:
    """An RFC 3339 time as logs show it: the local date is left out, milliseconds kept."""
    return time[11:23].ljust(12, " ") if len(time) >= 23 else time[:12].ljust(12)
