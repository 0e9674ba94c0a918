"""Words of a Dockerfile instruction: quotes, escapes and variables.

The rules are those of "Environment replacement" in the Dockerfile reference; the escape letter is
the one the file's `escape` directive chose.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping

from ..host.errors import InvalidError

# A name, a positional parameter, or one of the shell's special ones (POSIX, 2.5).
_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*|[0-9]+|[@*#?$!-]")
_SPACES = re.compile(r"(\s+)")
_BLANK = " \t\n"
# Variables that hold each other twice grow without end, and so do substitutions in each other.
_LONGEST, _DEEPEST = 1 << 20, 100
# A pattern is tried at every place of a value.
_LONGEST_MATCHED = 1 << 14
Missing = Callable[[str], None]


def split(text: str, escape: str = "\\") -> list[str]:
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
        if letter == escape and quote != "'" and place < len(text):
            word += text[place]
            place += 1
        elif quote:
            quote = "" if letter == quote else quote
        elif letter in "'\"":
            quote = letter
    return [*words, word] if word else words


def expand(
    text: str, values: Mapping[str, str], escape: str = "\\", missing: Missing | None = None
) -> str:
    """`text` without its quotes and escapes, each `$name` and `${name}` replaced.

    `${name:-word}`, `:+`, `:?` work as in a shell, with or without the colon; so do `#`, `##`,
    `%`, `%%`, `/` and `//` with a pattern. `missing` gets the names that have no value. Raises
    InvalidError for a quote or brace that is not closed.
    """
    if not any(letter in text for letter in ("$", "'", '"', escape)):
        return text
    return _Expansion(text, values, escape, missing).run("")


def expand_words(
    text: str, values: Mapping[str, str], escape: str = "\\", missing: Missing | None = None
) -> list[str]:
    """`expand`, and the words of the result: blanks that a value brings part words too."""
    expansion = _Expansion(text, values, escape, missing)
    expansion.run("")
    return expansion.words.all()


def expand_text(text: str, values: Mapping[str, str], missing: Missing | None = None) -> str:
    """The content of a heredoc: variables are replaced, quotes are letters like all others."""
    return _Expansion(text, values, "\\", missing, quotes=False).run("")


class _Words:
    """The words as they come to be: what was quoted never parts."""

    def __init__(self) -> None:
        self._done: list[str] = []
        self._word: list[str] = []

    def plain(self, text: str) -> None:
        for part in _SPACES.split(text):
            if part.isspace():
                self._end()
            elif part:
                self.quoted(part)

    def quoted(self, text: str) -> None:
        self._word.append(text)

    def _end(self) -> None:
        if self._word:
            self._done.append("".join(self._word))
        self._word = []

    def all(self) -> list[str]:
        self._end()
        return self._done


class _Expansion:
    def __init__(
        self,
        text: str,
        values: Mapping[str, str],
        escape: str,
        missing: Missing | None,
        quotes: bool = True,
    ) -> None:
        self._text = text
        self._values = values
        self._escape = escape
        self._missing = missing
        self._quotes = quotes
        self._place = 0
        self._depth = 0
        self._grown = 0
        self.words = _Words()

    def run(self, ends: str, raw: bool = False) -> str:
        """Expand up to one of the letters `ends` (kept unread), or to the end of the text.

        `raw` keeps escapes as they are: those of a pattern.
        """
        result = ""
        while self._place < len(self._text):
            letter = self._text[self._place]
            if letter in ends:
                break
            self._place += 1
            if letter == "'" and self._quotes:
                found, quoted = self._single(), True
            elif letter == '"' and self._quotes:
                found, quoted = self._double(), True
            elif letter == self._escape:
                following = self._next()
                kept = raw or not (self._quotes or following in ("$", "\\"))
                found, quoted = (letter if kept else "") + following, True
            elif letter == "$":
                found, quoted = self._variable(), False
            else:
                found, quoted = letter, False
            result += found
            if not self._depth:
                (self.words.quoted if quoted else self.words.plain)(found)
        return result

    def _next(self) -> str:
        letter = self._text[self._place : self._place + 1]
        self._place += 1
        return letter

    def _single(self) -> str:
        end = self._text.find("'", self._place)
        if end < 0:
            raise InvalidError(
                f"unexpected end of statement while looking for matching single-quote: {self._text}"
            )
        found, self._place = self._text[self._place : end], end + 1
        return found

    def _double(self) -> str:
        result = ""
        while self._place < len(self._text):
            letter = self._next()
            if letter == '"':
                return result
            if letter == self._escape:
                following = self._next()
                # Inside double quotes an escape only takes the meaning from these.
                special = following and following in ('"', "$", self._escape)
                result += following if special else letter + following
            elif letter == "$":
                result += self._variable()
            else:
                result += letter
        raise InvalidError(
            f"unexpected end of statement while looking for matching double-quote: {self._text}"
        )

    def _variable(self) -> str:
        braces = self._text[self._place : self._place + 1] == "{"
        match = _NAME.match(self._text, self._place + braces)
        if match is None:
            if braces:
                raise InvalidError(f"bad substitution in {self._text!r}")
            return "$"
        self._place = match.end()
        if not braces:
            return self._value(match[0]) or ""
        self._depth += 1
        if self._depth > _DEEPEST:
            raise InvalidError(f"substitutions are more than {_DEEPEST} deep")
        try:
            return self._braced(match[0])
        finally:
            self._depth -= 1

    def _value(self, name: str) -> str | None:
        value = self._values.get(name)
        if value is None and self._missing is not None and not name.isdigit():
            self._missing(name)
        return self._counted(name, value)

    def _counted(self, name: str, value: str | None) -> str | None:
        self._grown += len(value or "")
        if self._grown > _LONGEST:
            raise InvalidError(f"the value of {name} and those before it are too long together")
        return value

    def _braced(self, name: str) -> str:
        operator = self._next()
        if operator == "}":
            return self._value(name) or ""
        colon = operator == ":"
        if colon:
            operator = self._next()
        elif operator in ("#", "%", "/"):
            return self._pattern(name, operator)
        if operator not in ("-", "+", "?") or not operator:
            shown = (":" if colon else "") + operator
            raise InvalidError(f"unsupported modifier ({shown}) in substitution: {self._text}")
        value = self._counted(name, self._values.get(name))
        if colon:
            value = value or None
        word = self.run("}")
        self._close()
        if operator == "+":
            return word if value is not None else ""
        if value is None and operator == "?":
            reason = word or (
                "is not allowed to be empty" if colon else "is not allowed to be unset"
            )
            raise InvalidError(f"{name}: {reason}")
        return word if value is None else value

    def _close(self) -> None:
        if self._next() != "}":
            raise InvalidError(f"syntax error: missing '}}' in {self._text!r}")

    def _pattern(self, name: str, operator: str) -> str:
        """`#`, `##`, `%`, `%%` cut a match off one end, `/` and `//` replace it."""
        twice = self._text[self._place : self._place + 1] == operator
        self._place += twice
        pattern = self.run("/}" if operator == "/" else "}", raw=True)
        replacement = ""
        if operator == "/" and self._text[self._place : self._place + 1] == "/":
            self._place += 1
            replacement = self.run("}")
        self._close()
        value = self._value(name) or ""
        if len(value) > _LONGEST_MATCHED:
            raise InvalidError(f"the value of {name} is too long for the pattern {pattern!r}")
        if operator == "/":
            found = re.compile(_regex(pattern, greedy=True), re.DOTALL)
            return found.sub(lambda _: replacement, value, count=0 if twice else 1)
        expression = _regex(pattern, greedy=twice)
        if operator == "#":
            return re.sub(f"^(?:{expression})", "", value, count=1, flags=re.DOTALL)
        # The shortest match at the end is the one that begins last.
        starts = range(len(value) + 1) if twice else range(len(value), -1, -1)
        whole = re.compile(_regex(pattern, greedy=True), re.DOTALL)
        for start in starts:
            if whole.fullmatch(value, start):
                return value[:start]
        return value


def _regex(pattern: str, greedy: bool) -> str:
    """A shell's pattern (`*`, `?`, and those escaped) as a regular expression."""
    done, chunk, star = "", "", False
    letters = iter(pattern)
    for letter in letters:
        if letter == "*":
            # What is between two stars may stand at its first place (`?>`: no other is tried),
            # as the second star takes whatever comes until the rest.
            done += f"(?>.*?{chunk})" if star else chunk
            chunk, star = "", True
        elif letter == "?":
            chunk += "."
        elif letter == "\\":
            following = next(letters, "")
            if following not in ("*", "?", "\\", "/", "}") or not following:
                raise InvalidError(f"invalid escape '\\{following}' in the pattern {pattern!r}")
            chunk += re.escape(following)
        else:
            chunk += re.escape(letter)
    rest = ".*" if greedy else ".*?"
    return f"{done}{rest}{chunk}" if star else chunk
