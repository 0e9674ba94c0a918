"""Keeping the firewall in place: ours when somebody deletes it, others' when they come later."""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import Awaitable, Callable

from ..host.errors import BayError
from ..netns import forwarding
from ..netns.linkwatch import LinkWatch
from ..netns.nftwatch import NftWatch

_log = logging.getLogger(__name__)

# Chains of others that decide about our containers' packets.
_OTHERS = {"DOCKER-USER", "FORWARD", "filter_FORWARD"}


class NetKeeper:
    """Listens to the kernel from its making until `close`; belongs to the event loop's thread.

    `restore` puts the table back if it is gone, and tells whether it was. `allow` looks at the
    chains of others: Docker may start after this engine. `keep_apart` at their bridges.
    """

    def __init__(
        self,
        table: str,
        restore: Callable[[], Awaitable[bool]],
        allow: Callable[[], Awaitable[None]],
        keep_apart: Callable[[], Awaitable[None]],
    ) -> None:
        self._table = table
        self._restore = restore
        self._allow = allow
        self._keep_apart = keep_apart
        self._watch = NftWatch()
        self._links = LinkWatch()
        self._task: asyncio.Task[None] | None = None
        self._gone = self._others = self._bridges = False
        self._loop = asyncio.get_running_loop()
        self._loop.add_reader(self._watch.socket, self._changed)
        self._loop.add_reader(self._links.socket, self._linked)

    async def close(self) -> None:
        """Listen no longer, and wait for work that is under way. Idempotent."""
        if self._watch.socket.fileno() < 0:
            return
        for each in self._watch, self._links:
            self._loop.remove_reader(each.socket)
            each.close()
        if self._task is not None:
            with contextlib.suppress(asyncio.CancelledError):
                await self._task

    def _changed(self) -> None:
        changes = self._watch.read()
        # Our own reloads delete the table too, in one transaction with its successor.
        self._gone = self._gone or changes.lost or self._table in changes.deleted
        self._others = self._others or changes.lost or bool(_OTHERS & changes.chains)
        self._wake()

    def _linked(self) -> None:
        names, lost = self._links.read()
        self._bridges = self._bridges or lost or any(map(forwarding.is_other, names))
        self._wake()

    def _wake(self) -> None:
        wanted = self._gone or self._others or self._bridges
        if wanted and (self._task is None or self._task.done()):
            self._task = asyncio.ensure_future(self._work())

    async def _work(self) -> None:
        while self._gone or self._others or self._bridges:
            gone, self._gone = self._gone, False
            others, self._others = self._others, False
            bridges, self._bridges = self._bridges, False
            try:
                if gone and await self._restore():
                    _log.warning("nft table %s was deleted; it is back in place", self._table)
                if bridges:
                    await self._keep_apart()
                if others:
                    await self._allow()
            except (BayError, OSError) as error:
                _log.error("the firewall (nft table %s): %s", self._table, error)
