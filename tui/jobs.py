"""Work that takes long: how far it is, how fast it goes, how long it has still, and its end."""

from __future__ import annotations

import asyncio
import contextlib
import os
import shlex
import time
from collections import deque
from collections.abc import AsyncIterator
from pathlib import Path
from urllib.parse import quote

from ..host.errors import BayError
from .model import Json
from .source import Source

WINDOW = 8.0  # seconds over which the speed is measured
PIECE = 1 << 20


class Job:
    """One piece of long work. `run` is a coroutine that may be cancelled at any moment.

    `current` and `total` are bytes, `total` 0 where nobody knows it; errors end up in `error`.
    """

    verb = "Working on"
    past = "Done"

    def __init__(self, what: str, command: str) -> None:
        self.what = what
        self.command = command
        self.current = 0
        self.total = 0
        self.status = ""
        self.error = ""
        self.over = False
        self.cancelled = False
        self._marks: deque[tuple[float, int]] = deque([(time.monotonic(), 0)])

    @property
    def title(self) -> str:
        """What is done to what."""
        return f"{self.verb} {self.what}"

    @property
    def share(self) -> float:
        """How far it is, 0 to 1; 0 while nobody knows."""
        return min(1.0, self.current / self.total) if self.total else 0.0

    def moved(self, now: float) -> tuple[float, float | None]:
        """Bytes per second lately, and the seconds left, None when that can't be told.

        Called again and again: each call is one measurement, at `now` (monotonic seconds).
        """
        self._marks.append((now, self.current))
        while len(self._marks) > 2 and now - self._marks[0][0] > WINDOW:
            self._marks.popleft()
        began, before = self._marks[0]
        speed = max(0.0, (self.current - before) / (now - began)) if now > began else 0.0
        left = (self.total - self.current) / speed if self.total and speed > 0 else None
        return speed, left

    async def run(self, source: Source) -> None:
        """Do it all; what goes wrong ends up in `error`."""
        try:
            await self.work(source)
        except asyncio.CancelledError:
            self.cancelled = True
            raise
        except BayError as error:
            self.error = self.error or str(error)
        except OSError as error:
            self.error = f"{error.filename or self.what}: {error.strerror or error}"
        except (KeyError, TypeError, ValueError, AttributeError) as error:  # of an odd message
            self.error = f"What answers at {source.name} speaks another language: {error!r}"
        finally:
            self.over = True

    async def work(self, source: Source) -> None:
        """The work itself. Raises BayError, OSError."""
        raise NotImplementedError


class Save(Job):
    """Images into a tar archive on this machine: whole or not there."""

    verb, past = "Saving", "Saved"

    def __init__(self, names: list[str], to: Path, total: int) -> None:
        words = ["bay", "save", "-o", str(to), *names]
        super().__init__(" ".join(names), shlex.join(words))
        self.names = names
        self.to = to
        self.total = total
        self.status = f"into {to}"

    async def work(self, source: Source) -> None:
        """Write beside the file, then rename."""
        part = self.to.with_name(f".{self.to.name}.part")
        try:
            with open(part, "wb") as file:
                query = "&".join(f"names={quote(name)}" for name in self.names)
                async with source.stream("GET", f"/images/get?{query}") as pieces:
                    async for piece in pieces:
                        await asyncio.to_thread(file.write, piece)
                        self.current += len(piece)
            os.rename(part, self.to)
        finally:
            with contextlib.suppress(FileNotFoundError):
                part.unlink()


class Load(Job):
    """A tar archive of this machine into the engine."""

    verb, past = "Loading", "Loaded"

    def __init__(self, path: Path) -> None:
        super().__init__(str(path), shlex.join(["bay", "load", "-i", str(path)]))
        self.path = path

    async def work(self, source: Source) -> None:
        """Send it piece by piece."""
        self.total = self.path.stat().st_size
        headers = {"Content-Type": "application/x-tar"}
        async with source.send("POST", "/images/load", {"quiet": True}, self._read(), headers) as (
            messages
        ):
            async for message in messages:
                take(self, message)

    async def _read(self) -> AsyncIterator[bytes]:
        with open(self.path, "rb") as file:
            while data := await asyncio.to_thread(file.read, PIECE):
                yield data
                self.current += len(data)
        self.status = "the engine unpacks it"


def take(job: Job, message: Json) -> None:
    """A message of one of Docker's streams that says how it stands, or what failed."""
    if message.get("error"):
        job.error = str(message["error"])
    elif words := str(message.get("status") or message.get("stream") or "").strip():
        job.status = words
