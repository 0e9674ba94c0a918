"""`--chmod`: octal numbers, and the symbolic forms of chmod(1)."""

from __future__ import annotations

import re
from dataclasses import dataclass

from ...host.errors import InvalidError

_CLAUSE = re.compile(r"([ugoa]*)((?:[-+=](?:[rwxXst]*|[ugo]))+)")
_STEP = re.compile(r"([-+=])([rwxXst]*|[ugo])")
_SHIFT = {"u": 6, "g": 3, "o": 0}
_BITS = {"r": 4, "w": 2, "x": 1}


@dataclass(frozen=True)
class Mode:
    """A parsed mode: `text` as it was written."""

    text: str

    def apply(self, mode: int, is_folder: bool) -> int:
        """The permission bits that a file of `mode` gets."""
        if self.text.isdecimal():
            return int(self.text, 8)
        for clause in self.text.split(","):
            match = _CLAUSE.fullmatch(clause)
            who = (match[1] if match else "").replace("a", "ugo") or "ugo"
            for operator, what in _STEP.findall(match[2] if match else ""):
                mode = _step(mode, who, operator, what, is_folder)
        return mode


def parse_mode(text: str) -> Mode:
    """Read `755`, `0644`, `u=rwX,go=rX`. Raises InvalidError."""
    if text.isdecimal():
        if len(text) <= 5 and set(text) <= set("01234567") and int(text, 8) <= 0o7777:
            return Mode(text)
    elif text and all(_CLAUSE.fullmatch(clause) for clause in text.split(",")):
        return Mode(text)
    raise InvalidError(
        f"invalid chmod parameter: '{text}'. it should be octal string and between 0 and 07777, "
        "or symbolic as for chmod(1)"
    )


def _step(mode: int, who: str, operator: str, what: str, is_folder: bool) -> int:
    for one in who:
        shift = _SHIFT[one]
        bits = special = 0
        for letter in what:
            if letter in _BITS:
                bits |= _BITS[letter]
            elif letter == "X" and (is_folder or mode & 0o111):
                bits |= 1
            elif letter in "ugo":
                bits |= mode >> _SHIFT[letter] & 7
            elif letter == "s":
                special |= {"u": 0o4000, "g": 0o2000}.get(one, 0)
            elif letter == "t":
                special |= 0o1000
        if operator == "=":
            mode &= ~(7 << shift)
        if operator == "-":
            mode &= ~(bits << shift | special)
        else:
            mode |= bits << shift | special
    return mode
