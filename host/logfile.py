"""The file that an engine's output goes to where a client has started it: bounded, as it may run
for years.

Put aside by a rename alone, in place of the one that was put aside before: whatever ends between,
one of the two names is there, and no line is lost.
"""

from __future__ import annotations

import logging
import os
import sys

LARGEST = 10_000_000  # bytes
OLDER = ".1"


def put_aside(path: str) -> bool:
    """Give a log that has grown large its older name; whether it was. Raises OSError."""
    try:
        large = os.stat(path).st_size > LARGEST
    except FileNotFoundError:
        return False
    if large:
        os.replace(path, path + OLDER)
    return large


class Bounded(logging.StreamHandler):  # type: ignore[type-arg] # generic for type checkers alone
    """Logs on stderr, which is the file `path` if that is so when it is made; else as ever."""

    def __init__(self, path: str) -> None:
        super().__init__(sys.stderr)
        self._path = path if _is_stderr(path) else ""

    def emit(self, record: logging.LogRecord) -> None:
        """Write it, and go on in a new file where this one is large."""
        super().emit(record)
        try:
            if self._path and os.fstat(2).st_size > LARGEST:
                self._renew()
        except OSError:  # no descriptor or no room: the next line tries again
            pass

    def _renew(self) -> None:
        # Somebody who has it put aside already is not followed into what he made.
        if _is_stderr(self._path):
            put_aside(self._path)
        fd = os.open(self._path, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o640)
        try:
            for stream in (1, 2):
                os.dup2(fd, stream)
        finally:
            os.close(fd)


def _is_stderr(path: str) -> bool:
    try:
        return os.path.samestat(os.stat(path), os.fstat(2))
    except OSError:
        return False
