"""Who uses which cache mount now: several steps at once, one after the other, or each its own."""

from __future__ import annotations

import asyncio
from collections import Counter, defaultdict
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager


class MountLocks:
    """Of one engine; made on its loop."""

    def __init__(self) -> None:
        self._locks: defaultdict[str, asyncio.Lock] = defaultdict(asyncio.Lock)
        self._users: Counter[str] = Counter()

    def in_use(self, key: str) -> bool:
        """Whether a step has the mount."""
        return self._users[key] > 0

    @asynccontextmanager
    async def use(self, key: str, sharing: str) -> AsyncIterator[str]:
        """Hold a mount as its `sharing` says (shared, locked, private); the key to use.

        A private one that is in use gives way to another, which later steps find again.
        """
        if sharing == "private":
            number, wanted = 0, key
            while self.in_use(wanted):
                number += 1
                wanted = f"{key}-{number}"
            key = wanted
        lock = self._locks[key] if sharing == "locked" else None
        if lock is not None:
            await lock.acquire()
        self._users[key] += 1
        try:
            yield key
        finally:
            self._users[key] -= 1
            if lock is not None:
                lock.release()
