"""What a container's writable layer changes, a folder at a time, with sizes."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator
from pathlib import Path

from ..host import clock
from ..host.inroot import below_root
from ..storage.changes import ADDED, DELETED, MODIFIED, Change
from ..storage.layertree import KINDS
from .layerviews import entry
from .types import Json

WORDS = {MODIFIED: "changed", ADDED: "added", DELETED: "removed"}
_SUMS = ("Size", "Added", "Changed", "Removed")


def folder(upper: Path, changes: list[Change], path: str, deep: bool = False) -> Json:
    """The changed entries of the folder at `path`, and the sums of all changes; blocks.

    With `deep` all that is below the folder, sorted by path. `changes` are those of
    `Snapshots.changes`, `upper` is the writable layer's own folder.
    """
    clean = "/" + below_root(path)
    prefix = clean.rstrip("/") + "/"
    rows: dict[str, Json] = {}
    total = dict.fromkeys(_SUMS, 0)
    inodes: set[tuple[int, int]] = set()
    # A folder that leads to a change is in `docker diff`; it need not have changed itself.
    leading = {os.path.dirname(change.path) for change in changes}
    for change in changes:
        found = None if change.kind == DELETED else _lstat(upper, change.path)
        own = dict.fromkeys(_SUMS, 0)
        own["Size"] = _size(found, inodes)
        word = WORDS[change.kind]
        if change.kind == MODIFIED and change.path in leading:
            word = "unchanged"
        else:
            own[word.capitalize()] = 1
        _add(total, own)
        if not change.path.startswith(prefix):
            continue
        name, _, below = change.path[len(prefix) :].partition("/")
        if deep or not below:
            row = _row(upper, change.path, found)
            row["Change"] = word
            row.update(dict.fromkeys(_SUMS, 0))
            rows[change.path] = row
        # `changes` are sorted, so that a folder comes before what is in it.
        for place in _places(prefix, change.path) if deep else (prefix + name,):
            if place in rows:
                _add(rows[place], own)
    order = list(rows.values())
    if not deep:
        order.sort(key=lambda row: (row["Type"] != "directory", row["Name"]))
    return {
        "SizeRw": total["Size"],
        **{key: total[key] for key in _SUMS[1:]},
        "Path": clean,
        "Entries": order,
    }


def _places(prefix: str, path: str) -> Iterator[str]:
    """The path and the folders it is in, below the prefix."""
    end = len(path)
    while end > len(prefix):
        yield path[:end]
        end = path.rindex("/", 0, end)


def _add(one: Json, other: Json) -> None:
    for key in _SUMS:
        one[key] += other[key]


def _lstat(upper: Path, path: str) -> os.stat_result | None:
    try:
        return os.lstat(f"{upper}{path}")
    except OSError:
        return None  # removed meanwhile, or deeper than a path can name


def _size(found: os.stat_result | None, inodes: set[tuple[int, int]]) -> int:
    if found is None or stat.S_ISDIR(found.st_mode):
        return 0
    if found.st_nlink > 1:
        key = (found.st_dev, found.st_ino)
        if key in inodes:
            return 0
        inodes.add(key)
    return found.st_size


def _row(upper: Path, path: str, found: os.stat_result | None) -> Json:
    above, _, name = path.rpartition("/")
    if found is None:
        return {**entry(name, above, "file", 0, 0, 0), "Modified": clock.ZERO}
    kind = KINDS.get(stat.S_IFMT(found.st_mode), "file")
    row = entry(name, above, kind, found.st_mode, found.st_uid, found.st_gid)
    row["Modified"] = clock.from_ns(found.st_mtime_ns)
    if kind == "symlink":
        try:
            row["Target"] = os.readlink(f"{upper}{path}")
        except OSError:
            pass
    return row
