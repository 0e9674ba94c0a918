"""Files that are read while they are still being written."""

from __future__ import annotations

from typing import Protocol, runtime_checkable


@runtime_checkable
class Growing(Protocol):
    """A file that grows to `size` bytes: what is in it is right and never changes."""

    @property
    def size(self) -> int:
        """How many bytes it will have in the end."""

    def reach(self, place: int) -> int:
        """Wait until there are more than `place` bytes, or no more to come; the file's length.

        Raises what ended the writing early.
        """

    def check(self) -> None:
        """Raise what ended the writing early, or the wish that the reading be given up."""

    def fileno(self) -> int:
        """The descriptor to read from, by pread(2); after the first `reach`."""
