"""Regular expressions of users, in time linear in the text: RE2's language, as dockerd has it.

Python's `re` goes back and tries again: `(a+)+b` keeps it for ever, and the event loop with it.
Here all ways through a pattern are followed at once (Thompson, "Regular Expression Search
Algorithm", 1968; Cox, swtch.com/~rsc/regexp), and where a character leads to from a set of places
is worked out once. What would need going back (`\\1`, `(?=…)`) is no part of the language. Only
whether there is a match is told.
"""

from __future__ import annotations

import functools
import time

from ..host.errors import InvalidError
from .regexparser import WORD, Context, Parser, RefusedError, Test

# Places of one pattern, and how often they are looked at within `_WINDOW` seconds: what is new of
# a text takes a fifth of them. No pattern needs that many but one made for it.
_MOST_PLACES = 2000
_MOST_STEPS = 200_000
_WINDOW = 1.0
_LONGEST, _SHOWN = 10_000, 200


class Regex:
    """One pattern. Raises InvalidError, as `found_in` does, for one that cannot be used."""

    def __init__(self, pattern: str) -> None:
        self._pattern = pattern
        self._steps, self._since = _MOST_STEPS, time.monotonic()
        # Of each place: what character leads on, what has to be there, and to where.
        self._wanted: list[Test[str] | None] = []
        self._held: list[Test[Context] | None] = []
        self._next: list[tuple[int, ...]] = []
        self._known: dict[tuple[frozenset[int], str, str], frozenset[int] | None] = {}
        self._end = self.place(())
        try:
            if len(pattern) > _LONGEST:
                raise RefusedError("it is too long")
            self._start = Parser(pattern, self).whole()(self._end)
        except RefusedError as error:
            raise self._error(str(error)) from None

    def _error(self, why: str) -> InvalidError:
        shown = self._pattern if len(self._pattern) <= _SHOWN else f"{self._pattern[:_SHOWN]}…"
        return InvalidError(f"cannot use the regular expression '{shown}': {why}")

    def place(
        self,
        following: tuple[int, ...],
        *,
        wanted: Test[str] | None = None,
        held: Test[Context] | None = None,
    ) -> int:
        """One more place, for the parser. Raises RefusedError where there are too many."""
        if len(self._next) >= _MOST_PLACES:
            raise RefusedError("it is too large")
        self._wanted.append(wanted)
        self._held.append(held)
        self._next.append(following)
        return len(self._next) - 1

    def lead(self, place: int, following: tuple[int, ...]) -> None:
        """Let a place lead to where it does not yet."""
        self._next[place] = following

    def found_in(self, text: str) -> bool:
        """Whether it matches somewhere in `text`."""
        places: frozenset[int] | None = frozenset()
        before = ""
        for letter in (*text, ""):
            # Of the character before only its kind counts.
            kind = before if before in ("", "\n") else "a" if WORD.match(before) else " "
            key = (places or frozenset(), kind, letter)
            if key not in self._known:
                self._known[key] = self._step(*key)
            places, before = self._known[key], letter
            if places is None:
                return True
        return False

    def _begin_anew(self) -> None:
        """Forget what was worked out in the last window. Raises InvalidError within one."""
        now = time.monotonic()
        if now < self._since + _WINDOW:
            raise self._error("it can match in too many ways")
        self._known.clear()
        self._steps, self._since = _MOST_STEPS, now

    def _step(self, places: frozenset[int], before: str, letter: str) -> frozenset[int] | None:
        """Where `letter` leads to ("": the end of the text); None when there is a match before."""
        waiting, seen = [*places, self._start], set[int]()
        while waiting:
            place = waiting.pop()
            if place in seen:
                continue
            seen.add(place)
            held = self._held[place]
            if self._wanted[place] is None and (held is None or held((before, letter))):
                waiting += self._next[place]
        self._steps -= len(seen)
        if self._steps < 0:
            self._begin_anew()
        if self._end in seen:
            return None
        found = set[int]()
        for place in seen:
            wanted = self._wanted[place]
            if letter and wanted is not None and wanted(letter):
                found.update(self._next[place])
        return frozenset(found)


@functools.lru_cache(maxsize=16)
def compiled(pattern: str) -> Regex:
    """The pattern, made once for all that it is held against. Raises InvalidError."""
    return Regex(pattern)
