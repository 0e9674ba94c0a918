"""A container's cgroups once its runtime is done with it: v1, hybrid and v2 hierarchies.

crun leaves them behind after a failed resource write, and a killed engine leaves whole ones.
"""

from __future__ import annotations

import contextlib
import os
import signal
from pathlib import Path

ROOT = Path("/sys/fs/cgroup")


def hierarchies() -> list[Path]:
    """The mount point of every cgroup hierarchy here: one on v2, one a controller on v1."""
    if (ROOT / "cgroup.controllers").exists():
        return [ROOT]
    found: dict[int, Path] = {}
    with contextlib.suppress(FileNotFoundError):
        for entry in sorted(ROOT.iterdir()):
            # `cpu` may be a link to `cpu,cpuacct`: each hierarchy once.
            if entry.is_dir() and (entry / "cgroup.procs").exists():
                found.setdefault(entry.stat().st_dev, entry)
    return list(found.values())


def members(path: str) -> set[int]:
    """The pids in the cgroup `path` and below it, in any hierarchy."""
    result: set[int] = set()
    for top in hierarchies():
        for folder, _, _ in os.walk(top / path.strip("/")):
            with contextlib.suppress(OSError):
                text = Path(folder, "cgroup.procs").read_text(encoding="ascii")
                result.update(int(pid) for pid in text.split())
    return result


def kill(path: str) -> None:
    """SIGKILL everything in the cgroup `path`; frozen processes are thawed to die."""
    for top in hierarchies():
        folder = top / path.strip("/")
        for name, value in (("freezer.state", "THAWED"), ("cgroup.freeze", "0")):
            with contextlib.suppress(OSError):
                (folder / name).write_text(value, encoding="ascii")
    for pid in members(path):
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)


def remove(path: str) -> None:
    """Remove the cgroup `path` and those below it from every hierarchy, where it is empty."""
    for top in hierarchies():
        for folder, _, _ in os.walk(top / path.strip("/"), topdown=False):
            with contextlib.suppress(OSError):
                os.rmdir(folder)


def children(path: str) -> set[str]:
    """The names of the cgroups directly below `path`, in any hierarchy."""
    names: set[str] = set()
    for top in hierarchies():
        with contextlib.suppress(OSError):
            names.update(
                entry.name for entry in (top / path.strip("/")).iterdir() if entry.is_dir()
            )
    return names
