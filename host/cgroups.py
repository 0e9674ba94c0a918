"""Control groups in their three layouts: v1, hybrid (v1 with an unused v2 beside it) and v2.

A cgroup is named by its path below the hierarchies, `bay/<id>`: the same one in each of them.
"""

from __future__ import annotations

import contextlib
import errno
import functools
import os
import signal
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

_ROOT = Path("/sys/fs/cgroup")
# A cgroup whose last process has just died stays busy until the kernel has reaped it; one that is
# killed while it writes to a busy disk dies when that is done.
_BUSY_SECONDS = 20.0
_PAUSE = 0.001
# What the freezer says of processes that are not paused: v2, v1.
_RUNNING = ("0", "THAWED")


@dataclass(frozen=True)
class Layout:
    """Where the hierarchies are mounted: `v1` by controller, `unified` the v2 one if mounted.

    `version` is 2 only when v2 has the controllers; in a hybrid layout it is 1.
    """

    version: int
    v1: dict[str, Path] = field(default_factory=dict)
    unified: Path | None = None

    @property
    def hybrid(self) -> bool:
        """Whether a v2 hierarchy is mounted beside v1 ones."""
        return self.version == 1 and self.unified is not None

    @functools.cached_property
    def hierarchies(self) -> list[Path]:
        """Every mounted hierarchy once: v1 controllers may share one."""
        found = dict.fromkeys(path.resolve() for path in self.v1.values())
        return [*found, *([self.unified] if self.unified else [])]

    def folder(self, controller: str, cgroup: str) -> Path | None:
        """The folder in which `controller`'s files of `cgroup` are; None when not mounted."""
        base = self.unified if self.version == 2 else self.v1.get(controller)
        return base / cgroup.lstrip("/") if base else None


def parse(mountinfo: str) -> Layout:
    """Read the layout out of proc(5) mountinfo text."""
    v1: dict[str, Path] = {}
    unified: Path | None = None
    for line in mountinfo.splitlines():
        before, _, after = line.partition(" - ")
        kind, _, options = after.partition(" ")
        if kind not in ("cgroup", "cgroup2"):
            continue
        target = Path(before.split()[4])
        if not target.is_relative_to(_ROOT):
            continue
        if kind == "cgroup2":
            unified = target
            continue
        for option in options.split()[-1].split(","):
            if option not in ("rw", "ro"):
                v1[option.removeprefix("name=")] = target
    return Layout(1 if v1 else 2, v1, unified)


@functools.cache
def layout() -> Layout:
    """This host's layout; it does not change while the host is up."""
    return parse(Path("/proc/self/mountinfo").read_text(encoding="utf-8", errors="replace"))


@functools.cache
def files_v2() -> frozenset[str]:
    """The files a v2 cgroup has on this host, with the controllers that limits need.

    The root has few of them (cgroup-v2.rst), and on a host without systemd nothing may be below
    it: a cgroup is made for the look and removed again.
    """
    top = layout().unified
    if top is None:
        return frozenset()
    probe = top / f"bay-look-{os.getpid()}"
    for controller in ("cpu", "cpuset", "io", "memory", "pids"):
        with contextlib.suppress(OSError):  # what this kernel lacks: its files are then missing
            (top / "cgroup.subtree_control").write_text(f"+{controller}")
    try:
        probe.mkdir(exist_ok=True)
    except OSError:
        return frozenset()
    try:
        return frozenset(os.listdir(probe))
    finally:
        _rmdir(probe)


def folders(cgroup: str) -> list[Path]:
    """Every hierarchy's folder of `cgroup`, whether or not it exists."""
    return [base / cgroup.strip("/") for base in layout().hierarchies]


def processes(cgroup: str) -> set[int]:
    """The pids in `cgroup` and below it."""
    pids: set[int] = set()
    for folder in folders(cgroup):
        for below in _tree(folder):
            with contextlib.suppress(OSError), open(f"{below}/cgroup.procs", "rb") as file:
                pids.update(map(int, file.read().split()))
    return pids - {0}


