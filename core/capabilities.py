"""Linux capabilities: Docker's default set, what a container adds and drops, what the host has."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from ..host.errors import InvalidError
from .types import Json

# The bit of each is its index: include/uapi/linux/capability.h.
_NAMES = """CHOWN DAC_OVERRIDE DAC_READ_SEARCH FOWNER FSETID KILL SETGID SETUID SETPCAP
    LINUX_IMMUTABLE NET_BIND_SERVICE NET_BROADCAST NET_ADMIN NET_RAW IPC_LOCK IPC_OWNER SYS_MODULE
    SYS_RAWIO SYS_CHROOT SYS_PTRACE SYS_PACCT SYS_ADMIN SYS_BOOT SYS_NICE SYS_RESOURCE SYS_TIME
    SYS_TTY_CONFIG MKNOD LEASE AUDIT_WRITE AUDIT_CONTROL SETFCAP MAC_OVERRIDE MAC_ADMIN SYSLOG
    WAKE_ALARM BLOCK_SUSPEND AUDIT_READ PERFMON BPF CHECKPOINT_RESTORE"""
_DEFAULT_NAMES = """CHOWN DAC_OVERRIDE FSETID FOWNER MKNOD NET_RAW SETGID SETUID SETFCAP SETPCAP
    NET_BIND_SERVICE SYS_CHROOT KILL AUDIT_WRITE"""
ALL = tuple(f"CAP_{name}" for name in _NAMES.split())
DEFAULT = tuple(f"CAP_{name}" for name in _DEFAULT_NAMES.split())


def available() -> frozenset[str]:
    """What this process can hand on: its bounding set and its permitted one, from proc(5)."""
    masks: dict[str, int] = {}
    with open("/proc/self/status", encoding="ascii", errors="replace") as file:
        for line in file:
            if line.startswith(("CapPrm:", "CapBnd:")):
                key, _, value = line.partition(":")
                masks[key] = int(value, 16)
    mask = masks["CapPrm"] & masks["CapBnd"]
    return frozenset(name for bit, name in enumerate(ALL) if mask >> bit & 1)


def normalize(names: Iterable[str], what: str) -> list[str]:
    """`net_admin`, `CAP_NET_ADMIN` → `CAP_NET_ADMIN`; `ALL` stays.

    Raises InvalidError for a name the kernel has not; `what` is CapAdd or CapDrop.
    """
    result = []
    for given in names:
        name = given.upper().removeprefix("CAP_")
        if name != "ALL":
            name = f"CAP_{name}"
            if name not in ALL:
                raise InvalidError(f'invalid {what}: unknown capability: "{name}"')
        result.append(name)
    return result


def choose(host_config: Json, host: frozenset[str] | None = None) -> list[str]:
    """The capabilities of a container with this HostConfig, in the kernel's order.

    Docker's rules: `ALL` dropped leaves what is added, `ALL` added leaves all but what is dropped.
    Cut to those of `host` (see `available`): the runtimes refuse to create with one they lack.
    """
    host = available() if host is None else host
    add = normalize(host_config.get("CapAdd") or (), "CapAdd")
    drop = normalize(host_config.get("CapDrop") or (), "CapDrop")
    if host_config.get("Privileged"):
        chosen = set(ALL)
    elif "ALL" in drop:
        chosen = set(ALL) if "ALL" in add else set(add)
    elif "ALL" in add:
        chosen = set(ALL) - set(drop)
    else:
        chosen = (set(DEFAULT) - set(drop)) | set(add)
    return ordered(chosen & host)


def ordered(names: Iterable[str]) -> list[str]:
    """In the kernel's order."""
    chosen = set(names)
    return [name for name in ALL if name in chosen]


def process_sets(names: Sequence[str]) -> Json:
    """The OCI `process.capabilities`; no ambient and no inheritable ones, as Docker has it.

    A process of another user than root loses effective and permitted at execve(2) by itself.
    """
    return {key: list(names) for key in ("bounding", "effective", "permitted")}
