"""RE2's patterns (github.com/google/re2/wiki/Syntax), read into the places of a `Regex`.

Classes by Unicode's properties (`\\pL`) are not there.
"""

from __future__ import annotations

import functools
import re
from collections.abc import Callable
from typing import Protocol, TypeVar

# As RE2.
_MOST_TIMES = 1000
_DEEPEST = 100
_MOST_BUILT = 20_000

_ESCAPES = {"a": "\a", "f": "\f", "t": "\t", "n": "\n", "r": "\r", "v": "\v"}
# Perl's classes are ASCII in RE2.
_CLASSES = {"d": "0-9", "s": r"\t\n\f\r ", "w": "0-9A-Za-z_"}
_NAMED = {
    "alnum": "0-9A-Za-z", "alpha": "A-Za-z", "ascii": r"\x00-\x7f", "blank": r"\t ",
    "cntrl": r"\x00-\x1f\x7f", "digit": "0-9", "graph": "!-~", "lower": "a-z", "print": " -~",
    "punct": r"!-/:-@\[-`{-~", "space": r"\t\n\v\f\r ", "upper": "A-Z", "word": "0-9A-Za-z_",
    "xdigit": "0-9A-Fa-f",
}  # fmt: skip
_TIMES = re.compile(r"\{(\d{1,9})(?:(,)(\d{0,9}))?\}")
_FLAGS = re.compile(r"\?(?:P?<\w+>|([imsU]*(?:-[imsU]+)?)([:)]))")
WORD = re.compile("[0-9A-Za-z_]")

T = TypeVar("T")
Test = Callable[[T], bool]
# What is before and after a place: "" for the text's end, or one character.
Context = tuple[str, str]
# Builds a piece in front of a place; its first place.
Piece = Callable[[int], int]


class RefusedError(Exception):
    """Why a pattern is none, or cannot be used."""


class Places(Protocol):
    """What is built: see `Regex`."""

    def place(
        self,
        following: tuple[int, ...],
        *,
        wanted: Test[str] | None = None,
        held: Test[Context] | None = None,
    ) -> int:
        """A place that leads to `following`, by a character `wanted` and where `held` is true."""

    def lead(self, place: int, following: tuple[int, ...]) -> None:
        """Let a place lead to where it does not yet."""


