"""From HostConfig to the OCI configuration, without a container."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from bayplan.core import capabilities, spec, specdevices, specprocess
from bayplan.core.types import Container
from bayplan.host import cgroups
from bayplan.host.errors import InvalidError

HOST = frozenset(capabilities.ALL) - {"CAP_SYS_RESOURCE"}


def build(tmp_path: Path, host_config: dict[str, Any] | None = None, **config: Any) -> Any:
    rootfs = tmp_path / "rootfs"
    rootfs.mkdir(exist_ok=True)
    request = config.pop("request", {})
    container = Container(
        id="c" * 64,
        name="ship",
        created=0,
        image="",
        image_ref="",
        config={"Cmd": ["sh"], **config},
        host_config=host_config or {},
        bundle=tmp_path,
        mounts=config.pop("mounts", []),
    )
    netns = request.pop("netns", "/run/netns/x")
    return spec.build(
        spec.SpecRequest(container, {}, rootfs, netns, "bay/c", host_caps=HOST, **request)
    )


def kinds(result: Any) -> dict[str, str | None]:
    return {item["type"]: item.get("path") for item in result["linux"]["namespaces"]}


def options(result: Any, target: str) -> list[str]:
    return next(m["options"] for m in result["mounts"] if m["destination"] == target)


def test_defaults(tmp_path: Path) -> None:
    result = build(tmp_path)
    assert result["process"]["args"] == ["sh"]
    assert result["process"]["user"] == {"uid": 0, "gid": 0, "additionalGids": [0]}
    assert result["hostname"] == "c" * 12
    assert len(result["process"]["capabilities"]["bounding"]) == 14
    assert kinds(result).keys() >= {"mount", "network", "pid", "ipc", "uts"}
    assert result["linux"]["seccomp"]["defaultAction"] == "SCMP_ACT_ERRNO"
    assert "/proc/kcore" in result["linux"]["maskedPaths"]
    assert "/proc/sys" in result["linux"]["readonlyPaths"]
    assert "ro" in options(result, "/sys") and "ro" in options(result, "/sys/fs/cgroup")
    assert "size=67108864" in options(result, "/dev/shm")
    assert "oomScoreAdj" not in result["process"] and "rlimits" not in result["process"]
    assert result["linux"]["resources"]["devices"][0] == {"allow": False, "access": "rwm"}
    assert result["linux"]["sysctl"]["net.ipv4.ip_unprivileged_port_start"] == "0"


def test_the_folder_of_version_1_is_closed(tmp_path: Path) -> None:
    """crun leaves the tmpfs that holds the hierarchies writable; not over the user's own mount."""
    wanted = cgroups.layout().version == 1
    found = build(tmp_path, {})["linux"]["readonlyPaths"]
    assert ("/sys/fs/cgroup" in found) == wanted


def test_privileged(tmp_path: Path) -> None:
    result = build(tmp_path, {"Privileged": True})
    assert set(result["process"]["capabilities"]["effective"]) == HOST
    assert "seccomp" not in result["linux"]
    assert result["linux"]["maskedPaths"] == result["linux"]["readonlyPaths"] == []
    assert "ro" not in options(result, "/sys")
    assert result["linux"]["resources"]["devices"] == [{"allow": True, "access": "rwm"}]
    assert any(node["path"] == "/dev/null" for node in result["linux"]["devices"])


@pytest.mark.parametrize(
    ("host_config", "request_", "expected"),
    [
        ({"PidMode": "host"}, {}, {"pid": "absent"}),
        ({"PidMode": "container:x"}, {"pid_ns": "/proc/7/ns/pid"}, {"pid": "/proc/7/ns/pid"}),
        ({"IpcMode": "host"}, {}, {"ipc": "absent"}),
        ({"IpcMode": "container:x"}, {"ipc_ns": "/proc/7/ns/ipc"}, {"ipc": "/proc/7/ns/ipc"}),
        ({"UTSMode": "host"}, {}, {"uts": "absent"}),
        ({"CgroupnsMode": "private"}, {}, {"cgroup": None}),
        ({"CgroupnsMode": "host"}, {}, {"cgroup": "absent"}),
        ({"NetworkMode": "host"}, {"netns": None}, {"network": "absent"}),
    ],
)
def test_namespaces(
    tmp_path: Path, host_config: Any, request_: Any, expected: dict[str, str | None]
) -> None:
    found = kinds(build(tmp_path, host_config, request=request_))
    assert {kind: found.get(kind, "absent") for kind in expected} == expected


