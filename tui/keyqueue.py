"""Keys in the order of what they do, each painted as soon as it is done.

Textual hands a key to what has the focus when the key arrives, while the one before may still be on
its way through the widgets: who types `/web` quickly would have the `w` in the list. Here a key
waits until the one before it is done, the screen it opened stands and the focus it moved is there.

Textual paints at ticks of a sixtieth of a second. What a key changes in two steps, the cursor and
then what follows it, was painted in two frames, the second of them up to two ticks late: four times
as long as the work. Here the frame of a key comes when the key is done, and it is one.
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
HOLD = 0.012  # seconds for a key's frame to be one; after that what there is is painted
VEIL = 0.3  # seconds for the screen to stand, before it is shown over the first frame
FRAME = 1 / 60  # seconds between two frames of keys typed faster than they are painted


class KeyQueue(Narrow):
    """An App that hands out one key at a time."""

    def __init__(self, *arguments: Any, **options: Any) -> None:
        super().__init__(*arguments, **options)
        self._waiting: deque[events.Key] = deque()
        self._before: events.Key | None = None
        self._bubbled: events.Key | None = None
        self._typist: asyncio.Task[None] | None = None
        self._release = self._painted = 0.0

    async def on_event(self, event: events.Event) -> None:
        """Take an event; a key that comes too early waits for its turn."""
        if not isinstance(event, events.Key):
            await super().on_event(event)
        elif event.is_forwarded:  # nobody below wanted it: here its binding is looked up
            await super().on_event(event)
            self._bubbled = event
        else:
            self._waiting.append(event)
            if self._typist is None:
                if self._is_done():
                    await self._hand_out()
                self._typist = asyncio.create_task(self._serve_keys())

    @property
    def holds_frames(self) -> bool:
        """Whether a key is under way whose frame is soon painted as one."""
        return self._typist is not None and asyncio.get_running_loop().time() < self._release

    async def after_keys(self) -> None:
        """Give way to the keyboard: what is typed comes before what merely comes in."""
        await asyncio.sleep(0)
        if self._typist is not None:
            await asyncio.wait({self._typist}, timeout=PATIENCE / 10)

    async def _hand_out(self) -> None:
        event = self._waiting.popleft()
        self._before = event
        self._release = asyncio.get_running_loop().time() + HOLD
        await super().on_event(event)
        if not event.is_forwarded:  # a binding of ours took it
            self._bubbled = event

    async def _serve_keys(self) -> None:
        try:
            while True:
                await self._until_done()
                now = asyncio.get_running_loop().time()
                if not self._waiting or now - self._painted > FRAME:
                    self._painted = now
                    self._lift_veil()
                    self._paint()
                if not self._waiting:
                    break
                await self._hand_out()
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
            if not self.holds_frames and self._release:
                self._release = 0.0
                self._paint()
            looks += 1
            calm = calm + 1 if self._is_done() else 0

    async def unveil(self) -> None:
        """Show the screen once it stands: the first frame stays until it is the app's own.

        Textual paints while its widgets are still being mounted, given sizes and the focus.
        """
        loop = asyncio.get_running_loop()
        end, calm = loop.time() + VEIL, 0
        while self.veiled and calm < CALM and loop.time() < end and not self._exit:
            await asyncio.sleep(0 if self._is_done() else 0.002)
            if self.screen.focused is not None and self._is_done():
                calm += 1
                self._paint()  # what was changed is laid out, and tells the widgets their sizes
        self._lift_veil()

    def _lift_veil(self) -> None:
        if self.veiled:
            self.veiled = False
            self.refresh()

    def _paint(self) -> None:
        """Paint what has changed on the screen, now."""
        if self._exit or not self._screen_stack:
            return
        screen = self.screen
        if screen.is_running and screen._is_mounted:
            with screen._context():
                screen._on_timer_update()

    def _is_done(self) -> bool:
        """Whether the last key is through, and what it set off has come to rest."""
        if not self._screen_stack:  # the app ends
            return True
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
