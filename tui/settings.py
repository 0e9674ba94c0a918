"""The user's settings of the screen, from `config.toml` in `~/.config/bay`.

A setting that can't be understood is said in one sentence and left as it is by default: a typo in
a file must not keep anybody from his containers.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, NamedTuple

if TYPE_CHECKING:
    from pathlib import Path

# What is asked about before it is done; the others can be, by the names in `CONFIRMABLE`.
CONFIRMED = frozenset({"remove", "kill", "down", "roll back"})
CONFIRMABLE = CONFIRMED | {"stop", "restart", "pause", "disconnect", "push"}
_SWITCHES = {
    "mouse": "mouse",
    "read-only": "read_only",
    "slow-link": "slow_link",
    "restore": "restore",
}


class Settings(NamedTuple):
    """`theme` "" lets the terminal decide; `keys` maps an action's name to its keys.

    `hosts` are addresses and names of contexts, shown where no other host is given.
    """

    theme: str = ""
    mouse: bool = True
    read_only: bool = False
    ascii_only: bool = False
    slow_link: bool = False
    restore: bool = True
    confirm: frozenset[str] = CONFIRMED
    keys: Mapping[str, str] = {}
    hosts: tuple[str, ...] = ()
    problems: tuple[str, ...] = ()


def path(environment: Mapping[str, str]) -> str:
    """Where the settings are: `BAY_CONFIG`, else `bay` below XDG's config folder."""
    if given := environment.get("BAY_CONFIG"):
        return os.path.join(given, "config.toml")
    base = environment.get("XDG_CONFIG_HOME") or os.path.expanduser("~/.config")
    return os.path.join(base, "bay", "config.toml")


def load(file: str | Path) -> Settings:
    """The settings in `file`; the defaults where there is none."""
    try:
        with open(file, encoding="utf-8") as opened:
            text = opened.read()
    except (FileNotFoundError, NotADirectoryError):
        return Settings()
    except (OSError, UnicodeDecodeError) as error:
        return Settings(problems=(f"Cannot read {file}: {error}",))
    import tomllib  # slow, and most users have no such file

    try:
        return understand(tomllib.loads(text), str(file))
    except tomllib.TOMLDecodeError as error:
        return Settings(problems=(f"{file} is not TOML: {error}",))


def understand(values: Mapping[str, Any], name: str) -> Settings:
    """The settings that `values` mean; `name` is the file, for what is said of mistakes."""
    found: dict[str, Any] = {}
    problems: list[str] = []
    for key, value in values.items():
        try:
            found.update(_one(key, value))
        except ValueError as error:
            problems.append(f"{name}: {error}")
    return Settings()._replace(**found, problems=tuple(problems))


def _one(key: str, value: Any) -> dict[str, Any]:
    if key in _SWITCHES:
        if not isinstance(value, bool):
            raise ValueError(f"{key} is true or false, not {value!r}")
        return {_SWITCHES[key]: value}
    if key == "theme":
        if not isinstance(value, str):
            raise ValueError(f"theme is a name, not {value!r}")
        return {"theme": value}
    if key == "symbols":
        if value not in ("ascii", "unicode"):
            raise ValueError(f"symbols are 'unicode' or 'ascii', not {value!r}")
        return {"ascii_only": value == "ascii"}
    if key == "confirm":
        return {"confirm": _confirm(value)}
    if key == "hosts":
        if not isinstance(value, list) or not all(isinstance(one, str) for one in value):
            raise ValueError(f"hosts is a list of addresses and names of contexts, not {value!r}")
        return {"hosts": tuple(value)}
    if key == "keys":
        if not isinstance(value, dict) or not all(isinstance(one, str) for one in value.values()):
            raise ValueError('[keys] has lines such as restart = "ctrl+r"')
        return {"keys": dict(value)}
    raise ValueError(f"there is no setting {key!r}; docs/tui.md has them all")


def _confirm(value: Any) -> frozenset[str]:
    if value == "always":
        return frozenset(CONFIRMABLE)
    if value == "never":
        return frozenset()
    known = ", ".join(sorted(CONFIRMABLE))
    if not isinstance(value, list) or not set(value) <= CONFIRMABLE:
        raise ValueError(f"confirm is 'always', 'never' or a list of {known}; not {value!r}")
    return frozenset(value)
