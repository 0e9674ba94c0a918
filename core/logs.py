"""Reading a container's log: what conmon wrote, in the k8s-file format, and what it will write.

A line is `TIME STREAM TAG text`, the tag `F` when the text ended with a newline and `P` when it did
not (a prompt, or 8 KiB of a longer line): parts are joined. Older lines may be in rotated files,
`ctr.log.1` the newest of them.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import time
from collections.abc import AsyncIterator, Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from ..host import clock
from ..host.inotify import CREATE, MODIFY, MOVED_TO, Inotify
from ..host.threads import offload

_BLOCK = 256 << 10
_BACK = 64 << 10
# Parts of a line without an end are given out when they are this long together.
_LONGEST = 1 << 20
# How often a follower asks whether the container still runs when nothing tells it.
_POLL = 1.0
_STREAMS = {b"stdout": 1, b"stderr": 2}


@dataclass(frozen=True, slots=True)
class LogEntry:
    """One line of output: `stream` 1 stdout or 2 stderr, `ns` since 1970, `data` with newline.

    Without the newline when the output had none: the last line, or a very long one's part.
    """

    stream: int
    ns: int
    data: bytes


class Joiner:
    """Makes entries of log lines: parses them, and joins parts to whole lines."""

    def __init__(self) -> None:
        self._pending: dict[int, tuple[int, bytearray]] = {}
        self._second = b""
        self._second_ns = 0

    def feed(self, line: bytes) -> LogEntry | None:
        """The entry that `line` (without its newline) completes. Other lines are skipped."""
        fields = line.split(b" ", 3)
        if len(fields) < 4 or (stream := _STREAMS.get(fields[1])) is None:
            return None
        ns = self._time(fields[0])
        if ns is None:
            return None
        text = fields[3]
        whole = fields[2].startswith(b"F")
        if stream in self._pending:
            ns, parts = self._pending[stream]
            parts += text
            if not whole and len(parts) < _LONGEST:
                return None
            del self._pending[stream]
            return LogEntry(stream, ns, bytes(parts) + (b"\n" if whole else b""))
        if whole:
            return LogEntry(stream, ns, text + b"\n")
        self._pending[stream] = (ns, bytearray(text))
        return None

    def flush(self) -> Iterator[LogEntry]:
        """What has no newline yet."""
        for stream, (ns, parts) in sorted(self._pending.items(), key=lambda item: item[1][0]):
            yield LogEntry(stream, ns, bytes(parts))
        self._pending.clear()

    def _time(self, text: bytes) -> int | None:
        """RFC 3339 to ns. Only a new second is parsed in full: lines come in bursts."""
        second = text[:19] + text[29:]
        if second != self._second:
            try:
                self._second_ns = clock.to_ns(second.decode("ascii"))
            except ValueError:
                return None
            self._second = second
        fraction = text[20:29]
        return self._second_ns + int(fraction) if fraction.isdigit() else None


async def read(
    path: Path,
    *,
    follow: bool = False,
    since: int = 0,
    until: int = 0,
    tail: int | None = None,
    running: Callable[[], bool] = lambda: False,
    exit_file: Path | None = None,
) -> AsyncIterator[LogEntry]:
    """The entries of the log at `path`, and with `follow` those to come while `running()`.

    `since` and `until` are ns since 1970, 0 for no limit; `tail` is how many of the last entries
    to begin with. Waits on inotify; ends at the exit of the container, when conmon moves its code
    to `exit_file`. An absent log is empty.
    """
    reader = _Reader(path)
    try:
        await offload(reader.open, tail, follow)
        woken = asyncio.Event()
        ended = False
        watches = []
        if follow and path.parent.is_dir():

            def changed(_mask: int, name: str) -> None:
                if name in (path.name, ""):
                    woken.set()

            def exited(mask: int, name: str) -> None:
                nonlocal ended
                if exit_file is not None and name in (exit_file.name, ""):
                    ended = ended or bool(mask & MOVED_TO)
                    woken.set()

            # Over the host's limit of watches it goes on by looking every `_POLL` seconds.
            with contextlib.suppress(OSError):
                shared = Inotify.shared()
                watches.append(shared.watch(path.parent, MODIFY | CREATE | MOVED_TO, changed))
                if exit_file is not None:
                    watches.append(shared.watch(exit_file.parent, MOVED_TO, exited))
        try:
            while True:
                last = not follow or ended or not running()
                woken.clear()
                entries = await offload(reader.next)
                for entry in entries or ():
                    if until and entry.ns > until:
                        return
                    if entry.ns >= since:
                        yield entry
                if entries is not None:
                    continue
                if last or (until and time.time_ns() > until):
                    break
                await _wait(woken, until)
            for entry in reader.joiner.flush():
                if entry.ns >= since and not (until and entry.ns > until):
                    yield entry
        finally:
            for watch in watches:
                watch.close()
    finally:
        reader.close()


async def _wait(woken: asyncio.Event, until: int) -> None:
    timeout = _POLL
    if until:
        timeout = min(timeout, max(0.0, (until - time.time_ns()) / 1e9))
    try:
        await asyncio.wait_for(woken.wait(), timeout)
    except TimeoutError:
        pass


class _Reader:
    """The log's files from old to new as one stream; blocks, so it runs in threads."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._fd = -1
        self._later: list[int] = []
        self._rest = b""
        # Where the newest file ended, when that is the end.
        self._end: int | None = None
        self.joiner = Joiner()

    def open(self, tail: int | None, follow: bool) -> None:
        """Open every file there is, at the beginning or before the last `tail` entries.

        Without `follow` what is written from now on is left out.
        """
        files = [os.open(path, os.O_RDONLY | os.O_CLOEXEC) for path in _files(self._path)]
        if files and not follow:
            self._end = os.fstat(files[-1]).st_size
        if tail is not None:
            wanted = tail
            for index in range(len(files) - 1, -1, -1):
                offset, found = _tail_offset(files[index], wanted)
                os.lseek(files[index], offset, os.SEEK_SET)
                wanted -= found
                if wanted <= 0:
                    for older in files[:index]:
                        os.close(older)
                    files = files[index:]
                    break
        self._later = files
        self._advance()

    def _advance(self) -> bool:
        if not self._later:
            return False
        if self._fd >= 0:
            os.close(self._fd)
        self._fd = self._later.pop(0)
        return True

    def next(self) -> list[LogEntry] | None:
        """The next entries, perhaps none; None at the end of what is there now."""
        if self._fd < 0 and not self._reopened():
            return None
        size = _BLOCK
        if self._end is not None and not self._later:
            size = max(0, min(size, self._end - os.lseek(self._fd, 0, os.SEEK_CUR)))
        block = os.read(self._fd, size)
        if not block and self._end is not None:
            return [] if self._advance() else None
        if not block:
            return [] if self._advance() or self._reopened() else None
        lines = (self._rest + block).split(b"\n")
        self._rest = lines.pop()
        return [entry for line in lines if (entry := self.joiner.feed(line)) is not None]

    def _reopened(self) -> bool:
        """Whether the log is another file now (rotated), or a shorter one (truncated)."""
        try:
            fd = os.open(self._path, os.O_RDONLY | os.O_CLOEXEC)
        except FileNotFoundError:
            return False
        if self._fd >= 0:
            new, old = os.fstat(fd), os.fstat(self._fd)
            if (new.st_dev, new.st_ino) == (old.st_dev, old.st_ino):
                os.close(fd)
                if new.st_size >= os.lseek(self._fd, 0, os.SEEK_CUR):
                    return False
                self._rest = b""
                os.lseek(self._fd, 0, os.SEEK_SET)
                return True
            os.close(self._fd)
        self._fd = fd
        return True

    def close(self) -> None:
        """Close the files."""
        for fd in [self._fd, *self._later]:
            if fd >= 0:
                os.close(fd)
        self._fd, self._later = -1, []


