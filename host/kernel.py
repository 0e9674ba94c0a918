"""What the running kernel can do, told from its own files without trying anything."""

from __future__ import annotations

import gzip
import os
from dataclasses import dataclass
from pathlib import Path

# linux/capability.h; the ones the engine's own work needs.
CAPABILITIES = {
    "CHOWN": 0,
    "DAC_OVERRIDE": 1,
    "FOWNER": 3,
    "KILL": 5,
    "SETGID": 6,
    "SETUID": 7,
    "NET_ADMIN": 12,
    "NET_RAW": 13,
    "SYS_CHROOT": 18,
    "SYS_ADMIN": 21,
    "SYS_RESOURCE": 24,
    "MKNOD": 27,
    "SETFCAP": 31,
}


@dataclass(frozen=True)
class CgroupLayout:
    """How cgroups are mounted: `kind` is v1, hybrid, v2 or none.

    `controllers` can be used for limits. `unified` are those of a hybrid's cgroup2 part, whose
    presence some versions of crun refuse.
    """

    kind: str
    controllers: frozenset[str]
    unified: frozenset[str] = frozenset()


def _text(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8", errors="replace")
    except OSError:
        return ""


def release() -> str:
    """The kernel's version, as `uname -r` has it."""
    return os.uname().release


def version(text: str | None = None) -> tuple[int, int]:
    """Major and minor number of a kernel release; (0, 0) when it has none."""
    words = (text if text is not None else release()).replace("-", ".").split(".")
    numbers = [int(word) for word in words[:2] if word.isdigit()]
    return (numbers[0], numbers[1]) if len(numbers) == 2 else (0, 0)


def cgroup_layout(top: Path = Path("/")) -> CgroupLayout:
    """Read the layout from `proc/self/mounts` below `top` (cgroups(7), cgroup v2 documentation)."""
    v1: set[str] = set()
    v2: list[Path] = []
    for line in _text(top / "proc/self/mounts").splitlines():
        _, point, kind, options, *_ = line.split()
        if kind == "cgroup":
            v1.update(word for word in options.split(",") if "=" not in word)
        elif kind == "cgroup2":
            v2.append(top / point.lstrip("/"))
    v1 -= {"rw", "ro", "nosuid", "nodev", "noexec", "relatime", "noatime", "seclabel", "xattr"}
    unified = frozenset(_text(v2[0] / "cgroup.controllers").split()) if v2 else frozenset()
    if v1:
        return CgroupLayout("hybrid" if v2 else "v1", frozenset(v1), unified)
    if v2:
        return CgroupLayout("v2", unified, unified)
    return CgroupLayout("none", frozenset())


def has_filesystem(name: str, top: Path = Path("/")) -> bool:
    """Whether the kernel knows a file system type now (proc(5), filesystems)."""
    lines = _text(top / "proc/filesystems").splitlines()
    return any(line.split()[-1:] == [name] for line in lines)


def feature(module: str, option: str, top: Path = Path("/")) -> str:
    """How the kernel has a feature: `loaded`, `built in`, `module`, or empty when it has not.

    `module` is its module's name and `option` its line in the kernel's configuration. Answers
    `unknown` where the kernel tells neither its modules nor its configuration.
    """
    if (top / "sys/module" / module).is_dir():
        return "loaded"
    folder = top / "lib/modules" / release()
    told = False
    for index, answer in (("modules.builtin", "built in"), ("modules.dep", "module")):
        listed = _text(folder / index)
        told = told or bool(listed)
        for line in listed.splitlines():
            name = line.partition(":")[0].rpartition("/")[2].partition(".ko")[0]
            if name.replace("-", "_") == module:
                return answer
    setting = _configuration(top).get(option)
    if setting is not None:
        return {"y": "built in", "m": "module"}.get(setting, "")
    return "" if told or _configuration(top) else "unknown"


def _configuration(top: Path) -> dict[str, str]:
    try:
        text = gzip.decompress((top / "proc/config.gz").read_bytes()).decode()
    except OSError:
        text = _text(top / f"boot/config-{release()}")
    lines = (line.partition("=") for line in text.splitlines() if line.startswith("CONFIG_"))
    return {name: value for name, _, value in lines}


def missing_capabilities(top: Path = Path("/")) -> list[str]:
    """Which of `CAPABILITIES` this process has not in its effective set (capabilities(7))."""
    for line in _text(top / "proc/self/status").splitlines():
        if line.startswith("CapEff:"):
            effective = int(line.split()[1], 16)
            return [name for name, bit in CAPABILITIES.items() if not effective >> bit & 1]
    return list(CAPABILITIES)


def filesystem_of(path: Path, top: Path = Path("/")) -> str:
    """The type of the file system that `path` lies on or would lie on."""
    best, kind = "", ""
    for line in _text(top / "proc/self/mountinfo").splitlines():
        before, _, after = line.partition(" - ")
        point = before.split()[4]
        inside = path == Path(point) or Path(point) in path.parents
        if inside and len(point) >= len(best):
            best, kind = point, after.split()[0]
    return kind
