"""Why a step was not in the cache: what it depends on, held against the steps that are."""

from __future__ import annotations

import json
import zlib
from collections.abc import Mapping, Sequence

from ...storage.buildcache import BuildCache, Step
from ..types import Json

# Of a copy of more files than this, only that they differ is told.
MOST_FILES = 5000
# What may have changed, by the name in a step's parts, the deepest cause first.
_CAUSES = (
    ("base", "{base}"),
    ("files", "{files}"),
    ("arguments", "{arguments}"),
    ("environment", "{environment}"),
    ("command", "the command is another one"),
    ("user", "the user is another one"),
    ("workdir", "the working directory is another one"),
    ("owner", "--chown means other ids"),
    ("mounts", "what is mounted has changed"),
    ("network", "the network mode is another one"),
    ("hosts", "the extra hosts are other ones"),
    ("target", "the destination is another one"),
    ("epoch", "SOURCE_DATE_EPOCH is another one"),
    ("state", "an earlier step or a setting has changed"),
)


def pack(files: Mapping[str, str]) -> bytes | None:
    """The list of a copy's files (path: digest), to be kept with its step."""
    if len(files) > MOST_FILES:
        return None
    return zlib.compress(json.dumps(files, separators=(",", ":")).encode(), 1)


def explain(
    cache: BuildCache, text: str, parts: Json, files: Mapping[str, str], first: bool
) -> str:
    """One clause: why no step of `text` with these parts was found. Blocks.

    `first`: nothing was put on the base yet, so that another base means another image.
    """
    steps = cache.like(text)
    if not steps:
        return "this step was not built before"
    nearest = min(steps, key=lambda step: len(_differences(step, parts)))
    differences = _differences(nearest, parts)
    if not differences:
        return "its layer is gone"
    name = next((key for key, _ in _CAUSES if key in differences), differences[0])
    sentence = dict(_CAUSES).get(name, f"{name} has changed")
    if sentence == "{base}":
        return "the base image has changed" if first else "an earlier step has changed"
    if sentence == "{files}":
        return _changed_files(cache, nearest, files)
    if sentence in ("{arguments}", "{environment}"):
        what = "build argument" if name == "arguments" else "variable"
        return _changed_values(what, nearest.parts.get(name) or {}, parts[name])
    return sentence


def _differences(step: Step, parts: Json) -> list[str]:
    return [key for key in {**step.parts, **parts} if step.parts.get(key) != parts.get(key)]


def _changed_values(what: str, before: Mapping[str, str], now: Mapping[str, str]) -> str:
    names = [name for name in {**before, **now} if before.get(name) != now.get(name)]
    return f"{what} {_listed(sorted(names))} changed"


def _changed_files(cache: BuildCache, step: Step, now: Mapping[str, str]) -> str:
    raw = cache.files(step.key)
    if raw is None or len(now) > MOST_FILES:
        return "files have changed"
    before: dict[str, str] = json.loads(zlib.decompress(raw))
    for word, names in (
        ("changed", [n for n in now if n in before and before[n] != now[n]]),
        ("is new", [n for n in now if n not in before]),
        ("is gone", [n for n in before if n not in now]),
    ):
        if names:
            return f"{_listed(sorted(names))} {word}"
    return "files have changed"


def _listed(names: Sequence[str]) -> str:
    more = len(names) - 1
    return names[0] + (f" (and {more} more)" if more > 0 else "")
