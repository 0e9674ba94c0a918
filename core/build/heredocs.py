"""Heredocs of RUN, COPY and ADD: `<<NAME`, `<<-NAME`, `<<"NAME"`."""

from __future__ import annotations

import re
from dataclasses import dataclass, replace

from .. import words

_HEAD = re.compile(r"(\d*)<<(-?)([^<\s]+)$")


@dataclass(frozen=True)
class Heredoc:
    """One heredoc: its `name`, its `content`; `expands` unless the name was quoted.

    `strips`: `<<-` takes the tabs off the beginning of each line. `word` is how it was written,
    `line` the first line of the content.
    """

    name: str
    word: str
    strips: bool
    expands: bool
    content: str = ""
    line: int = 0

    def filled(self, content: str, line: int) -> Heredoc:
        """The same with its content."""
        return replace(self, content=content, line=line)


def find(line: str, escape: str = "\\") -> list[Heredoc]:
    """The heredocs that a line begins, in order, still without their content."""
    found = []
    for word in words.split(line, escape):
        if head := parse_head(word):
            found.append(head)
    return found


def parse_head(word: str) -> Heredoc | None:
    """The heredoc that one word begins, if it does."""
    match = _HEAD.fullmatch(word)
    if match is None:
        return None
    name = match[3]
    quoted = name[0] in "'\"" or "'" in name or '"' in name
    if quoted:
        name = name.replace("'", "").replace('"', "")
    return Heredoc(name, word, bool(match[2]), not quoted) if name else None
