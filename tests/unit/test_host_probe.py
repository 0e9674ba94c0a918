"""What `bay doctor` says about hosts other than this one, from copies of their own files."""

from __future__ import annotations

import gzip
from pathlib import Path

import pytest
from bayplan.host import kernel, probe

HYBRID = """\
tmpfs /sys/fs/cgroup tmpfs rw,relatime,mode=755 0 0
cgroup /sys/fs/cgroup/cpu,cpuacct cgroup rw,nosuid,relatime,cpu,cpuacct 0 0
cgroup /sys/fs/cgroup/memory cgroup rw,relatime,memory 0 0
cgroup /sys/fs/cgroup/devices cgroup rw,relatime,devices 0 0
cgroup /sys/fs/cgroup/freezer cgroup rw,relatime,freezer 0 0
cgroup /sys/fs/cgroup/pids cgroup rw,relatime,pids 0 0
cgroup /sys/fs/cgroup/systemd cgroup rw,relatime,xattr,name=systemd 0 0
cgroup2 /sys/fs/cgroup/unified cgroup2 rw,relatime 0 0
"""
UNIFIED = "cgroup2 /sys/fs/cgroup cgroup2 rw,nosuid,nodev,noexec,relatime 0 0\n"


def write(top: Path, name: str, text: str) -> None:
    path = top / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)


def test_hybrid_layout_is_told_with_its_unified_controllers(tmp_path: Path) -> None:
    """v1 controllers do the work; what the cgroup2 part holds is named, as crun minds it."""
    write(tmp_path, "proc/self/mounts", HYBRID)
    write(tmp_path, "sys/fs/cgroup/unified/cgroup.controllers", "hugetlb\n")
    layout = kernel.cgroup_layout(tmp_path)
    assert layout.kind == "hybrid"
    assert layout.controllers == {"cpu", "cpuacct", "memory", "devices", "freezer", "pids"}
    finding = probe.cgroups(tmp_path)
    assert finding.ok and finding.found == "hybrid (hugetlb in the unified part)"


def test_v2_without_memory_is_not_ok_and_has_a_cure(tmp_path: Path) -> None:
    """A Raspberry Pi's kernel switches memory off; the finding says which word turns it on."""
    write(tmp_path, "proc/self/mounts", UNIFIED)
    write(tmp_path, "sys/fs/cgroup/cgroup.controllers", "cpuset cpu io pids\n")
    finding = probe.cgroups(tmp_path)
    assert not finding.ok and "without memory" in finding.found
    assert "cgroup_enable=memory" in finding.command("debian")


def test_no_cgroups_at_all(tmp_path: Path) -> None:
    """Alpine mounts none until its service is started."""
    write(tmp_path, "proc/self/mounts", "proc /proc proc rw 0 0\n")
    finding = probe.cgroups(tmp_path)
    assert not finding.ok and finding.command("alpine") == "rc-service cgroups start"


@pytest.mark.parametrize(
    ("files", "expected"),
    [
        ({"sys/module/veth/refcnt": "1"}, "loaded"),
        ({"lib/modules/R/modules.builtin": "kernel/drivers/net/veth.ko\n"}, "built in"),
        ({"lib/modules/R/modules.dep": "kernel/drivers/net/veth.ko.xz: a.ko\n"}, "module"),
        ({"lib/modules/R/modules.dep": "kernel/net/other.ko:\n"}, ""),
        ({"boot/config-R": "CONFIG_VETH=y\n"}, "built in"),
        ({"boot/config-R": "CONFIG_VETH=m\n"}, "module"),
        ({"boot/config-R": "CONFIG_BRIDGE=y\n# CONFIG_VETH is not set\n"}, ""),
        ({}, "unknown"),
    ],
)
def test_kernel_feature(tmp_path: Path, files: dict[str, str], expected: str) -> None:
    """A feature is found wherever this kind of kernel tells of it."""
    for name, text in files.items():
        name = name.replace("/R/", f"/{kernel.release()}/")
        write(tmp_path, name.replace("-R", f"-{kernel.release()}"), text)
    assert kernel.feature("veth", "CONFIG_VETH", tmp_path) == expected


def test_kernel_feature_from_its_own_configuration(tmp_path: Path) -> None:
    """A kernel without any module files (a small virtual machine's) still has its config.gz."""
    (tmp_path / "proc").mkdir()
    (tmp_path / "proc/config.gz").write_bytes(gzip.compress(b"CONFIG_VETH=y\n"))
    assert kernel.feature("veth", "CONFIG_VETH", tmp_path) == "built in"
    assert kernel.feature("bridge", "CONFIG_BRIDGE", tmp_path) == ""


def test_missing_capabilities_are_named(tmp_path: Path) -> None:
    """All but CAP_SYS_RESOURCE (bit 24)."""
    write(tmp_path, "proc/self/status", "Name:\tx\nCapEff:\t000001fffeffffff\n")
    assert kernel.missing_capabilities(tmp_path) == ["SYS_RESOURCE"]


def test_writable_layers_on_overlay_are_refused(tmp_path: Path) -> None:
    """Inside another container's root there is nowhere to put an upper layer."""
    write(tmp_path, "proc/filesystems", "nodev\toverlay\n")
    write(
        tmp_path,
        "proc/self/mountinfo",
        "1 0 0:1 / / rw - overlay overlay rw\n2 1 8:1 / /var/lib rw - ext4 /dev/sda rw\n",
    )
    assert probe.storage(Path("/var/lib/bay"), tmp_path).ok
    refused = probe.storage(Path("/srv/bay"), tmp_path)
    assert not refused.ok and "--root" in refused.found


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("ID=debian\n", "debian"),
        ('ID=linuxmint\nID_LIKE="ubuntu debian"\n', "debian"),
        ('ID="rocky"\nID_LIKE="rhel centos fedora"\n', "fedora"),
        ("ID=alpine\n", "alpine"),
        ("ID=manjaro\nID_LIKE=arch\n", "arch"),
        ("ID=nixos\n", ""),
    ],
)
def test_distribution(tmp_path: Path, text: str, expected: str) -> None:
    """Derivatives get their parent's commands."""
    write(tmp_path, "etc/os-release", text)
    assert probe.distribution(tmp_path) == expected


def test_a_missing_program_comes_with_a_command(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With nothing installed, each finding that is not ok names a package for each distribution."""
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setattr(probe.process, "PATH", str(tmp_path))
    for finding in (probe.conmon(), probe.runtime(), probe.busybox()):
        assert not finding.ok
        assert all(finding.command(name) for name in probe.DISTRIBUTIONS), finding
        assert finding.found and finding.why


def test_a_program_that_does_not_run_is_not_found(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A conmon of another machine is as good as none."""
    broken = tmp_path / "conmon"
    broken.write_text("#!/bin/sh\nexit 1\n")
    broken.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:/bin:/usr/bin")
    finding = probe.conmon()
    assert not finding.ok and "does not run" in finding.found


def test_findings_of_this_host_put_what_is_missing_first() -> None:
    """Every finding says something, and the order is the one a reader wants."""
    found = probe.findings()
    assert [one.ok for one in found] == sorted(one.ok for one in found)
    assert len({one.name for one in found}) == len(found)
    assert all(one.name and one.found and one.why for one in found)


def test_kernel_version() -> None:
    """Distribution suffixes do not matter."""
    assert kernel.version("6.1.0-18-amd64") == (6, 1)
    assert kernel.version("5.10-rc1") == (5, 10)
    assert kernel.version("strange") == (0, 0)
