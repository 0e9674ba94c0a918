"""What an engine left behind: everything in the kernel that carries its names."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
from pathlib import Path

from bayplan.core.options import Options

SBIN = {**os.environ, "PATH": os.environ.get("PATH", "") + ":/usr/sbin:/sbin"}


def mounts(options: Options) -> list[str]:
    """Mount points below either root, netns pins included (proc(5), mountinfo field 5)."""
    found = []
    for line in Path("/proc/self/mountinfo").read_text().splitlines():
        point = line.split()[4]
        if any(point.startswith(f"{root}/") for root in (options.root, options.run_root)):
            found.append(f"mount {point}")
    return found


def links(options: Options) -> list[str]:
    """Network links with the engine's prefix."""
    return [f"link {n}" for n in os.listdir("/sys/class/net") if n.startswith(options.link_prefix)]


def tables(options: Options) -> list[str]:
    """The engine's nftables tables, of any family."""
    listed = subprocess.run(
        ["nft", "list", "tables"], capture_output=True, text=True, check=True, env=SBIN
    )
    return [
        f"nft {line}" for line in listed.stdout.splitlines() if line.split()[2] == options.table
    ]


def cgroups(options: Options) -> list[str]:
    """The engine's cgroup parent in every hierarchy that is mounted here."""
    found = []
    for line in Path("/proc/self/mounts").read_text().splitlines():
        _, point, kind, *_ = line.split()
        folder = Path(point) / options.cgroup_parent
        if kind in ("cgroup", "cgroup2") and folder.is_dir():
            found.append(f"cgroup {folder}")
    return found


def processes(options: Options) -> list[str]:
    """Processes whose command line names a root: engines, conmons, runtimes."""
    found = []
    needles = [os.fsencode(root) for root in (options.root, options.run_root)]
    for entry in os.listdir("/proc"):
        if not entry.isdigit() or int(entry) == os.getpid():
            continue
        try:
            command = Path(f"/proc/{entry}/cmdline").read_bytes()
        except (FileNotFoundError, ProcessLookupError):
            continue
        if any(needle in command for needle in needles):
            found.append(
                f"process {entry}: {command.replace(bytes(1), b' ').decode(errors='replace')[:120]}"
            )
    return found


def find(options: Options) -> list[str]:
    """Everything of this engine that still exists, one sentence fragment each."""
    return [
        *processes(options),
        *mounts(options),
        *links(options),
        *tables(options),
        *cgroups(options),
    ]


def kill_cgroup(folder: Path) -> None:
    """Kill every process in a cgroup and below it."""
    for listed in folder.rglob("cgroup.procs"):
        with contextlib.suppress(OSError):  # it has just been removed
            for pid in listed.read_text().split():
                with contextlib.suppress(ProcessLookupError):
                    os.kill(int(pid), signal.SIGKILL)


def remove_cgroup(folder: Path) -> None:
    """Remove a cgroup and all below it; what is still busy stays, and the next check says so."""
    for below, _, _ in os.walk(folder, topdown=False):
        try:
            os.rmdir(below)
        except OSError:
            pass