def test_hostname_is_the_hosts_with_its_uts(tmp_path: Path) -> None:
    assert "hostname" not in build(tmp_path, {"UTSMode": "host"})
    result = build(tmp_path, Hostname="bow", Domainname="sea")
    assert (result["hostname"], result["linux"]["sysctl"]["kernel.domainname"]) == ("bow", "sea")


def test_shared_memory(tmp_path: Path) -> None:
    sizes = options(build(tmp_path, {"ShmSize": 4096}), "/dev/shm")
    assert "size=4096" in sizes
    result = build(tmp_path, {"IpcMode": "none"})
    assert not any(mount["destination"] == "/dev/shm" for mount in result["mounts"])
    result = build(tmp_path, {"IpcMode": "shareable"}, request={"shm": Path("/run/s")})
    shm = next(m for m in result["mounts"] if m["destination"] == "/dev/shm")
    assert (shm["type"], shm["source"]) == ("bind", "/run/s")


def test_user_mounts_replace_the_systems(tmp_path: Path) -> None:
    (tmp_path / "hosts").touch()
    result = build(tmp_path, {"Tmpfs": {"/dev/shm": "", "/etc/hosts": ""}})
    targets = [mount["destination"] for mount in result["mounts"]]
    assert targets.count("/dev/shm") == targets.count("/etc/hosts") == 1
    point = {
        "Type": "bind",
        "Source": "/dev",
        "Destination": "/dev",
        "RW": True,
        "Propagation": "rshared",
    }
    result = build(tmp_path, mounts=[point])
    targets = [mount["destination"] for mount in result["mounts"]]
    assert [target for target in targets if target.startswith("/dev")] == ["/dev"]
    assert result["linux"]["rootfsPropagation"] == "shared"


def test_files_of_the_bundle_are_bound(tmp_path: Path) -> None:
    for name in ("hosts", "hostname", "resolv.conf"):
        (tmp_path / name).touch()
    targets = [mount["destination"] for mount in build(tmp_path)["mounts"]]
    assert {"/etc/hosts", "/etc/hostname", "/etc/resolv.conf"} <= set(targets)


def test_working_folder_is_made_inside(tmp_path: Path) -> None:
    """A link in the image leads nowhere outside of it."""
    rootfs = tmp_path / "rootfs"
    rootfs.mkdir()
    (rootfs / "out").symlink_to(tmp_path / "elsewhere")
    build(tmp_path, WorkingDir="/out/deep")
    assert not (tmp_path / "elsewhere").exists()
    build(tmp_path, WorkingDir="/a/../b/c")
    with pytest.raises(InvalidError, match="needs to be an absolute path"):
        build(tmp_path, WorkingDir="here")
    (rootfs / "file").touch()
    with pytest.raises(InvalidError, match="is not a directory"):
        build(tmp_path, WorkingDir="/file/x")


def test_environment(tmp_path: Path) -> None:
    env = build(tmp_path, Env=["A=1", "PATH=/x", "HOSTNAME"], Tty=True)["process"]["env"]
    assert "PATH=/x" in env and "A=1" in env and "TERM=xterm" in env and "HOME=/" in env
    assert not any(entry.startswith("HOSTNAME") for entry in env)
    assert specprocess.merge(["A=1", "B=2"], ["A=3", "B"], ["C="]) == ["A=3", "C="]


def test_init_goes_before_the_command(tmp_path: Path) -> None:
    result = build(tmp_path, {"Init": True}, Entrypoint=["/run.sh"], Cmd=["a"])
    assert result["process"]["args"] == ["/sbin/docker-init", "--", "/run.sh", "a"]
    assert options(result, "/sbin/docker-init") == ["rbind", "ro", "rprivate"]


def test_sysctls(tmp_path: Path) -> None:
    result = build(tmp_path, {"Sysctls": {"net.core.somaxconn": "9"}})
    assert result["linux"]["sysctl"]["net.core.somaxconn"] == "9"
    with pytest.raises(InvalidError, match=r"net\.core\.somaxconn"):
        build(tmp_path, {"Sysctls": {"net.core.somaxconn": "9"}}, request={"netns": None})
    shared = build(tmp_path, {"NetworkMode": "container:x"})
    assert shared["linux"]["sysctl"] == {}


