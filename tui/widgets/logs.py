"""The Logs tab: the log of one container or of several merged, followed and paged over the API."""

from __future__ import annotations

import asyncio
import heapq
import os
import time
from collections.abc import Coroutine, Mapping
from pathlib import Path
from typing import Any, NamedTuple

from textual.binding import Binding
from textual.markup import escape
from textual.worker import Worker

from ...host.errors import BayError
from ..later import Later
from ..logbuffer import Line, LogBuffer, matches
from ..logpages import LogPages, after, parts, save, since
from ..model import Json, Model, container_name
from ..screens.ask import Ask
from ..source import Source
from .logview import ALL, LogView
from .pane import Pane

TAIL = 2000  # lines asked for at first
MERGED = 500  # of each, when several are merged
PATIENCE = 6.0  # seconds that one of several logs is waited for
FAR = 200  # pages looked through by one search


class Origin(NamedTuple):
    """Where the log of a container of another host is read, and how that host is called."""

    source: Source
    model: Model
    host: str


class Logs(LogView, Pane):
    """A LogView that follows the log of the container it is told to show.

    `live` is what is followed. Who goes up beyond it sees a buffer of its own, which is filled page
    by page and dropped when its end meets the live one again: so memory stays bounded, and no line
    of the log is out of reach.
    """

    BINDINGS = [
        Binding("home,g", "beginning", "First line", show=False),
        Binding("T", "ask_since", "Since", show=False),
        Binding("W", "ask_file", "Save", show=False),
        Binding("c", "copy_lines", "Copy what is seen", show=False),
    ]

    def __init__(self, source: Source, model: Model, *, widget_id: str | None = None) -> None:
        super().__init__(widget_id=widget_id)
        self._source = source
        self._model = model
        self._targets: list[str] = []
        self.elsewhere: Mapping[
            str, Origin
        ] = {}  # by id, where those that are merged are of several hosts
        self._ttys: dict[str, bool] = {}
        self._since = ""
        self._words = ""
        self.live = self.buffer
        self._worker: Worker[None] | None = None
        self._start = False  # whether the first line of the page buffer is the log's first
        self._by_time = False  # whether the page buffer's numbers are not those of the live one

    # --- what is shown

    def show_target(self, kind: str, target: str) -> None:
        """Follow the log of a container (an id, "" for none)."""
        self.merge([target] if target else [])

    def merge(self, targets: list[str]) -> None:
        """Follow the logs of `targets`, in one if they are several."""
        if targets != self._targets:
            self._targets = targets
            self._since = self._words = ""
            self.reread()

    def restarted(self, target: str) -> None:
        """The container runs again: its log goes on."""
        if target in self._targets:
            self.reread()

    def reread(self) -> None:
        """Follow anew."""
        if self._worker is not None:
            self._worker.cancel()
        self.names = [self._called(one) for one in self._targets] if len(self._targets) > 1 else []
        self.clear("" if self._targets else "No container chosen.")
        self.live, self._start, self._by_time = self.buffer, False, False
        if self._targets:
            self._worker = self.run_worker(Later(self._serve), group="logs", exclusive=True)

    def _called(self, target: str) -> str:
        origin = self._origin(target)
        summary = origin.model.container(target)
        name = container_name(summary) if summary else target[:12]
        return f"{origin.host}:{name}" if origin.host else name

    def _origin(self, target: str) -> Origin:
        return self.elsewhere.get(target) or Origin(self._source, self._model, "")

    async def _serve(self) -> None:
        buffer, targets = self.live, self._targets
        try:
            if len(targets) == 1:
                await self._look_at(targets[0])
                await self._follow(buffer, targets[0], 0)
            else:
                await self._merged(buffer, targets)
            self.note = "No output."
        except BayError as error:
            self.note = str(error)
        buffer.finish()
        self.grew()

    async def _look_at(self, target: str) -> None:
        details: Json = await self._origin(target).source.get(f"/containers/{target}/json")
        self._ttys[target] = bool(details["Config"]["Tty"])

    async def _follow(self, buffer: LogBuffer, target: str, who: int, begin: str = "") -> None:
        query = {"follow": True, "stdout": True, "stderr": True, "timestamps": True}
        begin = begin or self._since
        place = {"since": begin} if begin else {"tail": TAIL}
        path = f"/containers/{target}/logs"
        source = self._origin(target).source
        async with source.stream("GET", path, {**query, **place}) as pieces:
            self.note = "No output yet."
            self.refresh()
            async for stream, data in parts(pieces, self._ttys[target]):
                if buffer.feed(stream, data, who):
                    self.grew()
                # A flood must leave the loop to keys and other streams.
                await asyncio.sleep(0)

    async def _merged(self, buffer: LogBuffer, targets: list[str]) -> None:
        """The last lines of all by time, then each as it comes."""
        tails = await asyncio.gather(
            *(self._last(buffer, target, who) for who, target in enumerate(targets))
        )
        marked = [
            [(one.time, one.stream, who, one.text) for one in t] for who, t in enumerate(tails)
        ]
        for when, stream, who, text in heapq.merge(*marked):
            buffer.feed(stream, f"{when} {text}\n".encode(), who)
        self.grew()
        async with asyncio.TaskGroup() as group:
            for who, (target, lines) in enumerate(zip(targets, tails, strict=True)):
                if target not in self._ttys:  # it could not be asked, which was said
                    continue
                begin = after(lines[-1]) if lines else "0"
                group.create_task(self._quietly(buffer, target, who, begin))

    async def _quietly(self, buffer: LogBuffer, target: str, who: int, begin: str) -> None:
        try:
            await self._follow(buffer, target, who, begin)
        except BayError as error:  # one that is gone must not end the others
            buffer.feed(2, f"- {error}\n".encode(), who)
            self.grew()

    async def _last(self, buffer: LogBuffer, target: str, who: int) -> list[Line]:
        """The last lines of one of several; of one that can't be had, why, in their place."""
        place = {"since": self._since} if self._since else {"tail": MERGED}
        try:
            async with asyncio.timeout(PATIENCE):
                await self._look_at(target)
                return await self._pages(target).take(**place)
        except TimeoutError:
            error: object = f"no answer for {PATIENCE:.0f} s"
        except BayError as raised:
            error = raised
        self._ttys.pop(target, None)
        buffer.feed(2, f"- {error}\n".encode(), who)
        return []

    def _pages(self, target: str) -> LogPages:
        return LogPages(self._origin(target).source, target, self._ttys[target])

    # --- beyond what is followed

    @property
    def _pageable(self) -> bool:
        return len(self._targets) == 1 and self._targets[0] in self._ttys

    def want_older(self) -> None:
        """Fetch the page before the first line."""
        if self._pageable and not self._start:
            self.run_worker(Later(self._older), group="pages", exclusive=True)

    async def _older(self) -> int:
        """Fetch the page before the first line; how many lines it had."""
        buffer, first = self.buffer, self.buffer.get(self.buffer.first)
        if first is None or self._start:
            return 0
        behind = self.live.total - first.number
        lines = await self._fetch(self._pages(self._targets[0]).before(first, behind))
        if self.buffer is not buffer or lines is None:
            return 0
        self._start = not lines
        if lines:
            pages = buffer.pages() if buffer is self.live else buffer
            pages.prepend(lines)
            self.following = False
            self.use(pages)
        return len(lines)

    def want_newer(self) -> None:
        """Go on after the page that is shown, or meet what is followed."""
        if self.buffer is not self.live:
            self.following = False
            self.run_worker(Later(self._newer), group="pages", exclusive=True)

    async def _newer(self) -> None:
        pages, last = self.buffer, self.buffer.get(self.buffer.total - 1)
        if last is None or (not self._by_time and self.live.get(last.number) is not None):
            self._live_again(not self._by_time)
            return
        lines = await self._fetch(self._pages(self._targets[0]).after(last))
        if self.buffer is not pages or lines is None:
            return
        if not lines:
            self._live_again(False)
            return
        pages.append(lines)
        self._start = False
        self._restyle()

    def _live_again(self, stay: bool) -> None:
        self._start = self._by_time = False
        self.following = not stay
        self.use(self.live)

    async def _fetch(self, asked: Coroutine[Any, Any, list[Line]]) -> list[Line] | None:
        try:
            return await asked
        except BayError as error:
            self.notify(str(error), severity="error", markup=False)
            return None

    def action_follow(self) -> None:
        """Go to the end of what is followed and stay there."""
        if self.buffer is not self.live:
            self._live_again(False)
        super().action_follow()

    def action_beginning(self) -> None:
        """Go to the first line the engine has of the log."""
        self.action_first()
        if self._pageable and not self._since:
            self.run_worker(Later(self._beginning), group="pages", exclusive=True)

    async def _beginning(self) -> None:
        lines = await self._fetch(self._pages(self._targets[0]).beginning())
        if lines:
            pages = LogBuffer()
            pages.append(lines)
            self._start = self._by_time = True
            self.use(pages)
            self.action_first()

    def search_beyond(self, direction: int) -> bool:
        """No match here any more: look through the pages before, until one has it."""
        if direction > 0 or not self._pageable or self._start:
            return False
        self.run_worker(Later(self._hunt), group="pages", exclusive=True)
        return True

    async def _hunt(self) -> None:
        for _ in range(FAR):
            count, first = await self._older(), self.buffer.first
            if not count:
                self.notify("No match before this one.", markup=False)
                return
            fresh = (self.buffer.get(number) for number in range(first, first + count))
            if any(line is not None and matches(line, self.query_text) for line in fresh):
                self.action_next_match(-1)
                return

    # --- since, save, copy

    def action_ask_since(self) -> None:
        """Ask from when on the log is shown."""
        title = "Logs since: 10m, 2h, 14:30, 2026-01-31 14:30; nothing for all"
        self.app.push_screen(Ask("Since", title, self._words), self._begin)

    def _begin(self, words: str | None) -> None:
        if words is None:
            return
        try:
            self._since = since(words, time.time()) if words.strip() else ""
        except ValueError as error:
            self.notify(str(error), severity="error", markup=False)
            return
        self._words = words.strip()
        self.reread()

    def action_ask_file(self) -> None:
        """Ask where the whole log goes, then write it there."""
        if self._targets:
            name = "+".join(self._called(one) for one in self._targets[:3])
            title = "Save the whole log to this file of the machine the screen runs on"
            if self.query_text and self.only != ALL:
                title = f"Save the lines that match “{self.query_text}” to this file"
            name = name.replace(":", "-")
            self.app.push_screen(Ask("Save", title, f"{name}.log"), self._save)

    def _save(self, path: str | None) -> None:
        if path and path.strip():
            query = self.query_text if self.only != ALL else ""
            readers = [
                (self._called(one), self._pages(one)) for one in self._targets if one in self._ttys
            ]
            to = Path(os.path.expanduser(path.strip()))
            self.run_worker(Later(self._write, to, readers, query))

    async def _write(self, path: Path, readers: list[tuple[str, LogPages]], query: str) -> None:
        try:
            count = await save(path, readers, query, self.times, self._since)
        except (OSError, BayError) as error:
            reason = getattr(error, "strerror", None) or str(error)
            text = f"Cannot save to {path}: {reason}"
            self.notify(text, severity="error", markup=False)
        else:
            self.notify(f"{count} lines in {path}", title="Saved", markup=False)

    def action_copy_lines(self) -> None:
        """Copy the lines that are seen."""
        numbers = dict.fromkeys(number for number, _ in self._places)
        lines = [line.plain for one in numbers if (line := self.buffer.get(one)) is not None]
        self.app.copy_to_clipboard("\n".join(lines))
        self.notify(f"Copied {len(lines)} lines", markup=False)

    @property
    def about(self) -> str:
        """What the border says of it, in markup."""
        words = [super().about]
        if len(self._targets) > 1:
            words.insert(0, f"[$accent]{len(self._targets)} merged[/]")
        if self._words:
            words.insert(0, f"since {escape(self._words)}")
        if self.buffer is not self.live:
            words.insert(0, "from its first line" if self._start else "older pages")
        return " · ".join(words)
