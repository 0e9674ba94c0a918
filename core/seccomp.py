"""Which system calls a container may make: Docker's default profile, or the user's own.

A profile is in the format of moby and Podman: entries that hold for some architectures,
capabilities or kernels only. `translate` makes the OCI runtime's plain list of it.
"""

from __future__ import annotations

import functools
import json
import os
import platform
import re
from collections.abc import Collection
from pathlib import Path

from ..host import jsontext
from ..host.errors import InvalidError
from .types import Json

# Go's names of architectures, which profiles use, and libseccomp's of the native one.
_ARCHES = {
    "x86_64": ("amd64", "SCMP_ARCH_X86_64"),
    "aarch64": ("arm64", "SCMP_ARCH_AARCH64"),
    "armv7l": ("arm", "SCMP_ARCH_ARM"),
    "i686": ("386", "SCMP_ARCH_X86"),
    "ppc64le": ("ppc64le", "SCMP_ARCH_PPC64LE"),
    "riscv64": ("riscv64", "SCMP_ARCH_RISCV64"),
    "s390x": ("s390x", "SCMP_ARCH_S390X"),
}


@functools.cache
def _default_text() -> str:
    return Path(__file__).with_name("seccomp.json").read_text(encoding="utf-8")


def choose(security_opt: Collection[str], caps: Collection[str], privileged: bool) -> Json | None:
    """The OCI `linux.seccomp` of a container; None for an unconfined one.

    `security_opt` is Docker's: `seccomp=unconfined`, `seccomp=builtin` or `seccomp={…}` with the
    profile itself. Raises InvalidError for a profile that cannot be read.
    """
    given = None
    for option in security_opt:
        key, _, value = option.replace(":", "=", 1).partition("=")
        if key == "seccomp":
            # A profile's own text has colons, so it is taken from the original.
            given = option[len("seccomp=") :] if value else value
    if given == "unconfined" or (given is None and privileged):
        return None
    if given in (None, "builtin", ""):
        return default(frozenset(caps))
    try:
        profile = jsontext.loads(given or "")
        return translate(profile, caps)
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise InvalidError(f"Decoding seccomp profile failed: {error}") from error


@functools.lru_cache(maxsize=32)
def default(caps: frozenset[str]) -> Json:
    """The default profile for `caps`. Shared: do not change it.

    A system call the profile does not know is newer than it: ENOSYS, so that a C library falls
    back to what it replaces. One it knows and these capabilities do not allow is EPERM.
    """
    profile = json.loads(_default_text())
    result = translate(profile, caps)
    known = {name for entry in profile["syscalls"] for name in entry["names"]}
    ruled = {name for rule in result["syscalls"] for name in rule["names"]}
    refused: Json = {"names": sorted(known - ruled), "action": "SCMP_ACT_ERRNO", "errnoRet": 1}
    return {**result, "syscalls": [*result["syscalls"], refused]}


def translate(
    profile: Json, caps: Collection[str], machine: str | None = None, release: str | None = None
) -> Json:
    """A profile as the OCI `linux.seccomp` for these capabilities, machine and kernel release.

    An entry goes if one of its `excludes` holds, and stays if all of its `includes` do: those of
    capabilities all, of architectures any.
    """
    go_arch, native = _ARCHES.get(machine or platform.machine(), ("", ""))
    kernel = _version(release or os.uname().release)
    rules = []
    for entry in profile.get("syscalls") or []:
        if not _applies(entry, set(caps), go_arch, kernel):
            continue
        rule: Json = {
            "names": entry.get("names") or [entry["name"]],
            "action": entry["action"],
        }
        if entry.get("args"):
            rule["args"] = entry["args"]
        if entry.get("errnoRet") is not None:
            rule["errnoRet"] = entry["errnoRet"]
        rules.append(rule)
    result: Json = {
        "defaultAction": profile["defaultAction"],
        "architectures": _architectures(profile, native),
        "syscalls": rules,
    }
    for key in ("defaultErrnoRet", "flags", "listenerPath", "listenerMetadata"):
        if profile.get(key) is not None:
            result[key] = profile[key]
    return result


def _architectures(profile: Json, native: str) -> list[str]:
    """The native architecture with those the CPU runs beside it."""
    if profile.get("architectures"):
        return list(profile["architectures"])
    for entry in profile.get("archMap") or []:
        if entry["architecture"] == native:
            return [native, *(entry.get("subArchitectures") or [])]
    return [native] if native else []


def _applies(entry: Json, caps: set[str], arch: str, kernel: tuple[int, int]) -> bool:
    excludes, includes = entry.get("excludes") or {}, entry.get("includes") or {}
    if arch in (excludes.get("arches") or ()) or caps & set(excludes.get("caps") or ()):
        return False
    if (limit := excludes.get("minKernel")) and kernel >= _version(limit):
        return False
    if (limit := includes.get("minKernel")) and kernel < _version(limit):
        return False
    if (arches := includes.get("arches")) and arch not in arches:
        return False
    return set(includes.get("caps") or ()) <= caps


def _version(text: str) -> tuple[int, int]:
    match = re.match(r"(\d+)\.(\d+)", text)
    if match is None:
        raise ValueError(f"not a kernel version: {text}")
    return int(match[1]), int(match[2])
