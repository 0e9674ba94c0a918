"""What the screen remembers of a user between two starts: where one was and how lists look.

The file is written whole or not at all, soon after each change: a connection that is cut leaves
it as true as one that is closed.
"""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields
from pathlib import Path
from typing import Any

from ..host import files


@dataclass
class Remembered:
    """By list: filters, sorting as [column, backwards], shown columns, the row one stood on."""

    kind: str = "containers"
    tab: str = "logs"
    zoomed: bool = False
    hide_stopped: bool = False
    theme: str = ""
    filters: dict[str, str] = field(default_factory=dict)
    sorts: dict[str, list[Any]] = field(default_factory=dict)
    columns: dict[str, list[str]] = field(default_factory=dict)
    rows: dict[str, str] = field(default_factory=dict)


def path(environment: Mapping[str, str]) -> Path:
    """Where it is kept: `bay/screen.json` below XDG's state folder."""
    base = environment.get("XDG_STATE_HOME") or os.path.expanduser("~/.local/state")
    return Path(base) / "bay" / "screen.json"


class Memory:
    """Reads and writes one file; without a file (None) it forgets."""

    def __init__(self, file: Path | None) -> None:
        self._file = file
        self._written = ""
        self.now = Remembered()

    def recall(self) -> Remembered:
        """What was remembered; what can't be read, or is of another form, is as if new."""
        if self._file is not None:
            try:
                values = json.loads(self._file.read_text(encoding="utf-8"))
                self.now = _understood(values)
            except (OSError, ValueError, AttributeError):
                self.now = Remembered()
        return self.now

    def keep(self) -> str:
        """Write what is remembered now, where it differs; the reason when it can't be."""
        if self._file is None:
            return ""
        text = json.dumps(asdict(self.now), indent=1)
        if text == self._written:
            return ""
        try:
            self._file.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
            files.write_atomic(self._file, text.encode(), 0o600)
        except OSError as error:
            return f"Cannot write {self._file}: {error.strerror}"
        self._written = text
        return ""


def _understood(values: dict[str, Any]) -> Remembered:
    known = Remembered()
    for one in fields(Remembered):
        value = values.get(one.name)
        if type(value) is not type(getattr(known, one.name)):
            continue
        if isinstance(value, dict):
            inner = {"sorts": list, "columns": list}.get(one.name, str)
            value = {key: entry for key, entry in value.items() if isinstance(entry, inner)}
        setattr(known, one.name, value)
    return known
