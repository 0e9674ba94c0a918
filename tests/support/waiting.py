"""Waiting for a fact with a deadline: no test sleeps for a guessed time."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TypeVar

T = TypeVar("T")

# Seconds that a busy machine may need for what is instant on an idle one; a fact ends the wait.
PATIENCE = 240.0


def wait_until(
    fact: Callable[[], T], what: str, timeout: float = PATIENCE, every: float = 0.02
) -> T:
    """Ask `fact()` every `every` seconds until it is truthy, and return it.

    Raises AssertionError naming `what` after `timeout` seconds.
    """
    deadline = time.monotonic() + timeout
    while True:
        value = fact()
        if value:
            return value
        if time.monotonic() > deadline:
            raise AssertionError(f"{what}: not so after {timeout:.0f} s; last answer {value!r}")
        time.sleep(every)