class Parser:
    """Reads a pattern (RE2's grammar, github.com/google/re2/wiki/Syntax)."""

    def __init__(self, pattern: str, regex: Places) -> None:
        self._text = pattern
        self._at = 0
        self._regex = regex
        self._flags: frozenset[str] = frozenset()
        self._depth = self._built = 0

    def whole(self) -> Piece:
        """All of the pattern. Raises RefusedError, as does the building of what it gives."""
        piece = self._choice()
        if self._at < len(self._text):
            raise RefusedError("unexpected )")
        return piece

    def _peek(self) -> str:
        return self._text[self._at : self._at + 1]

    def _take(self, expected: str = "") -> str:
        letter = self._peek()
        if not letter:
            raise RefusedError(f"missing {expected or 'its end'}")
        self._at += 1
        return letter

    def _choice(self) -> Piece:
        pieces = [self._sequence()]
        while self._peek() == "|":
            self._at += 1
            pieces.append(self._sequence())
        if len(pieces) == 1:
            return pieces[0]
        return lambda then: self._regex.place(tuple({p(then): 0 for p in pieces}))

    def _sequence(self) -> Piece:
        pieces: list[Piece] = []
        while self._peek() not in ("", "|", ")"):
            pieces.append(self._repeated())

        def build(then: int) -> int:
            self._count(len(pieces) + 1)
            for piece in reversed(pieces):
                then = piece(then)
            return then

        return build

    def _count(self, built: int) -> None:
        """Bound the work also where no places are made: `(()(){1000}){1000}`."""
        self._built += built
        if self._built > _MOST_BUILT:
            raise RefusedError("it is too large")

    def _repeated(self) -> Piece:
        piece = self._atom()
        if (times := self._times()) is None:
            return piece
        if self._peek() == "?":  # as few as may be: there is a match or not
            self._at += 1
        if self._times() is not None:
            raise RefusedError("a repetition of a repetition")
        least, most = times

        def build(then: int) -> int:
            if most is None:
                then = self._any(piece, then)
            else:
                end = then
                for _ in range(most - least):
                    then = self._regex.place((piece(then), end))
            for _ in range(least):
                then = piece(then)
            return then

        return build

    def _any(self, piece: Piece, then: int) -> int:
        loop = self._regex.place(())
        self._regex.lead(loop, (piece(loop), then))
        return loop

    def _times(self) -> tuple[int, int | None] | None:
        """The repetition that follows, as (least, most)."""
        if self._peek() in ("*", "+", "?"):
            return {"*": (0, None), "+": (1, None), "?": (0, 1)}[self._take()]
        found = _TIMES.match(self._text, self._at)
        if found is None:
            return None
        self._at = found.end()
        least = int(found[1])
        most = least if not found[2] else int(found[3]) if found[3] else None
        if least > _MOST_TIMES or (most is not None and not least <= most <= _MOST_TIMES):
            raise RefusedError(f"invalid repeat count {found[0]}")
        return least, most

    def _atom(self) -> Piece:
        letter = self._take()
        if letter == "(":
            return self._group()
        if letter == "[":
            return self._single(self._set())
        if letter == ".":
            return self._single("." if "s" in self._flags else r"[^\n]")
        if letter in "^$":
            return self._hold(letter if "m" in self._flags else "A" if letter == "^" else "z")
        if letter in "*+?":
            raise RefusedError(f"nothing to repeat before {letter}")
        if letter != "\\":
            return self._single(re.escape(letter))
        return self._escaped()

    def _escaped(self) -> Piece:
        letter = self._take("what follows \\")
        if letter in "AzbB":
            return self._hold(letter)
        if letter == "Q":
            quoted, _, _ = self._text[self._at :].partition("\\E")
            self._at = min(self._at + len(quoted) + 2, len(self._text))
            pieces = [self._single(re.escape(one)) for one in quoted]
            return lambda then: functools.reduce(lambda end, p: p(end), reversed(pieces), then)
        self._at -= 2
        inside, _ = self._class_item()
        return self._single(f"[{inside}]")

    def _group(self) -> Piece:
        flags = self._flags
        self._depth += 1
        if self._depth > _DEEPEST:
            raise RefusedError("too many parentheses within each other")
        if self._peek() == "?":
            found = _FLAGS.match(self._text, self._at)
            if found is None:
                raise RefusedError(f"RE2 has no ({self._text[self._at : self._at + 2]}")
            self._at = found.end()
            if found[1] is not None:
                on, _, off = found[1].partition("-")
                self._flags = (self._flags | set(on)) - set(off)
            if found[2] == ")":  # for what follows within the group around
                self._depth -= 1
                return lambda then: then
        piece = self._choice()
        if self._peek() != ")":
            raise RefusedError("missing )")
        self._at += 1
        self._depth -= 1
        self._flags = flags
        return piece

    def _single(self, form: str) -> Piece:
        """One character, of a class that is safe to give to `re`."""
        test = re.compile(form, re.DOTALL | (re.IGNORECASE if "i" in self._flags else re.NOFLAG))
        wanted = lambda letter: test.match(letter) is not None  # noqa: E731 - one for each place
        return lambda then: self._regex.place((then,), wanted=wanted)

    def _hold(self, kind: str) -> Piece:
        held = _CONDITIONS[kind]
        return lambda then: self._regex.place((then,), held=held)

    def _set(self) -> str:
        negated = self._peek() == "^"
        self._at += negated
        items = ""
        while self._peek() != "]" or not items:
            items += self._set_item()
        self._at += 1
        return f"[{'^' * negated}{items}]"

    def _set_item(self) -> str:
        if self._text.startswith("[:", self._at):
            name, closed, _ = self._text[self._at + 2 :].partition(":]")
            if not closed or name not in _NAMED:
                raise RefusedError(f"RE2 has no class [:{name[:20]}:]")
            self._at += len(name) + 4
            return _NAMED[name]
        first, low = self._class_item()
        if not low or self._peek() != "-" or self._text[self._at + 1 : self._at + 2] in ("]", ""):
            return first
        self._at += 1
        last, high = self._class_item()
        if not high or high < low:
            raise RefusedError("invalid range in a class")
        return f"{first}-{last}"

    def _class_item(self) -> tuple[str, str]:
        """One of a class's characters for `re`, and the character; "" for a class of its own."""
        letter = self._take("]")
        if letter == "\\":
            letter = self._take("what follows \\")
            if letter in _CLASSES:
                return _CLASSES[letter], ""
            if letter.lower() in _CLASSES:
                return _complement(letter.lower()), ""
            if letter in _ESCAPES:
                letter = _ESCAPES[letter]
            elif letter == "x":
                letter = self._hexadecimal()
            elif letter.isalnum():
                raise RefusedError(f"RE2 has no \\{letter} here")
        return re.escape(letter), letter

    def _hexadecimal(self) -> str:
        found = re.compile(r"([0-9A-Fa-f]{2})|\{([0-9A-Fa-f]{1,6})\}").match(self._text, self._at)
        number = int(found[1] or found[2], 16) if found else -1
        if found is None or number > 0x10FFFF:
            raise RefusedError("invalid \\x")
        self._at = found.end()
        return chr(number)


def _complement(name: str) -> str:
    return {
        "d": r"\x00-/:-\U0010ffff",
        "s": r"\x00-\x08\x0b\x0e-\x1f!-\U0010ffff",
        "w": r"\x00-/:-@\[-\^`{-\U0010ffff",
    }[name]


def _at_word(context: Context) -> bool:
    return bool(WORD.match(context[0])) != bool(WORD.match(context[1]))


_CONDITIONS: dict[str, Callable[[Context], bool]] = {
    "A": lambda context: not context[0],
    "z": lambda context: not context[1],
    "^": lambda context: context[0] in ("", "\n"),
    "$": lambda context: context[1] in ("", "\n"),
    "b": _at_word,
    "B": lambda context: not _at_word(context),
}
