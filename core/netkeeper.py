"""Keeping the firewall in place: it is put back when somebody deletes it."""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import Awaitable, Callable

from ..host.errors import BayError
from ..netns.nftwatch import NftWatch

_log = logging.getLogger(__name__)


class NetKeeper:
    """Listens to nftables from its making until `close`; belongs to the event loop's thread.

    `restore` puts the table back if it is gone, and tells whether it was.
    """

    def __init__(self, table: str, restore: Callable[[], Awaitable[bool]]) -> None:
        self._table = table
        self._restore = restore
        self._watch = NftWatch()
        self._task: asyncio.Task[None] | None = None
        self._again = False
        self._loop = asyncio.get_running_loop()
        self._loop.add_reader(self._watch.socket, self._changed)

    async def close(self) -> None:
        """Listen no longer, and wait for a restoration that is under way. Idempotent."""
        if self._watch.socket.fileno() < 0:
            return
        self._loop.remove_reader(self._watch.socket)
        self._watch.close()
        if self._task is not None:
            with contextlib.suppress(asyncio.CancelledError):
                await self._task

    def _changed(self) -> None:
        # Our own reloads delete the table too, in one transaction with its successor.
        if self._watch.deleted(self._table):
            self._again = True
            if self._task is None or self._task.done():
                self._task = asyncio.ensure_future(self._work())

    async def _work(self) -> None:
        while self._again:
            self._again = False
            try:
                if await self._restore():
                    _log.warning("nft table %s was deleted; it is back in place", self._table)
            except (BayError, OSError) as error:
                _log.error("nft table %s cannot be put back: %s", self._table, error)
