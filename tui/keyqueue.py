"""Keys in the order of what they do: a key is seen by what the key before it brought up.

Textual hands a key to what has the focus when the key arrives, while the one before may still be on
its way through the widgets: who types `/web` quickly would have the `w` in the list. Here a key
waits until the one before it is done, the screen it opened stands and the focus it moved is there.
"""

from __future__ import annotations

import asyncio
from collections import deque
from typing import Any

from textual import events
from textual.message_pump import MessagePump
from textual.worker import WorkerState

from .painting import Narrow

PATIENCE = 1.0  # seconds for a key to be done with; after that the next one goes on
CALM = 2  # looks in a row at which nothing is under way


class KeyQueue(Narrow):
    """An App that hands out one key at a time."""

    def __init__(self, *arguments: Any, **options: Any) -> None:
        super().__init__(*arguments, **options)
        self._waiting: deque[events.Key] = deque()
        self._before: events.Key | None = None
        self._bubbled: events.Key | None = None
        self._typist: asyncio.Task[None] | None = None

    async def on_event(self, event: events.Event) -> None:
        """Take an event; a key that comes too early waits for its turn."""
        if not isinstance(event, events.Key):
            await super().on_event(event)
        elif event.is_forwarded:  # nobody below wanted it: here its binding is looked up
            await super().on_event(event)
            self._bubbled = event
        elif self._typist is None and self._is_done():
            await self._hand_out(event)
        else:
            self._waiting.append(event)
            if self._typist is None:
                self._typist = asyncio.create_task(self._hand_out_all())

    async def _hand_out(self, event: events.Key) -> None:
        self._before = event
        await super().on_event(event)
        if not event.is_forwarded:  # a binding of ours took it
            self._bubbled = event

    async def _hand_out_all(self) -> None:
        try:
            while self._waiting:
                await self._until_done()
                await self._hand_out(self._waiting.popleft())
        except Exception as error:
            # As in Textual's own loop, which is not beneath us in this task.
            self._handle_exception(error)
        finally:
            self._typist = None

    async def _until_done(self) -> None:
        loop = asyncio.get_running_loop()
        end, calm, looks = loop.time() + PATIENCE, 0, 0
        while calm < CALM and loop.time() < end and not self._exit:
            await asyncio.sleep(0 if looks < 50 else 0.002)
            looks += 1
            calm = calm + 1 if self._is_done() else 0

    def _is_done(self) -> bool:
        """Whether the last key is through, and what it set off has come to rest."""
        before = self._before
        if before is not None and before is not self._bubbled and not before._stop_propagation:
            return False
        screen = self.screen
        if not screen._is_mounted or any(
            worker.state is WorkerState.PENDING for worker in self.workers
        ):
            return False
        pumps: set[MessagePump] = {self, screen}
        if (focused := screen.focused) is not None:
            pumps |= {focused, *focused.ancestors}
        return all(_is_idle(pump) for pump in pumps)


def _is_idle(pump: MessagePump) -> bool:
    return pump._message_queue.empty() and not pump._next_callbacks
