"""From a Dockerfile's text to its instructions, each with its place.

The grammar is that of the Dockerfile reference: parser directives, comments (also between the
lines of one instruction), continuations, builder flags, JSON arrays and heredocs.
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass, field

from .heredocs import Heredoc, find
from .source import DockerfileError, Source

_NAMES = """ADD ARG CMD COPY ENTRYPOINT ENV EXPOSE FROM HEALTHCHECK LABEL MAINTAINER ONBUILD RUN
    SHELL STOPSIGNAL USER VOLUME WORKDIR"""
NAMES = frozenset(_NAMES.split())
_DIRECTIVE = re.compile(r"#\s*([a-zA-Z][a-zA-Z0-9]*)\s*=\s*(.+)$")
_KNOWN = ("syntax", "escape", "check")
_JSON = frozenset(("ADD", "CMD", "COPY", "ENTRYPOINT", "RUN", "SHELL", "VOLUME", "HEALTHCHECK"))
_WITH_HEREDOCS = frozenset(("ADD", "COPY", "RUN"))


# Lines: some hundred stages or a thousand steps are planned in a millisecond.
LARGE = 1000


@dataclass(frozen=True)
class Instruction:
    """One instruction: `name` in capitals, its `flags` (`--from=x`), the rest as `text`.

    `words` is the list when the rest is a JSON array of strings, else None. `line` and `last` are
    its first and last line (from 1), `column` where its name begins.
    """

    name: str
    flags: tuple[str, ...]
    text: str
    words: tuple[str, ...] | None
    heredocs: tuple[Heredoc, ...]
    line: int
    last: int
    column: int
    # As it stood in the file, continuations joined: what is shown, and what a trigger keeps.
    original: str
    # What the instruction was called in the file, for the linter.
    spelled: str = ""


@dataclass
class Dockerfile:
    """What was read: instructions, directives by name, and what is odd (line, sentence)."""

    source: Source
    instructions: list[Instruction]
    directives: dict[str, str] = field(default_factory=dict)
    warnings: list[tuple[int, str]] = field(default_factory=list)

    @property
    def escape(self) -> str:
        """The letter that escapes and continues lines."""
        return self.directives.get("escape", "\\")

    @property
    def is_large(self) -> bool:
        """Whether looking it over takes longer than the event loop may stand still."""
        return len(self.source.lines) > LARGE

    def error(self, instruction: Instruction, reason: str, token: str = "") -> DockerfileError:
        """An error at an instruction, or at the first place of `token` in it."""
        line, column = instruction.line, instruction.column
        if token:
            for number in range(instruction.line, instruction.last + 1):
                place = self.source.lines[number - 1].find(token)
                if place >= 0:
                    line, column = number, place + 1
                    break
        last = instruction.last if line == instruction.line else line
        return DockerfileError(reason, self.source, line, column, last)


def parse(text: str, name: str = "Dockerfile") -> Dockerfile:
    """Read a Dockerfile. Raises DockerfileError, which shows the place."""
    text = text.removeprefix("\ufeff")
    source = Source(name, [line.rstrip("\r") for line in text.split("\n")])
    if source.lines and source.lines[-1] == "":
        source = Source(name, source.lines[:-1])
    return _Parser(source).run()


def parse_one(text: str, escape: str = "\\", name: str = "ONBUILD") -> Instruction:
    """The one instruction of a trigger (ONBUILD), with its heredocs. Raises DockerfileError."""
    found = parse((f"# escape={escape}\n" if escape != "\\" else "") + text, name)
    return found.instructions[0]


class _Parser:
    def __init__(self, source: Source) -> None:
        self._source = source
        self._lines = source.lines
        self._next = 0
        self._result = Dockerfile(source, [])

    def run(self) -> Dockerfile:
        if not any(line.strip() for line in self._lines):
            raise DockerfileError("the Dockerfile cannot be empty", self._source, 1)
        self._directives()
        escape = re.escape(self._result.escape)
        self._continuation = re.compile(rf"([^{escape}])({escape})[ \t]*$|^({escape})[ \t]*$")
        while self._next < len(self._lines):
            self._statement()
        if not self._result.instructions:
            raise DockerfileError("file with no instructions", self._source, len(self._lines) or 1)
        return self._result

    def _directives(self) -> None:
        seen = self._result.directives
        for number, line in enumerate(self._lines, 1):
            match = _DIRECTIVE.match(line.strip()) if number > len(seen) else None
            name = match[1].lower() if match else ""
            if match is None or name not in _KNOWN:
                break
            if name in seen:
                raise DockerfileError(
                    f"only one {name} parser directive can be used", self._source, number
                )
            if name == "escape" and match[2] not in ("\\", "`"):
                raise DockerfileError(
                    f"invalid escape token {match[2]!r} does not match ` or \\",
                    self._source,
                    number,
                )
            seen[name] = match[2]
            self._next = number

    def _statement(self) -> None:
        """The next instruction, with all its lines."""
        first = self._next
        raw = self._lines[first]
        self._next += 1
        line = raw.lstrip()
        if not line or line.startswith("#"):
            return
        line, goes_on = self._continued(line)
        while goes_on and self._next < len(self._lines):
            more = self._lines[self._next]
            self._next += 1
            if more.lstrip().startswith("#"):
                continue
            if not more.strip():
                self._result.warnings.append(
                    (self._next, "Empty continuation line found in: " + line.strip()[:60])
                )
                continue
            more, goes_on = self._continued(more)
            line += more
        if not line.strip():
            return
        column = len(raw) - len(raw.lstrip()) + 1
        self._result.instructions.append(self._instruction(line.strip(), first + 1, column))

    def _continued(self, line: str) -> tuple[str, bool]:
        match = self._continuation.search(line)
        return (line[: match.start() + len(match[1] or "")], True) if match else (line, False)

    def _instruction(self, line: str, number: int, column: int) -> Instruction:
        parts = line.split(None, 1)
        spelled, rest = parts[0], parts[1].strip() if len(parts) > 1 else ""
        name = spelled.upper()
        flags, rest = self._flags(rest, number)
        heredocs = self._heredocs(name, line, number)
        return Instruction(
            name,
            flags,
            rest,
            self._json(name, rest, number, column) if not heredocs else None,
            heredocs,
            number,
            max(number, self._next),
            column,
            line,
            spelled,
        )

    def _flags(self, rest: str, number: int) -> tuple[tuple[str, ...], str]:
        """The leading `--name=value` words, unquoted, and what follows them."""
        flags: list[str] = []
        while rest.startswith("--"):
            word, rest = self._flag_word(rest, number)
            if word == "--":
                break
            flags.append(word)
        return tuple(flags), rest

    def _flag_word(self, rest: str, number: int) -> tuple[str, str]:
        word = quote = ""
        place = 0
        while place < len(rest):
            letter = rest[place]
            if not quote and letter.isspace():
                break
            if letter == self._result.escape and quote != "'" and place + 1 < len(rest):
                place += 1
                word += rest[place]
            elif quote and letter == quote:
                quote = ""
            elif not quote and letter in "'\"":
                quote = letter
            else:
                word += letter
            place += 1
        if quote:
            raise DockerfileError(f"unclosed quote in the flag {rest}", self._source, number)
        return word, rest[place:].lstrip()

    def _heredocs(self, name: str, line: str, number: int) -> tuple[Heredoc, ...]:
        inner = name
        if name == "ONBUILD" and len(words := line.split(None, 2)) > 1:
            inner = words[1].upper()
        if inner not in _WITH_HEREDOCS or "<<" not in line:
            return ()
        found = []
        for head in find(line, self._result.escape):
            begun = self._next
            body: list[str] = []
            while True:
                if self._next >= len(self._lines):
                    raise DockerfileError(
                        f"unterminated heredoc: there is no line {head.name!r}",
                        self._source,
                        number,
                        max(1, self._lines[number - 1].find("<<") + 1),
                    )
                raw = self._lines[self._next]
                self._next += 1
                text = raw.lstrip("\t") if head.strips else raw
                if text == head.name:
                    break
                body.append(text + "\n")
            found.append(head.filled("".join(body), begun + 1))
        return tuple(found)

    def _json(self, name: str, rest: str, number: int, column: int) -> tuple[str, ...] | None:
        if name == "HEALTHCHECK":
            rest = rest.split(None, 1)[1] if len(rest.split(None, 1)) > 1 else ""
        if name not in _JSON or not rest.startswith("["):
            return None
        try:
            found = json.loads(rest, strict=False)
        except (ValueError, RecursionError):
            return None
        if not all(isinstance(word, str) for word in found):
            raise DockerfileError(
                "when using JSON array syntax, arrays must be comprised of strings only",
                self._source,
                number,
                column,
            )
        return tuple(found)