def kill(cgroup: str) -> None:
    """SIGKILL all in `cgroup` until none is left; a paused (v1 frozen) one is thawed for it."""
    limit = time.monotonic() + _BUSY_SECONDS
    while pids := processes(cgroup):
        for pid in pids:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        _thaw(cgroup)
        if time.monotonic() > limit:
            raise OSError(errno.EBUSY, f"processes {sorted(pids)} survive SIGKILL", cgroup)
        time.sleep(_PAUSE)


def is_frozen(cgroup: str) -> bool | None:
    """Whether its processes are paused; None where no freezer tells (`cgroup` has none)."""
    folder = layout().folder("freezer", cgroup)
    name = "cgroup.freeze" if layout().version == 2 else "freezer.state"
    try:
        return None if folder is None else (folder / name).read_text().strip() not in _RUNNING
    except FileNotFoundError:
        return None


def _thaw(cgroup: str) -> None:
    """SIGKILL waits for the thaw in v1; v2 kills a frozen one at once."""
    folder = layout().folder("freezer", cgroup)
    if folder is None or layout().version == 2:
        return
    with contextlib.suppress(FileNotFoundError):
        (folder / "freezer.state").write_text("THAWED")


def remove(cgroup: str) -> None:
    """Remove `cgroup` and all below it from every hierarchy; blocks while the kernel reaps.

    Fine when it is not there. Raises OSError (EBUSY) when a process is still in it.
    """
    for folder in folders(cgroup):
        for below in _tree(folder):
            _rmdir(below)


def _rmdir(folder: Path) -> None:
    limit = time.monotonic() + _BUSY_SECONDS
    while True:
        try:
            os.rmdir(folder)
            return
        except FileNotFoundError:
            return
        except OSError as error:
            if error.errno != errno.EBUSY or time.monotonic() > limit:
                raise
        time.sleep(_PAUSE)


def remove_empty(cgroup: str) -> None:
    """Remove `cgroup` where nothing is below it and no process in it; leave it elsewhere."""
    for folder in folders(cgroup):
        try:
            os.rmdir(folder)
        except OSError as error:
            if error.errno not in (errno.ENOENT, errno.EBUSY, errno.ENOTEMPTY):
                raise


def _tree(folder: Path) -> Iterator[Path]:
    """`folder` and every folder below it, deepest first."""
    try:
        # As on most file systems, two links and one more for each folder in it (kernfs).
        leaf = os.stat(folder).st_nlink == 2
    except FileNotFoundError:
        return
    if leaf:
        yield folder
        return
    for path, _, _ in os.walk(folder, topdown=False):
        yield Path(path)


def write(cgroup: str, controller: str, name: str, value: str) -> None:
    """Write one of a cgroup's files. Raises OSError as the kernel does (EINVAL, ENOENT)."""
    folder = layout().folder(controller, cgroup)
    if folder is None:
        raise FileNotFoundError(errno.ENOENT, f"no cgroup controller {controller}", cgroup)
    (folder / name).write_text(value)


def move_to_root(pid: int) -> None:
    """Take `pid` out of the cgroups of whoever started it, in every hierarchy.

    What ends that session or service then neither kills nor accounts it. Costs an RCU grace
    period (5 to 12 ms) where it has to move, nothing where it is in the root already.
    """
    with open(f"/proc/{pid}/cgroup", encoding="utf-8") as file:
        lines = file.read().splitlines()
    for line in lines:
        _, names, path = line.split(":", 2)
        base = mount_point(names)
        if path == "/" or base is None:
            continue
        try:
            (base / "cgroup.procs").write_text(str(pid))
        except OSError as error:
            # The root of a cgroup namespace may not hold processes in v2: then it stays.
            if error.errno not in (errno.EBUSY, errno.EOPNOTSUPP):
                raise


def mount_point(names: str) -> Path | None:
    """Where the hierarchy of these controllers is mounted: proc(5), second field of `cgroup`."""
    if not names:
        return layout().unified
    return next(
        (
            base
            for name in names.split(",")
            if (base := layout().v1.get(name.removeprefix("name=")))
        ),
        None,
    )