def _files(path: Path) -> list[Path]:
    """The log and what was rotated away, the oldest first."""
    rotated = []
    for entry in path.parent.glob(f"{path.name}.*") if path.parent.is_dir() else ():
        number = entry.name[len(path.name) + 1 :]
        if number.isdecimal():
            rotated.append((int(number), entry))
    older = [entry for _, entry in sorted(rotated, reverse=True)]
    return [*older, *([path] if path.exists() else [])]


def _tail_offset(fd: int, count: int) -> tuple[int, int]:
    """Where the last `count` entries begin, and how many of them are in this file."""
    end = os.fstat(fd).st_size
    position, rest, found = end, b"", 0
    if count <= 0:
        return end, 0
    last = True
    while position > 0:
        size = min(_BACK, position)
        position -= size
        block = os.pread(fd, size, position) + rest
        lines = block.split(b"\n")
        rest = lines[0]
        offset = position + len(block)
        for line in reversed(lines[1:]):
            offset -= len(line)
            whole = _is_whole(line)
            # Parts at the very end are an entry of their own: their newline is yet to come.
            if line and (whole or last):
                if found == count:
                    return offset + len(line) + 1, found
                found += 1
                last = False
            offset -= 1
    if rest and (_is_whole(rest) or last):
        if found == count:
            return len(rest) + 1, found
        found += 1
    return 0, found


def _is_whole(line: bytes) -> bool:
    fields = line.split(b" ", 3)
    return len(fields) > 2 and fields[2].startswith(b"F")
