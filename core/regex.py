"""Regular expressions of users, each with so much time: a pattern that goes back and tries again,
such as `(a+)+b`, would keep the event loop, and all other clients, for as long as it likes.

dockerd's (RE2) cannot go back; the library here reads what RE2 does and more, and keeps to a limit.
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

# Seconds of the processor that one pattern gets in each window of so many.
_BUDGET, _WINDOW = 0.1, 1.0
_LONGEST, _SHOWN = 1000, 200
# Characters, once what is counted is written out, as the library does when it reads a pattern.
_MOST, _COUNTS, _NUMBER = 20_000, re.compile(r"\{\d[\d,]*\}"), re.compile(r"\d+")


class Regex:
    """One pattern. Raises InvalidError, as `found_in` does, for one that cannot be used."""

    def __init__(self, pattern: str) -> None:
        self._source = pattern
        self._left, self._since = _BUDGET, time.monotonic()
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
        now, begun = time.monotonic(), time.thread_time()
        if now >= self._since + _WINDOW:
            self._left, self._since = _BUDGET, now
        try:
            if self._left <= 0:
                raise TimeoutError
            return self._pattern.search(text, timeout=self._left) is not None
        except TimeoutError:
            raise self._error("it takes too long to match") from None
        finally:
            self._left -= time.thread_time() - begun


@functools.lru_cache(maxsize=16)
def compiled(pattern: str) -> Regex:
    """The pattern, made once for all that it is held against. Raises InvalidError."""
    return Regex(pattern)
