"""The user's settings: `config.json` in `~/.config/bay`, in the form Docker's has.

Holds credentials (`auths`), the chosen context, default formats and the detach keys.
"""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

from ..host.errors import InvalidError
from ..host.files import write_atomic

Json = dict[str, Any]


def config_folder() -> Path:
    """`BAY_CONFIG`, else `bay` below XDG's config folder."""
    given = os.environ.get("BAY_CONFIG")
    if given:
        return Path(given)
    base = os.environ.get("XDG_CONFIG_HOME") or os.path.expanduser("~/.config")
    return Path(base) / "bay"


class Config:
    """The settings in `folder`; those of a file that isn't there are empty."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.path = folder / "config.json"
        self.values: Json = {}
        try:
            self.values = json.loads(self.path.read_text(encoding="utf-8"))
        except FileNotFoundError:
            pass
        except (OSError, ValueError) as error:
            raise InvalidError(f"cannot read the settings in {self.path}: {error}") from error

    def form(self, name: str) -> str:
        """A default `--format`, such as `psFormat`; empty when none is set."""
        return str(self.values.get(name) or "")

    def save(self) -> None:
        """Write the settings: readable by this user only, as they hold credentials."""
        self.folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        text = json.dumps(self.values, indent="\t") + "\n"
        write_atomic(self.path, text.encode(), mode=0o600)
