"""Ignore files in `.dockerignore`'s syntax: patterns, `!` for exceptions, the last match wins.

The rules are those of "`.dockerignore` files" in the Docker build reference.
"""

from __future__ import annotations

import posixpath
import re
from collections.abc import Iterable

_WILD = re.compile(r"[*?\[\\]")
# One truth value for each pattern: whether it matched a folder or one of those above it.
State = tuple[bool, ...]


class Ignore:
    """The patterns of one ignore file. Paths are relative, with `/` and without `./`."""

    def __init__(self, lines: Iterable[str] = ()) -> None:
        self._patterns: list[tuple[re.Pattern[str], bool]] = []
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
            self._patterns.append((re.compile(translate(pattern), re.DOTALL), kept))
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
            if not state[number] and pattern.fullmatch(path):
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


def translate(pattern: str) -> str:
    """A pattern as a regular expression: `**` any folders, `*` and `?` within a name, `[a-z]`."""
    result = ""
    place = 0
    while place < len(pattern):
        letter = pattern[place]
        place += 1
        if letter == "*":
            if pattern[place : place + 1] != "*":
                result += "[^/]*"
                continue
            place += 1
            if pattern[place : place + 1] == "/":
                place += 1
            result += ".*" if place >= len(pattern) else "(?:.*/)?"
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
            result += f"[{inner}]"
            place = end + 1
        elif letter == "\\" and place < len(pattern):
            result += re.escape(pattern[place])
            place += 1
        else:
            result += re.escape(letter)
    return result
