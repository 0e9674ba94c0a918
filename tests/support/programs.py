"""Programs that come as Python packages: docker compose, lazydocker."""

from __future__ import annotations

from importlib import metadata
from pathlib import Path


def find(distribution: str, name: str) -> Path:
    """Where the installed `distribution` has put the program `name`."""
    for entry in metadata.files(distribution) or ():
        if entry.name == name:
            return Path(entry.locate()).resolve()
    raise AssertionError(f"{distribution} has no {name}: run `make setup`")
