"""Tabs that are lists about one object: its processes, its changed files, its layers."""

from __future__ import annotations

from collections.abc import Callable

from ...host.errors import BayError
from .. import listings
from ..source import Source
from .table import Table


class Listing(Table):
    """Reads one object's list when it is shown, and again when it is told."""

    def __init__(self, source: Source, kind: str, clock: Callable[[], float]) -> None:
        super().__init__(
            listings.COLUMNS[kind], empty=listings.EMPTY[kind], widget_id=kind, marks=False
        )
        self._source = source
        self._kind = kind
        self._clock = clock
        self._target = ""

    def show_target(self, target: str) -> None:
        """Show the list of `target`, an id as the API takes it; "" for none."""
        if target != self._target:
            self._target = target
            self.show([])
        if target:
            self.run_worker(self._read(target), group=self._kind, exclusive=True)

    def tick(self) -> None:
        """Read again, what changes by itself."""
        self.show_target(self._target)

    async def _read(self, target: str) -> None:
        try:
            reply = await self._source.get(listings.PATHS[self._kind].format(target))
        except BayError:
            reply = None  # it is not running, or gone: the list is empty, which says so
        if target == self._target:
            self.show(listings.build(self._kind, reply, self._clock()))
