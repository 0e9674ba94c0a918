"""The kinds of value that an image's configuration may hold: others would break who shows it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

_WORDS = (list, str)
# OCI image specification, config.md, and Docker's own additions.
_SETTINGS: dict[str, tuple[type, ...]] = {
    **dict.fromkeys(
        ("User", "WorkingDir", "StopSignal", "Domainname", "Hostname", "Image"), (str,)
    ),
    **dict.fromkeys(("Cmd", "Entrypoint", "Shell"), _WORDS),
    **dict.fromkeys(("Env", "OnBuild"), (list,)),
    **dict.fromkeys(("ExposedPorts", "Volumes", "Labels", "Healthcheck"), (dict,)),
    "StopTimeout": (int,),
}
_STEP = dict.fromkeys(("created", "created_by", "author", "comment"), (str,))
_TOP = dict.fromkeys(("created", "author", "architecture", "os", "variant"), (str,))


def misshaped(data: dict[str, Any]) -> str:
    """The first field of another kind than it has to be, "" for none; null is always fine."""
    settings, steps = data.get("config") or {}, data.get("history") or []
    if not isinstance(settings, dict):
        return "config"
    if not isinstance(steps, list) or not all(isinstance(step, dict) for step in steps):
        return "history"
    found = [_odd(data, _TOP), _odd(settings, _SETTINGS), *(_odd(step, _STEP) for step in steps)]
    for name in ("Env", "OnBuild", "Cmd", "Entrypoint", "Shell"):
        words = settings.get(name)
        if isinstance(words, list) and not all(isinstance(word, str) for word in words):
            found.append(name)
    return next(filter(None, found), "")


def _odd(values: dict[str, Any], kinds: Mapping[str, tuple[type, ...]]) -> str:
    for name, kind in kinds.items():
        value = values.get(name)
        if value is not None and not isinstance(value, kind):
            return name
    return ""
