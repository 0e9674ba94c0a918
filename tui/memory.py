"""What the screen remembers of a user between two starts: where one was and how lists look.

The file is written whole or not at all, soon after each change: a connection that is cut leaves
it as true as one that is closed.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

from ..host import quickjson

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path


class Remembered:
    """By list: filters, sorting as [column, backwards], shown columns, the row one stood on."""

    def __init__(self) -> None:
        self.kind = "containers"
        self.tab = "logs"
        self.zoomed = False
        self.hide_stopped = False
        self.theme = ""
        self.filters: dict[str, str] = {}
        self.sorts: dict[str, list[Any]] = {}
        self.columns: dict[str, list[str]] = {}
        self.rows: dict[str, str] = {}


def path(environment: Mapping[str, str]) -> str:
    """Where it is kept: `bay/screen.json` below XDG's state folder."""
    base = environment.get("XDG_STATE_HOME") or os.path.expanduser("~/.local/state")
    return os.path.join(base, "bay", "screen.json")


class Memory:
    """Reads and writes one file; without a file (None) it forgets."""

    def __init__(self, file: str | Path | None) -> None:
        self._file = file
        self._written = ""
        self.now = Remembered()

    def recall(self) -> Remembered:
        """What was remembered; what can't be read, or is of another form, is as if new."""
        if self._file is not None:
            try:
                with open(self._file, "rb") as opened:
                    self.now = _understood(quickjson.loads(opened.read()))
            except (OSError, ValueError, AttributeError):
                self.now = Remembered()
        return self.now

    def keep(self) -> str:
        """Write what is remembered now, where it differs; the reason when it can't be."""
        if self._file is None:
            return ""
        import json

        text = json.dumps(vars(self.now), indent=1)
        if text == self._written:
            return ""
        from pathlib import Path

        from ..host import files

        file = Path(self._file)
        try:
            file.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
            files.write_atomic(file, text.encode(), 0o600)
        except OSError as error:
            return f"Cannot write {self._file}: {error.strerror}"
        self._written = text
        return ""


def _understood(values: dict[str, Any]) -> Remembered:
    known = Remembered()
    for name, default in [*vars(known).items()]:
        value = values.get(name)
        if type(value) is not type(default):
            continue
        if isinstance(value, dict):
            inner = {"sorts": list, "columns": list}.get(name, str)
            value = {key: entry for key, entry in value.items() if isinstance(entry, inner)}
        setattr(known, name, value)
    return known
