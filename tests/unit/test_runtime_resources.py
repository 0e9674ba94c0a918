"""Limits: checked, completed, and for the runtime."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import pytest
from bayplan.core import logrotation, resources, samples
from bayplan.core.detach import Detacher, parse
from bayplan.core.runtime import last_error
from bayplan.core.runtimeerrors import explain
from bayplan.host import cgroups
from bayplan.host.errors import InvalidError

MB = 1 << 20
HYBRID = """25 1 0:22 / /sys rw - sysfs sysfs rw
29 25 0:26 / /sys/fs/cgroup rw - tmpfs tmpfs rw
30 29 0:27 / /sys/fs/cgroup/cpu,cpuacct rw shared:4 - cgroup cgroup rw,cpu,cpuacct
31 29 0:28 / /sys/fs/cgroup/memory rw - cgroup cgroup rw,memory
32 29 0:29 / /sys/fs/cgroup/systemd rw - cgroup cgroup rw,xattr,name=systemd
33 29 0:30 / /sys/fs/cgroup/unified rw - cgroup2 cgroup2 rw
99 1 0:30 / /var/lib/x/sys/fs/cgroup rw - cgroup2 cgroup2 rw
"""
UNIFIED = "30 25 0:26 / /sys/fs/cgroup rw,nosuid shared:9 - cgroup2 cgroup2 rw,nsdelegate\n"


@pytest.mark.parametrize(
    ("host_config", "message"),
    [
        ({"Memory": 1024}, "Minimum memory limit allowed is 6MB"),
        ({"Memory": -1}, "Minimum memory limit allowed is 6MB"),
        ({"Memory": 8 * MB, "MemorySwap": 7 * MB}, "Minimum memoryswap limit"),
        ({"MemorySwap": 8 * MB}, "always set the Memory limit"),
        ({"MemorySwappiness": 101}, "valid memory swappiness range is 0-100"),
        ({"Memory": 8 * MB, "MemoryReservation": 9 * MB}, "less than memory reservation"),
        ({"NanoCpus": 10**9, "CpuQuota": 5000}, "Nano CPUs and CPU Quota cannot both be set"),
        ({"CpuShares": -1}, "shares: invalid argument"),
        ({"NanoCpus": 10**15}, "Range of CPUs is from 0.01 to"),
        ({"CpuPeriod": 10}, "CPU cfs period"),
        ({"CpuQuota": 10}, "CPU cfs quota"),
        ({"CpusetCpus": "0-x"}, "Invalid value 0-x"),
        ({"CpusetCpus": "4095"}, "Requested CPUs are not available - requested 4095"),
        ({"BlkioWeight": 5}, "Range of blkio weight"),
    ],
)
def test_refused(host_config: dict[str, Any], message: str) -> None:
    with pytest.raises(InvalidError) as caught:
        resources.adapt(host_config)
    assert message in caught.value.message


def test_oci_resources() -> None:
    assert resources.oci({}) == {}
    result = resources.oci(
        {
            "Memory": 64 * MB,
            "MemoryReservation": 32 * MB,
            "MemorySwap": 128 * MB,
            "NanoCpus": 1_500_000_000,
            "CpuShares": 7,
            "CpusetCpus": "0",
            "PidsLimit": 9,
        }
    )
    assert result == {
        "memory": {"limit": 64 * MB, "reservation": 32 * MB, "swap": 128 * MB},
        "cpu": {"period": 100_000, "quota": 150_000, "shares": 7, "cpus": "0"},
        "pids": {"limit": 9},
    }
    assert resources.oci({"PidsLimit": -1, "MemorySwap": -1}) == {}


def test_block_devices_must_be_some() -> None:
    for path in ("/dev/null", "/dev/nosuch"):
        with pytest.raises(InvalidError, match=path):
            resources.oci({"BlkioDeviceReadBps": [{"Path": path, "Rate": 1}]})


def test_sets() -> None:
    assert resources.parse_set("0-2,5, 7") == {0, 1, 2, 5, 7}


def test_cgroup_layouts() -> None:
    hybrid = cgroups.parse(HYBRID)
    assert (hybrid.version, hybrid.hybrid) == (1, True)
    assert hybrid.folder("cpuacct", "/bay/x") == Path("/sys/fs/cgroup/cpu,cpuacct/bay/x")
    assert hybrid.folder("pids", "bay") is None
    assert "systemd" in hybrid.v1
    assert hybrid.unified == Path("/sys/fs/cgroup/unified")
    unified = cgroups.parse(UNIFIED)
    assert (unified.version, unified.hybrid) == (2, False)
    assert unified.folder("memory", "bay/x") == Path("/sys/fs/cgroup/bay/x")


@pytest.mark.parametrize(
    ("config", "expected"),
    [
        ({}, (0, 1)),
        ({"Config": {"max-size": "10m", "max-file": "3"}}, (10 * MB, 3)),
        ({"Config": {"max-size": "1.5k"}}, (1536, 1)),
        ({"Config": {"max-size": "-1"}}, (0, 1)),
        ({"Type": "local"}, (20 * MB, 5)),
    ],
)
def test_log_limits(config: dict[str, Any], expected: tuple[int, int]) -> None:
    assert logrotation.limits(config) == expected


@pytest.mark.parametrize("config", [{"max-size": "big"}, {"max-file": "0"}])
def test_bad_log_limits(config: dict[str, str]) -> None:
    with pytest.raises(InvalidError):
        logrotation.limits({"Config": config})


@pytest.mark.parametrize(
    ("text", "expected"),
    [("ctrl-p,ctrl-q", b"\x10\x11"), ("a", b"a"), ("ctrl-@,x", b"\0x"), ("ctrl-[", b"\x1b")],
)
def test_detach_keys(text: str, expected: bytes) -> None:
    assert parse(text) == expected


@pytest.mark.parametrize("text", ["", "ctrl-", "ctrl-1", "ab", "ctrl-pp"])
def test_bad_detach_keys(text: str) -> None:
    with pytest.raises(InvalidError):
        parse(text)


@pytest.mark.parametrize(
    ("typed", "passed", "detached"),
    [
        ([b"ab\x10", b"\x11cd"], b"ab", True),
        ([b"\x10\x10", b"x"], b"\x10\x10x", False),
        ([b"\x10\x10\x11"], b"\x10", True),
        ([b"\x11\x10"], b"\x11", False),
    ],
)
def test_detaching(typed: list[bytes], passed: bytes, detached: bool) -> None:
    detacher = Detacher(b"\x10\x11")
    assert b"".join(detacher.feed(part) for part in typed) == passed
    assert detacher.detached is detached


@pytest.mark.parametrize(
    ("log", "command", "code", "words"),
    [
        ('{"msg":"executable file `x` not found in $PATH","level":"error"}', "x", 127, "in $PATH"),
        ('{"msg":"executable file `/x` not found in $PATH","level":"error"}', "/x", 127, "stat /x"),
        (
            '{"level":"error","msg":"exec: \\"/x\\": stat /x: no such file or directory"}',
            "/x",
            127,
            "",
        ),
        ('{"msg":"open executable: Permission denied","level":"error"}', "/x", 126, "permission"),
        ('{"msg":"exec /x: exec format error","level":"error"}', "/x", 126, "exec format error"),
        ('time="T" level=error msg="something else broke"', "x", 125, "something else broke"),
        ("", "x", 125, "without a word"),
    ],
)
def test_runtime_errors(log: str, command: str, code: int, words: str) -> None:
    error = explain(log, "", [command], "create")
    assert error.code == code
    assert error.message.startswith("OCI runtime create failed: ")
    assert words in error.message


def test_warnings_are_no_errors() -> None:
    said = [("warning", "hm"), ("error", "broke"), ("info", "x")]
    log = "\n".join(json.dumps({"level": level, "msg": text}) for level, text in said)
    assert last_error(log) == "broke"


def test_fields_of_a_stat_file() -> None:
    text = b"inactive_file 1\ntotal_inactive_file 22\nanon 3\n"
    assert samples.field_of(text, b"inactive_file") == 1
    assert samples.field_of(text, b"total_inactive_file") == 22
    assert samples.field_of(text, b"none") == 0
    assert samples.read_network(os.getpid()).keys() >= set()
