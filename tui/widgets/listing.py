"""Tabs that are lists about one object: its processes, its environment, its ports, its events."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from textual.binding import Binding
from textual.message import Message

from ...host.errors import BayError
from .. import listings
from ..cells import Cell, Row
from ..later import Later
from ..source import Source
from .pane import Pane, Searchable
from .table import Table


class Listing(Table, Pane, Searchable):
    """Reads one object's list when it is shown, and again when it may have changed."""

    BINDINGS = [
        Binding("c", "copy_row", "Copy", show=False),
        Binding("o", "open_url", "Open", show=False),
    ]

    class Changed(Message):
        """It was read or searched: what the border says is out of date."""

    def __init__(self, source: Source, kind: str, clock: Callable[[], float]) -> None:
        self._kind = listings.KINDS[kind]
        super().__init__(self._kind.columns, empty="", widget_id=kind, marks=False)
        self._source = source
        self._clock = clock
        self._target = ""
        self._ticks = 0
        self._all: list[Row] = []
        self.query_text = ""

    def show_target(self, kind: str, target: str) -> None:
        """Show the list of `target`; the same one is read again."""
        if target != self._target:
            self._target, self.empty = target, ""
            self._take([])
        if target:
            self.run_worker(Later(self._read, target), group=self.id or "", exclusive=True)

    def tick(self) -> None:
        """Read again, what changes by itself."""
        self._ticks += 1
        if self._kind.every and self._ticks % self._kind.every == 0:
            self.show_target("", self._target)

    def changed(self) -> None:
        """Read again, what changes with the object."""
        if not self._kind.every:
            self.show_target("", self._target)

    async def _read(self, target: str) -> None:
        try:
            reply: Any = await self._kind.read(self._source, target)
            rows = self._kind.build(reply, self._clock())
            note = self._kind.empty
        except BayError as error:
            rows = []
            note = self._kind.empty if self.id == "processes" else str(error)
        if target == self._target:
            self.empty = note
            self._take(rows)

    def _take(self, rows: list[Row]) -> None:
        host = listings.machine(self._source.name)
        self._all = [_placed(row, host) for row in rows] if self.id == "ports" else rows
        self._narrow()

    def _narrow(self) -> None:
        words = self.query_text.lower().split()
        self.show([row for row in self._all if all(word in row.text for word in words)])
        self.post_message(self.Changed())

    # --- what one does with it

    def search(self, query: str) -> None:
        """Show only the rows with these words."""
        self.query_text = query
        self._narrow()

    @property
    def about(self) -> str:
        """How many there are, and the keys."""
        parts: list[str] = []
        if self.query_text:
            parts = [f"[$warn]/{self.query_text}[/] {len(self.rows)} of {len(self._all)}"]
        if self._kind.keys and self.rows and self.has_focus:
            parts.append(self._kind.keys)
        return " · ".join(parts)

    def action_copy_row(self) -> None:
        """Copy what the row stands for: the variable, the address, the command."""
        if self.current is not None:
            copied = str(self.current.sort["copy"])
            self.app.copy_to_clipboard(copied)
            self.notify(f"Copied {copied[:60]}", markup=False)

    def action_open_url(self) -> None:
        """Open a published port in the browser; over SSH there is none here, so it is copied."""
        link = str(self.current.sort["copy"]) if self.current is not None else ""
        if self.id != "ports" or not link:
            return
        from ..browsing import open_link

        if link.startswith("http") and open_link(link):
            self.notify(f"Opening {link}", markup=False)
        else:
            self.app.copy_to_clipboard(link)
            self.notify(f"No browser here: copied {link}", markup=False)


def _placed(row: Row, host: str) -> Row:
    """A port's row with the machine's name in its address."""
    cells: dict[str, Cell] = dict(row.cells)
    cells["url"] = tuple((text.replace("{host}", host), tone) for text, tone in cells["url"])
    copied = str(row.sort["copy"]).replace("{host}", host)
    return Row(row.id, cells, {"copy": copied}, row.text.replace("{host}", host), row.quiet)
