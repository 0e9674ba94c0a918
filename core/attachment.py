"""A client attached to a container: before its start, while it runs, or to its log only."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import AsyncIterator

from ..host.errors import ConflictError
from .console import Console, Session
from .live import Live
from .logs import LogEntry


class Attachment:
    """Reads a container's output and feeds its input; what the API hands to a hijacked connection.

    A container that does not run yet is waited for: `docker run` attaches first and starts then,
    so that no byte is lost. A `patient` one came before the start: the process waits for it as
    for a pipe. `read` gives (1 stdout or 2 stderr, bytes), and None at the end.
    """

    def __init__(
        self,
        live: Live,
        *,
        stdin: bool,
        patient: bool,
        streams: frozenset[int],
        logs: AsyncIterator[LogEntry] | None,
    ) -> None:
        self._live = live
        self._stdin = stdin
        self._patient = patient
        self._streams = streams
        self._logs = logs
        self._session: Session | None = None
        self._bound = asyncio.Event()
        self._closed = False
        self._early: deque[bytes] = deque()
        self._early_eof = False

    def follow(self) -> None:
        """Bind to the running container's console, or to that of its next start."""
        if self._live.console is not None:
            self._bind(self._live.console)
        else:
            self._live.pending.append(self._bind)

    def _bind(self, console: Console) -> None:
        if not self._closed:
            self._session = console.session(self._stdin, patient=self._patient)
        self._bound.set()

    def end(self) -> None:
        """Nothing will follow: what was waited for never started."""
        self._closed = True
        self._bound.set()

    async def read(self) -> tuple[int, bytes] | None:
        """The next piece of output: first the log that was asked for, then the live stream."""
        while self._logs is not None:
            entry = await anext(self._logs, None)
            if entry is None:
                self._logs = None
            elif entry.stream in self._streams:
                return entry.stream, entry.data
        await self._bound.wait()
        if self._session is None:
            return None
        await self._flush()
        while True:
            packet = await self._session.read()
            if packet is None or packet[0] in self._streams:
                return packet

    async def write(self, data: bytes) -> None:
        """Send `data` to the process's standard input; kept until the process is there."""
        if not self._stdin:
            return
        if self._session is None or self._early:
            if sum(map(len, self._early)) > 1 << 20:
                # Nobody types a megabyte to a process that has not started: wait for it.
                await self._bound.wait()
            self._early.append(data)
            if self._session is not None:
                await self._flush()
            return
        await self._session.write(data)

    async def _flush(self) -> None:
        session = self._session
        if session is None:
            return
        while self._early:
            await session.write(self._early.popleft())
        if self._early_eof:
            self._early_eof = False
            await session.close_stdin()

    async def close_stdin(self) -> None:
        """The client's input has ended."""
        if self._session is None:
            self._early_eof = True
        else:
            await self._flush()
            await self._session.close_stdin()

    async def resize(self, rows: int, columns: int) -> None:
        """Tell the terminal its size. Raises ConflictError while nothing runs."""
        if self._live.console is None:
            raise ConflictError("cannot resize a stopped container")
        await self._live.console.resize(rows, columns)

    def close(self) -> None:
        """Let go; the container and the other clients do not notice."""
        self._closed = True
        if self._bind in self._live.pending:
            self._live.pending.remove(self._bind)
        if self._session is not None:
            self._session.close()
        self._bound.set()
