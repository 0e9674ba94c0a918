"""Regular expressions of users, each with so much time: a pattern that goes back and tries again,
such as `(a+)+b`, would keep the event loop, and all other clients, for as long as it likes.

dockerd's (RE2) cannot go back; the library here keeps to a limit. It lacks RE2's quoted passages.
"""

from __future__ import annotations

import functools
import math
import re
import time
from typing import TYPE_CHECKING

from ..host.errors import InvalidError

if TYPE_CHECKING:
    from regex import Pattern

# Seconds of the processor in each window of so many, and what one match may always take.
_BUDGET, _WINDOW, _LEAST = 0.1, 1.0, 0.002
_LONGEST, _SHOWN = 1000, 200
# Characters, once what is counted is written out, as the library does when it reads a pattern.
_MOST, _COUNTS, _NUMBER = 20_000, re.compile(r"\{\d[\d,]*\}"), re.compile(r"\d+")


class _Budget:
    """The processor's time that all patterns together get in a window."""

    def __init__(self) -> None:
        self._left, self._since = _BUDGET, 0.0

    def left(self) -> float:
        """Seconds that a match may take; what takes next to nothing always may."""
        now = time.monotonic()
        if now >= self._since + _WINDOW:
            self._left, self._since = _BUDGET, now
        return max(self._left, _LEAST)

    def spend(self, seconds: float) -> None:
        """Take them off, unless it is what any pattern takes."""
        if seconds > _LEAST / 2:
            self._left -= seconds


_budget = _Budget()


class Regex:
    """One pattern. Raises InvalidError, as `found_in` does, for one that cannot be used."""

    def __init__(self, pattern: str) -> None:
        self._source = pattern
        self._pattern = self._compiled()

    def _compiled(self) -> Pattern[str]:
        import regex  # 20 ms, and most engines never see a pattern

        if len(self._source) > _LONGEST:
            raise self._error("it is too long")
        counts = (map(int, _NUMBER.findall(one)) for one in _COUNTS.findall(self._source))
        if math.prod(max(1, *each) for each in counts) * len(self._source) > _MOST:
            raise self._error("it is too large")
        try:
            return regex.compile(self._source)
        except (regex.error, OverflowError, RecursionError) as error:
            raise self._error(str(error) or "it is nested too deeply") from None

    def _error(self, why: str) -> InvalidError:
        shown = self._source if len(self._source) <= _SHOWN else f"{self._source[:_SHOWN]}…"
        return InvalidError(f"cannot use the regular expression '{shown}': {why}")

    def found_in(self, text: str) -> bool:
        """Whether it matches somewhere in `text`."""
        begun = time.thread_time()
        try:
            return self._pattern.search(text, timeout=_budget.left()) is not None
        except TimeoutError:
            raise self._error("it takes too long to match") from None
        finally:
            _budget.spend(time.thread_time() - begun)


@functools.lru_cache(maxsize=16)
def compiled(pattern: str) -> Regex:
    """The pattern, made once for all that it is held against. Raises InvalidError."""
    return Regex(pattern)