def test_ulimits_are_cut_where_they_cannot_be_raised() -> None:
    wanted = [{"Name": "nofile", "Soft": 10, "Hard": -1}]
    free = specprocess.rlimits(wanted, True)
    assert free == [{"type": "RLIMIT_NOFILE", "soft": 10, "hard": (1 << 64) - 1}]
    assert specprocess.rlimits(wanted, False)[0]["hard"] < 1 << 31
    with pytest.raises(InvalidError, match="invalid ulimit type: fish"):
        specprocess.rlimits([{"Name": "fish", "Soft": 1, "Hard": 1}], True)
    with pytest.raises(InvalidError, match="soft limit must be less"):
        specprocess.rlimits([{"Name": "core", "Soft": 2, "Hard": 1}], True)
    assert specprocess.rlimits([{"Name": "locks", "Soft": 1, "Hard": 1}], False)


def test_oom_score() -> None:
    """A container does not inherit what protects the engine."""
    assert specprocess.oom_score({}, False, 0) is None
    assert specprocess.oom_score({}, False, 100) is None
    assert specprocess.oom_score({}, False, -500) == specprocess.oom_score({}, True, -500) == 0
    assert specprocess.oom_score({"OomScoreAdj": -900}, True, 0) == -900
    assert specprocess.oom_score({"OomScoreAdj": -900}, False, -500) is None
    assert specprocess.oom_score({"OomScoreAdj": 900}, False, 0) == 900
    with pytest.raises(InvalidError, match=r"\[-1000, 1000\]"):
        specprocess.oom_score({"OomScoreAdj": 2000}, True, 0)


@pytest.mark.parametrize(
    ("option", "expected"),
    [
        ("no-new-privileges", True),
        ("no-new-privileges:true", True),
        ("no-new-privileges=false", False),
        ("label=disable", False),
    ],
)
def test_no_new_privileges(option: str, expected: bool) -> None:
    assert specprocess.no_new_privileges([option]) is expected


def test_devices() -> None:
    entry = {
        "PathOnHost": "/dev/null",
        "PathInContainer": "/dev/nothing",
        "CgroupPermissions": "r",
    }
    nodes, rules = specdevices.devices({"Devices": [entry], "DeviceCgroupRules": ["c 10:* rw"]})
    assert [(node["path"], node["major"], node["minor"]) for node in nodes] == [
        ("/dev/nothing", 1, 3)
    ]
    assert rules[-2] == {"allow": True, "type": "c", "access": "r", "major": 1, "minor": 3}
    assert rules[-1] == {"allow": True, "type": "c", "access": "rw", "major": 10}
    with pytest.raises(InvalidError, match="not a device node"):
        specdevices.devices({"Devices": [{"PathOnHost": "/etc/passwd"}]})
    with pytest.raises(InvalidError, match="no such file"):
        specdevices.devices({"Devices": [{"PathOnHost": "/dev/nosuch"}]})
    with pytest.raises(InvalidError, match="could not select device driver"):
        specdevices.devices({"DeviceRequests": [{"Capabilities": [["gpu"]]}]})
    with pytest.raises(InvalidError, match="invalid device cgroup rule"):
        specdevices.devices({"DeviceCgroupRules": ["q 1:1 r"]})


@pytest.mark.parametrize(
    ("host_config", "has", "has_not"),
    [
        ({"CapAdd": ["net_admin"]}, "NET_ADMIN CHOWN", "SYS_ADMIN"),
        ({"CapDrop": ["CAP_CHOWN"]}, "KILL", "CHOWN"),
        ({"CapDrop": ["ALL"], "CapAdd": ["KILL"]}, "KILL", "CHOWN"),
        ({"CapAdd": ["ALL"], "CapDrop": ["MKNOD"]}, "SYS_ADMIN", "MKNOD SYS_RESOURCE"),
        ({"Privileged": True, "CapDrop": ["CHOWN"]}, "CHOWN", "SYS_RESOURCE"),
    ],
)
def test_capabilities(host_config: dict[str, Any], has: str, has_not: str) -> None:
    chosen = capabilities.choose(host_config, HOST)
    assert {f"CAP_{name}" for name in has.split()} <= set(chosen)
    assert not {f"CAP_{name}" for name in has_not.split()} & set(chosen)


def test_unknown_capability() -> None:
    with pytest.raises(InvalidError, match='invalid CapAdd: unknown capability: "CAP_FLY"'):
        capabilities.choose({"CapAdd": ["fly"]}, HOST)
