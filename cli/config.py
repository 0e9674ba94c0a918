"""The user's settings: `config.json` in `~/.config/bay`, in the form Docker's has.

Holds credentials (`auths`), the chosen context, default formats and the detach keys.
"""

from __future__ import annotations

from ..host import quickjson
from ..host.errors import InvalidError
from ..host.light import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import os
else:
    from ..host import lightos as os

Json = dict[str, Any]


def config_folder() -> str:
    """`BAY_CONFIG`, else `bay` below XDG's config folder."""
    given = os.environ.get("BAY_CONFIG")
    if given:
        return given
    base = os.environ.get("XDG_CONFIG_HOME") or os.path.expanduser("~/.config")
    return os.path.join(base, "bay")


class Config:
    """The settings in `folder`; those of a file that isn't there are empty."""

    def __init__(self, folder: str | os.PathLike[str]) -> None:
        # Texts, not Paths: pathlib is slow to import, and most verbs only look for a file here.
        self.folder = os.fspath(folder)
        self.path = os.path.join(self.folder, "config.json")
        self.values: Json = {}
        try:
            with open(self.path, encoding="utf-8") as file:
                self.values = quickjson.loads(file.read())
            if not isinstance(self.values, dict):
                raise ValueError("it must be an object: {…}")
        except FileNotFoundError:
            pass
        except (OSError, ValueError) as error:
            raise InvalidError(f"cannot read the settings in {self.path}: {error}") from error

    def form(self, name: str) -> str:
        """A default `--format`, such as `psFormat`; empty when none is set."""
        return str(self.values.get(name) or "")

    def save(self) -> None:
        """Write the settings: readable by this user only, as they hold credentials."""
        import json
        from pathlib import Path

        from ..host.files import write_atomic

        os.makedirs(self.folder, mode=0o700, exist_ok=True)
        text = json.dumps(self.values, indent="\t") + "\n"
        write_atomic(Path(self.path), text.encode(), mode=0o600)
