"""A Dockerfile's text, and errors that point into it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from ...host.errors import InvalidError

_AROUND = 2


@dataclass(frozen=True)
class Source:
    """The file's name, as the user gave it, and its lines without their ends."""

    name: str
    lines: Sequence[str]

    def excerpt(self, line: int, column: int, last: int = 0) -> str:
        """`name:line:column` and the lines around it, with a caret under the column (from 1)."""
        last = min(max(line, last), len(self.lines))
        first = max(1, line - _AROUND)
        width = len(str(last))
        shown = [f"{self.name}:{line}:{column}"]
        for number in range(first, min(last, line + 2 * _AROUND) + 1):
            mark = ">" if line <= number <= last else " "
            shown.append(f"{mark} {number:>{width}} | {self.lines[number - 1]}".rstrip())
            if number == line:
                before = self.lines[line - 1][: column - 1] if self.lines else ""
                # Tabs stay tabs, so that the caret stands where the eye expects it.
                blank = "".join("\t" if letter == "\t" else " " for letter in before)
                shown.append(f"  {'':>{width}} | {blank}^")
        return "\n".join(shown)


class DockerfileError(InvalidError):
    """Something is wrong in a Dockerfile: the sentence, then the place with its line.

    `reason` is the sentence alone, `line` and `column` count from 1.
    """

    def __init__(
        self, reason: str, source: Source, line: int, column: int = 1, last: int = 0
    ) -> None:
        super().__init__(f"{reason}\n{source.excerpt(line, column, last)}")
        self.reason = reason
        self.file = source.name
        self.line = line
        self.column = column
