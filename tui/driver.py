"""Textual's driver on a terminal that shows the first frame already."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from textual.drivers.linux_driver import LinuxDriver

from .prelude import ALTERNATE, Prelude

if TYPE_CHECKING:
    from textual.app import App


def driver_after(prelude: Prelude) -> type[LinuxDriver]:
    """A driver that takes the terminal over from `prelude`."""

    class Driver(LinuxDriver):
        """Does not go where it is already: some terminals would be cleared by that."""

        def __init__(self, app: App[Any], **options: Any) -> None:
            super().__init__(app, **options)
            self._there = prelude.painted

        def write(self, data: str) -> None:
            """Write to the terminal."""
            if self._there and data == ALTERNATE:
                self._there = False
            else:
                super().write(data)

        def start_application_mode(self) -> None:
            """Begin, or go on after another program had the terminal."""
            before = prelude.hand_over()
            super().start_application_mode()  # type: ignore[no-untyped-call]  # Textual's
            if before is not None:  # what Textual found was the prelude's
                self.attrs_before = before

    return Driver
