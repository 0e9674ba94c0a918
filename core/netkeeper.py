"""Keeping the firewall in place: ours when somebody deletes it, others' when they come later."""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import Awaitable, Callable

from ..host.errors import BayError
from ..netns.nftwatch import NftWatch

_log = logging.getLogger(__name__)

# Chains of others that decide about our containers' packets.
_OTHERS = {"DOCKER-USER", "FORWARD"}


class NetKeeper:
    """Listens to nftables from its making until `close`; belongs to the event loop's thread.

    `restore` puts the table back if it is gone, and tells whether it was. `allow` looks at the
    chains of others: Docker may start after this engine.
    """

    def __init__(
        self,
        table: str,
        restore: Callable[[], Awaitable[bool]],
        allow: Callable[[], Awaitable[None]],
    ) -> None:
        self._table = table
        self._restore = restore
        self._allow = allow
        self._watch = NftWatch()
        self._task: asyncio.Task[None] | None = None
        self._gone = self._others = False
        self._loop = asyncio.get_running_loop()
        self._loop.add_reader(self._watch.socket, self._changed)

    async def close(self) -> None:
        """Listen no longer, and wait for work that is under way. Idempotent."""
        if self._watch.socket.fileno() < 0:
            return
        self._loop.remove_reader(self._watch.socket)
        self._watch.close()
        if self._task is not None:
            with contextlib.suppress(asyncio.CancelledError):
                await self._task

    def _changed(self) -> None:
        changes = self._watch.read()
        # Our own reloads delete the table too, in one transaction with its successor.
        self._gone = self._gone or changes.lost or self._table in changes.deleted
        self._others = self._others or changes.lost or bool(_OTHERS & changes.chains)
        if (self._gone or self._others) and (self._task is None or self._task.done()):
            self._task = asyncio.ensure_future(self._work())

    async def _work(self) -> None:
        while self._gone or self._others:
            gone, self._gone = self._gone, False
            others, self._others = self._others, False
            try:
                if gone and await self._restore():
                    _log.warning("nft table %s was deleted; it is back in place", self._table)
                if others:
                    await self._allow()
            except (BayError, OSError) as error:
                _log.error("the firewall (nft table %s): %s", self._table, error)
