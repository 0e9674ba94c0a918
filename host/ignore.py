"""Ignore files in `.dockerignore`'s syntax: patterns, `!` for exceptions, the last match wins.

The rules are those of "`.dockerignore` files" in the Docker build reference.
"""

from __future__ import annotations

import posixpath
import re
from collections.abc import Callable, Iterable, Sequence

from .errors import InvalidError

_WILD = re.compile(r"[*?\[\\]")
# One truth value for each pattern: whether it matched a folder or one of those above it.
State = tuple[bool, ...]
Matcher = Callable[[str], object]
# A regular expression takes as many steps as a path has places, to the power of its wildcards.
_FEW = 2
_FOLDERS, _NAME, _ALL = "(?:.*/)?", "[^/]*", ".*"


class Ignore:
    """The patterns of one ignore file. Paths are relative, with `/` and without `./`."""

    def __init__(self, lines: Iterable[str] = ()) -> None:
        self._patterns: list[tuple[Matcher, bool]] = []
        # How far each exception is without wildcards: what may lie below an ignored folder.
        self._excepted: list[str] = []
        for raw in lines:
            line = raw.removeprefix("\ufeff").strip()
            if not line or raw.startswith("#"):
                continue
            kept = line.startswith("!")
            pattern = posixpath.normpath(line[1:].strip() if kept else line).lstrip("/")
            if pattern in ("", "."):
                continue
            self._patterns.append((matcher(pattern), kept))
            if kept:
                self._excepted.append(_literal(pattern))
        self.top: State = (False,) * len(self._patterns)

    def __bool__(self) -> bool:
        return bool(self._patterns)

    def look(self, path: str, above: State) -> tuple[bool, State]:
        """Whether `path` is ignored, and its state; `above` is that of the folder it is in."""
        ignored = False
        state = list(above)
        for number, (pattern, kept) in enumerate(self._patterns):
            if not state[number] and pattern(path):
                state[number] = True
            if state[number]:
                ignored = not kept
        return ignored, tuple(state)

    def ignores(self, path: str) -> bool:
        """Whether a path is ignored, by itself or by a folder it is in."""
        state, ignored, done = self.top, False, ""
        for part in path.split("/"):
            done = f"{done}/{part}" if done else part
            ignored, state = self.look(done, state)
        return ignored

    def may_except(self, folder: str) -> bool:
        """Whether something below an ignored folder may have an exception."""
        inside = folder + "/"
        return any(text.startswith(inside) or inside.startswith(text) for text in self._excepted)


def _literal(pattern: str) -> str:
    """The beginning of a pattern up to its first wildcard, in whole names."""
    match = _WILD.search(pattern)
    if match is None:
        return pattern
    return pattern[: pattern.rfind("/", 0, match.start()) + 1]


def matcher(pattern: str) -> Matcher:
    """What tells whether a path is what a pattern means. Raises InvalidError.

    `**` is any folders, `*` and `?` within a name, `[a-z]` one letter.
    """
    parts = _translate(pattern)
    if sum(part in (_FOLDERS, _NAME, _ALL) for part in parts) <= _FEW:
        return re.compile("".join(parts), re.DOTALL).fullmatch
    compiled = [
        part if part in (_FOLDERS, _NAME, _ALL) else re.compile(part, re.DOTALL) for part in parts
    ]
    return lambda path: len(path) in _ends(compiled, path)


def _ends(parts: Sequence[str | re.Pattern[str]], path: str) -> set[int]:
    """Where the parts, one after the other, may end: no more steps than places times parts."""
    places = {0}
    for part in parts:
        if not places:
            break
        if isinstance(part, re.Pattern):
            places = {found.end() for place in places if (found := part.match(path, place))}
        elif part == _ALL:
            places = set(range(min(places), len(path) + 1))
        elif part == _FOLDERS:
            first = min(places)
            places |= {place for place in range(first + 1, len(path) + 1) if path[place - 1] == "/"}
        else:
            reached: set[int] = set()
            done = -1
            for place in sorted(places):
                if place > done:
                    end = path.find("/", place)
                    done = len(path) if end < 0 else end
                    reached.update(range(place, done + 1))
            places = reached
    return places


def _translate(pattern: str) -> list[str]:
    """A pattern as regular expressions, one for each wildcard and for the text between two."""
    parts: list[str] = []
    result = ""
    place = 0
    while place < len(pattern):
        letter = pattern[place]
        place += 1
        if letter == "*":
            wild = _NAME
            if pattern[place : place + 1] == "*":
                place += 1
                if pattern[place : place + 1] == "/":
                    place += 1
                wild = _ALL if place >= len(pattern) else _FOLDERS
            parts += [result, wild] if result else [wild]
            result = ""
        elif letter == "?":
            result += "[^/]"
        elif letter == "[":
            end = pattern.find("]", place + 1)
            if end < 0:
                result += re.escape(letter)
                continue
            inner = pattern[place:end]
            if inner.startswith("!"):
                inner = "^" + inner[1:]
            try:
                re.compile(f"[{inner}]")
            except re.error as error:
                raise InvalidError(f"syntax error in pattern {pattern!r}: {error.msg}") from None
            result += f"[{inner}]"
            place = end + 1
        elif letter == "\\" and place < len(pattern):
            result += re.escape(pattern[place])
            place += 1
        else:
            result += re.escape(letter)
    return [*parts, result] if result else parts
