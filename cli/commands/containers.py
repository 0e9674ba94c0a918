"""Verbs on one container: rename, top, port, diff, update."""

from __future__ import annotations

from ...host.errors import NotFoundError
from ...host.light import Any
from ..app import App
from ..command import Command
from ..flags import Parsed, UsageError, switch
from ..limits import nano_cpus
from ..runflags import CREATE_FLAGS
from ..runspec import restart_policy
from ..table import align, is_styled
from ..units import human_size
from .lifecycle import each

Json = dict[str, Any]

# Docker's `--restart` and limits, those that can change while a container runs.
_UPDATE = (
    "blkio-weight", "cpu-period", "cpu-quota", "cpu-rt-period", "cpu-rt-runtime", "cpu-shares",
    "cpus", "cpuset-cpus", "cpuset-mems", "kernel-memory", "memory", "memory-reservation",
    "memory-swap", "pids-limit", "restart",
)  # fmt: skip
_API_NAMES = {
    "blkio-weight": "BlkioWeight",
    "cpu-period": "CpuPeriod",
    "cpu-quota": "CpuQuota",
    "cpu-rt-period": "CpuRealtimePeriod",
    "cpu-rt-runtime": "CpuRealtimeRuntime",
    "cpu-shares": "CpuShares",
    "cpuset-cpus": "CpusetCpus",
    "cpuset-mems": "CpusetMems",
    "memory": "Memory",
    "memory-reservation": "MemoryReservation",
    "memory-swap": "MemorySwap",
    "pids-limit": "PidsLimit",
}


def run_rename(app: App, parsed: Parsed) -> None:
    """Give a container another name."""
    old, new = parsed.args
    app.client.post(f"/containers/{old.strip('/')}/rename", name=new.strip())


def run_top(app: App, parsed: Parsed) -> None:
    """Print the processes of a container, as ps shows them."""
    container, *words = parsed.args
    found = app.client.get(f"/containers/{container}/top", ps_args=" ".join(words) or None)
    styles = [""] * len(found["Titles"]) if is_styled() else None
    for line in align([found["Titles"], *found["Processes"]], styles, least=20):
        app.out(line)


def run_port(app: App, parsed: Parsed) -> None:
    """Print where each published port, or the one named, is found on the host."""
    container, *wanted = parsed.args
    found = app.client.get(f"/containers/{container}/json")
    ports: Json = found["NetworkSettings"]["Ports"] or {}
    if wanted:
        key = wanted[0] if "/" in wanted[0] else f"{wanted[0]}/tcp"
        if not ports.get(key):
            raise NotFoundError(f"Error: No public port '{wanted[0]}' published for {container}")
        for binding in ports[key]:
            app.out(_place(binding))
        return
    for key in sorted(ports, key=lambda key: (int(key.partition("/")[0]), key)):
        for binding in ports[key] or []:
            app.out(f"{key} -> {_place(binding)}")


def _place(binding: Json) -> str:
    address = binding["HostIp"]
    return (
        f"[{address}]:{binding['HostPort']}"
        if ":" in address
        else (f"{address}:{binding['HostPort']}")
    )


def run_diff(app: App, parsed: Parsed) -> None:
    """Print what changed in a container's files: C(hanged), A(dded), D(eleted)."""
    if parsed["size"]:
        found = app.client.get(f"/bay/containers/{parsed.args[0]}/changes", deep=True)
        for one in found["Entries"]:
            kind = "A" if one["Change"] == "added" else "D" if one["Change"] == "removed" else "C"
            app.out(f"{kind} {human_size(one['Size']):>9} {one['Path']}")
        return
    for one in app.client.get(f"/containers/{parsed.args[0]}/changes") or []:
        app.out(f"{'CAD'[one['Kind']]} {one['Path']}")


def run_update(app: App, parsed: Parsed) -> int:
    """Change limits and restart policy of containers."""
    if not parsed.given:
        raise UsageError("you must provide one or more flags when using this command")
    body: Json = {_API_NAMES[name]: parsed[name] for name in parsed.given if name in _API_NAMES}
    if "cpus" in parsed:
        body["NanoCpus"] = nano_cpus(parsed["cpus"])
    if "restart" in parsed:
        body["RestartPolicy"] = restart_policy(parsed["restart"])

    def act(name: str) -> None:
        answer = app.client.post(f"/containers/{name}/update", body)
        for warning in (answer or {}).get("Warnings") or []:
            app.err(warning)

    return each(app, parsed.args, act)


RENAME = Command("rename CONTAINER NEW_NAME", "Rename a container", run_rename, least=2, most=2)
TOP = Command(
    "top CONTAINER [ps OPTIONS]",
    "Show the running processes of a container",
    run_top,
    least=1,
    most=None,
    interspersed=False,
)
PORT = Command(
    "port CONTAINER [PRIVATE_PORT[/PROTO]]",
    "Show where a container's ports are published",
    run_port,
    least=1,
    most=2,
)
DIFF = Command(
    "diff [OPTIONS] CONTAINER",
    "Show what changed in a container's files",
    run_diff,
    flags=(switch("size", "Show sizes: of a folder, of all that is new or changed in it", "s"),),
    least=1,
    most=1,
)
UPDATE = Command(
    "update [OPTIONS] CONTAINER [CONTAINER...]",
    "Change limits of one or more containers",
    run_update,
    flags=tuple(flag for flag in CREATE_FLAGS if flag.name in _UPDATE),
    least=1,
    most=None,
)
