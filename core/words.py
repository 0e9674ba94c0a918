"""Words of a Dockerfile instruction: quotes, escapes and variables.

The rules are those of "Environment replacement" in the Dockerfile reference.
"""

from __future__ import annotations

import re
from collections.abc import Mapping

from ..host.errors import InvalidError

_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*|[0-9]")
_BLANK = " \t\n"


def split(text: str) -> list[str]:
    """The words of `text`, still with their quotes and escapes; blanks inside those do not part."""
    words: list[str] = []
    word = ""
    quote = ""
    place = 0
    while place < len(text):
        letter = text[place]
        place += 1
        if not quote and letter in _BLANK:
            if word:
                words.append(word)
            word = ""
            continue
        word += letter
        if letter == "\\" and quote != "'" and place < len(text):
            word += text[place]
            place += 1
        elif quote:
            quote = "" if letter == quote else quote
        elif letter in "'\"":
            quote = letter
    return [*words, word] if word else words


def expand(text: str, values: Mapping[str, str]) -> str:
    """`text` without its quotes and escapes, each `$name` and `${name}` replaced.

    `${name:-word}`, `${name:+word}` and `${name:?word}` work as in a shell, with or without the
    colon. Raises InvalidError for a quote or brace that is not closed.
    """
    result, place = _Expansion(text, values).run("")
    if place != len(text):
        raise InvalidError(f"unexpected end of statement in {text!r}")
    return result


class _Expansion:
    def __init__(self, text: str, values: Mapping[str, str]) -> None:
        self._text = text
        self._values = values
        self._place = 0

    def run(self, end: str) -> tuple[str, int]:
        """Expand up to the letter `end` (kept unread), or to the end of the text."""
        result = ""
        while self._place < len(self._text):
            letter = self._text[self._place]
            if end and letter == end:
                break
            self._place += 1
            if letter == "'":
                result += self._single()
            elif letter == '"':
                result += self._double()
            elif letter == "\\":
                result += self._next()
            elif letter == "$":
                result += self._variable()
            else:
                result += letter
        return result, self._place

    def _next(self) -> str:
        letter = self._text[self._place : self._place + 1]
        self._place += 1
        return letter

    def _single(self) -> str:
        end = self._text.find("'", self._place)
        if end < 0:
            raise InvalidError(f"unexpected end of statement while looking for ': {self._text}")
        found, self._place = self._text[self._place : end], end + 1
        return found

    def _double(self) -> str:
        result = ""
        while self._place < len(self._text):
            letter = self._next()
            if letter == '"':
                return result
            if letter == "\\":
                following = self._next()
                # Inside double quotes a backslash only takes the meaning from these.
                result += following if following in '"$\\' else letter + following
            elif letter == "$":
                result += self._variable()
            else:
                result += letter
        raise InvalidError(f'unexpected end of statement while looking for ": {self._text}')

    def _variable(self) -> str:
        if self._text[self._place : self._place + 1] != "{":
            match = _NAME.match(self._text, self._place)
            if match is None:
                return "$"
            self._place = match.end()
            return self._values.get(match[0], "")
        self._place += 1
        match = _NAME.match(self._text, self._place)
        if match is None:
            raise InvalidError(f"bad substitution in {self._text!r}")
        self._place = match.end()
        return self._braced(match[0])

    def _braced(self, name: str) -> str:
        value = self._values.get(name)
        operator = self._next()
        if operator == "}":
            return value or ""
        if operator == ":":
            value = value or None
            operator = self._next()
        if operator not in ("-", "+", "?"):
            raise InvalidError(f"unsupported modifier ({operator}) in substitution: {self._text}")
        word, _ = self.run("}")
        if self._next() != "}":
            raise InvalidError(f"missing }} in {self._text!r}")
        if operator == "+":
            return word if value is not None else ""
        if value is None and operator == "?":
            raise InvalidError(f"{name}: {word or 'not set'}")
        return word if value is None else value
