"""What the engine holds of a container while it lives in memory, and does not survive a restart."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, field

from .console import Console


@dataclass
class Live:
    """One container's lock, console, tasks and those who wait for it.

    `lock` is held over every change of the container's state. `console` is there from just before
    its process starts until its output has ended. `exited` is set while nothing runs.
    """

    lock: asyncio.Lock = field(default_factory=asyncio.Lock)
    console: Console | None = None
    # Called with the console of the next start: attached sessions that came before it.
    pending: list[Callable[[Console], None]] = field(default_factory=list)
    exited: asyncio.Event = field(default_factory=asyncio.Event)
    # Those who wait for the next exit, and for the removal: (exit code, error).
    next_exit: list[asyncio.Future[tuple[int, str]]] = field(default_factory=list)
    removal: list[asyncio.Future[tuple[int, str]]] = field(default_factory=list)
    watch: asyncio.Task[None] | None = None
    restart: asyncio.Task[None] | None = None
    health: asyncio.Task[None] | None = None
    # Between the stop and the start of a restart, `--rm` must not take it away.
    keep: bool = False
    # Nothing that a run needs is left of it: no mount, cgroup, network. Not known of one that an
    # earlier engine made.
    clean: bool = False
    # Seconds until the next automatic restart; doubles up to a minute.
    backoff: float = 0.0

    def __post_init__(self) -> None:
        self.exited.set()

    def settle(self, waiters: list[asyncio.Future[tuple[int, str]]], code: int, error: str) -> None:
        """Tell everyone in `waiters` how it ended, and empty the list."""
        for future in waiters:
            if not future.done():
                future.set_result((code, error))
        waiters.clear()


class Lives:
    """The `Live` of each container by id, made when first asked for."""

    def __init__(self) -> None:
        self._by_id: dict[str, Live] = {}

    def of(self, key: str) -> Live:
        """The live part of the container with id `key`."""
        live = self._by_id.get(key)
        if live is None:
            live = self._by_id[key] = Live()
        return live

    def forget(self, key: str) -> None:
        """Drop it, once the container is removed."""
        self._by_id.pop(key, None)

    def all(self) -> list[Live]:
        """Every live part there is."""
        return list(self._by_id.values())
