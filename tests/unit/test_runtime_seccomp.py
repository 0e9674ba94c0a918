"""Which system calls: the default profile per capability, and the user's own."""

from __future__ import annotations

import json
from typing import Any

import pytest
from bayplan.core import capabilities, seccomp
from bayplan.host.errors import InvalidError

DEFAULT = frozenset(capabilities.DEFAULT)


def action(profile: Any, name: str) -> tuple[str, int | None]:
    """What an unconditional rule says of a system call, else the default."""
    for rule in profile["syscalls"]:
        if name in rule["names"] and not rule.get("args"):
            return rule["action"].removeprefix("SCMP_ACT_"), rule.get("errnoRet")
    return profile["defaultAction"].removeprefix("SCMP_ACT_"), profile.get("defaultErrnoRet")


@pytest.mark.parametrize("name", ["read", "openat2", "clone", "futex_waitv", "fchmodat2", "chroot"])
def test_allowed_by_default(name: str) -> None:
    profile = seccomp.default(DEFAULT)
    assert any(
        name in rule["names"] and rule["action"] == "SCMP_ACT_ALLOW" for rule in profile["syscalls"]
    )


REFUSED = "mount unshare setns bpf keyctl add_key kexec_load reboot io_uring_setup ptrace_x"


@pytest.mark.parametrize("name", REFUSED.split())
def test_refused_by_default(name: str) -> None:
    """EPERM for what is known, ENOSYS for what is not."""
    expected = ("ERRNO", 38 if name == "ptrace_x" else 1)
    assert action(seccomp.default(DEFAULT), name) == expected


def test_clone3_is_unknown_so_that_libraries_use_clone() -> None:
    assert action(seccomp.default(DEFAULT), "clone3") == ("ERRNO", 38)
    assert action(seccomp.default(DEFAULT | {"CAP_SYS_ADMIN"}), "clone3")[0] == "ALLOW"


@pytest.mark.parametrize(
    ("cap", "name"),
    [
        ("CAP_SYS_ADMIN", "mount"),
        ("CAP_SYS_BOOT", "reboot"),
        ("CAP_SYS_MODULE", "init_module"),
        ("CAP_SYS_TIME", "clock_settime"),
        ("CAP_SYSLOG", "syslog"),
    ],
)
def test_a_capability_brings_its_calls(cap: str, name: str) -> None:
    assert action(seccomp.default(DEFAULT), name) == ("ERRNO", 1)
    assert action(seccomp.default(DEFAULT | {cap}), name)[0] == "ALLOW"


PROFILE: dict[str, Any] = {
    "defaultAction": "SCMP_ACT_ERRNO",
    "archMap": [
        {"architecture": "SCMP_ARCH_X86_64", "subArchitectures": ["SCMP_ARCH_X86"]},
        {"architecture": "SCMP_ARCH_AARCH64", "subArchitectures": ["SCMP_ARCH_ARM"]},
    ],
    "syscalls": [
        {"names": ["always"], "action": "SCMP_ACT_ALLOW", "comment": "dropped"},
        {"name": "old", "action": "SCMP_ACT_ALLOW"},
        {"names": ["amd"], "action": "SCMP_ACT_ALLOW", "includes": {"arches": ["amd64", "x32"]}},
        {"names": ["arm"], "action": "SCMP_ACT_ALLOW", "includes": {"arches": ["arm64"]}},
        {"names": ["both"], "action": "SCMP_ACT_ALLOW", "includes": {"caps": ["CAP_A", "CAP_B"]}},
        {"names": ["without"], "action": "SCMP_ACT_ALLOW", "excludes": {"caps": ["CAP_A"]}},
        {"names": ["new"], "action": "SCMP_ACT_ALLOW", "includes": {"minKernel": "5.6"}},
        {"names": ["arg"], "action": "SCMP_ACT_ERRNO", "errnoRet": 5, "args": [{"index": 0}]},
    ],
}


@pytest.mark.parametrize(
    ("caps", "machine", "release", "expected"),
    [
        (set(), "x86_64", "5.5.0", {"amd", "without"}),
        ({"CAP_A"}, "x86_64", "5.6.1-generic", {"amd", "new"}),
        ({"CAP_A", "CAP_B"}, "aarch64", "6.1", {"arm", "both", "new"}),
    ],
)
def test_translation(caps: set[str], machine: str, release: str, expected: set[str]) -> None:
    result = seccomp.translate(PROFILE, caps, machine, release)
    names = {name for rule in result["syscalls"] for name in rule["names"]}
    assert names == expected | {"always", "old", "arg"}
    assert result["architectures"][0].endswith("X86_64" if machine == "x86_64" else "AARCH64")
    assert len(result["architectures"]) == 2
    assert all(
        rule.keys() <= {"names", "action", "args", "errnoRet"} for rule in result["syscalls"]
    )
    assert result["syscalls"][-1]["errnoRet"] == 5


def test_choice_by_security_options() -> None:
    assert seccomp.choose(["seccomp=unconfined"], DEFAULT, False) is None
    assert seccomp.choose(["seccomp:unconfined"], DEFAULT, False) is None
    assert seccomp.choose([], DEFAULT, True) is None
    assert seccomp.choose(["label=disable"], DEFAULT, False) == seccomp.default(DEFAULT)
    assert seccomp.choose(["seccomp=builtin"], DEFAULT, True) == seccomp.default(DEFAULT)
    own = seccomp.choose([f"seccomp={json.dumps(PROFILE)}"], DEFAULT, True)
    assert own is not None
    assert own["defaultAction"] == "SCMP_ACT_ERRNO"
    for text in ("{", "[]", "{}", "/a/path.json"):
        with pytest.raises(InvalidError, match="Decoding seccomp profile failed"):
            seccomp.choose([f"seccomp={text}"], DEFAULT, False)
