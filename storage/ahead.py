"""Reading ahead in threads: inflating and hashing go on while files are being written.

All of them release Python's lock, so several cores are used for one layer. Where the processor
has no instructions for SHA-256, hashing takes as long as everything else together.
"""

from __future__ import annotations

import queue
import threading
from collections.abc import Generator, Iterable

_DEPTH = 3


class _Stopped(Exception):  # noqa: N818 # not an error: the consumer went away
    """Nobody wants what is read any more."""


def read_ahead(pieces: Iterable[bytes]) -> Generator[bytes, None, None]:
    """The same pieces, produced in a thread, at most 3 ahead. What raises there raises here.

    Closing the iterator waits for the thread, so that nothing reads on behind the caller's back.
    """
    passed: queue.Queue[bytes | BaseException | None] = queue.Queue(_DEPTH)
    stopped = threading.Event()

    def produce() -> None:
        try:
            for piece in pieces:
                if stopped.is_set():
                    raise _Stopped
                passed.put(piece)
            passed.put(None)
        except BaseException as error:
            passed.put(error)

    thread = threading.Thread(target=produce, name="bay-ahead", daemon=True)
    thread.start()
    try:
        while (piece := passed.get()) is not None:
            if isinstance(piece, BaseException):
                raise piece
            yield piece
    finally:
        stopped.set()
        while thread.is_alive():
            try:
                # Make room for a producer that waits to put its last piece.
                passed.get(timeout=0.05)
            except queue.Empty:
                pass
        thread.join()
