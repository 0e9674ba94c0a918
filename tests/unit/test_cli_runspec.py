"""From the flags of `bay run` to Docker's JSON."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from bayplan.cli import envfile, ports
from bayplan.cli.flags import Parsed, UsageError, parse
from bayplan.cli.limits import parse_ulimit
from bayplan.cli.mounts import parse_mount, parse_volumes
from bayplan.cli.runflags import RUN_FLAGS
from bayplan.cli.runspec import build, network_of, restart_policy, streams


def parsed(*words: str) -> Parsed:
    return parse(RUN_FLAGS, [*words, "img", "cmd", "-x"], interspersed=False)


def spec(*words: str) -> dict[str, Any]:
    return build(parsed(*words))


def test_nothing_but_an_image() -> None:
    made = spec()
    assert (made["Image"], made["Cmd"]) == ("img", ["cmd", "-x"])
    assert made["AttachStdout"] and not made["AttachStdin"]
    assert made["HostConfig"]["NetworkMode"] == "default"
    assert made["HostConfig"]["RestartPolicy"] == {"Name": "no", "MaximumRetryCount": 0}
    assert made["NetworkingConfig"]["EndpointsConfig"] == {}
    assert "Entrypoint" not in made and "Healthcheck" not in made and "StopTimeout" not in made


@pytest.mark.parametrize(
    ("words", "config"),
    [
        (["--entrypoint", ""], {"Entrypoint": [""]}),
        (["--entrypoint", "sh"], {"Entrypoint": ["sh"]}),
        (["-it"], {"Tty": True, "OpenStdin": True, "StdinOnce": True, "AttachStdin": True}),
        (["-dit"], {"Tty": True, "OpenStdin": True, "StdinOnce": False, "AttachStdin": False}),
        (["-a", "stderr"], {"AttachStdin": False, "AttachStdout": False, "AttachStderr": True}),
        (["-h", "box", "-u", "1:2", "-w", "/x"], {"Hostname": "box", "User": "1:2"}),
        (["-l", "a=1", "-l", "b"], {"Labels": {"a": "1", "b": ""}}),
        (["--no-healthcheck"], {"Healthcheck": {"Test": ["NONE"]}}),
        (
            ["--health-cmd", "true", "--health-interval", "1s", "--health-retries", "2"],
            {"Healthcheck": {"Test": ["CMD-SHELL", "true"], "Interval": 10**9, "Retries": 2}},
        ),
        (["--stop-signal", "INT", "--stop-timeout", "0"], {"StopSignal": "INT", "StopTimeout": 0}),
        (["--expose", "80-81/udp"], {"ExposedPorts": {"80/udp": {}, "81/udp": {}}}),
        (["-v", "/data"], {"Volumes": {"/data": {}}}),
    ],
)
def test_config(words: list[str], config: dict[str, Any]) -> None:
    made = spec(*words)
    assert {name: made[name] for name in config} == config


@pytest.mark.parametrize(
    ("words", "host"),
    [
        (["-m", "64m", "--cpus", "1.5"], {"Memory": 67108864, "NanoCpus": 1_500_000_000}),
        (["--rm", "--init", "--read-only"], {"AutoRemove": True, "Init": True,
                                             "ReadonlyRootfs": True}),
        (["--cap-add", "NET_ADMIN", "--privileged"], {"CapAdd": ["NET_ADMIN"], "Privileged": True}),
        (["--tmpfs", "/run:size=1m"], {"Tmpfs": {"/run": "size=1m"}}),
        (["--sysctl", "a.b=1"], {"Sysctls": {"a.b": "1"}}),
        (["--device", "/dev/fuse"], {"Devices": [{"PathOnHost": "/dev/fuse", "PathInContainer":
                                                 "/dev/fuse", "CgroupPermissions": "rwm"}]}),
        (["--device", "/dev/a:/dev/b:r"], {"Devices": [{"PathOnHost": "/dev/a", "PathInContainer":
                                                       "/dev/b", "CgroupPermissions": "r"}]}),
        (["--network", "host"], {"NetworkMode": "host"}),
        (["--pids-limit", "-1"], {"PidsLimit": -1}),
        (["--memory-swap", "-1"], {"MemorySwap": -1}),
        (["--add-host", "a:1.2.3.4", "--add-host", "b=[::1]"], {"ExtraHosts": ["a:1.2.3.4",
                                                                               "b:::1"]}),
        (["--security-opt", "no-new-privileges", "--security-opt", "seccomp=unconfined"],
         {"SecurityOpt": ["no-new-privileges", "seccomp=unconfined"]}),
        (["--security-opt", "systempaths=unconfined"], {"MaskedPaths": [], "ReadonlyPaths": []}),
        (["--log-driver", "none", "--log-opt", "max-size=1m"],
         {"LogConfig": {"Type": "none", "Config": {"max-size": "1m"}}}),
        (["--gpus", "all"], {"DeviceRequests": [{"Driver": "", "Count": -1, "DeviceIDs": None,
                                                "Capabilities": [["gpu"]]}]}),
        (["--device-read-bps", "/dev/vda:1m"], {"BlkioDeviceReadBps": [{"Path": "/dev/vda",
                                                                       "Rate": 1048576}]}),
    ],
)  # fmt: skip
def test_host_config(words: list[str], host: dict[str, Any]) -> None:
    made = spec(*words)["HostConfig"]
    assert {name: made[name] for name in host} == host


def test_a_seccomp_profile_is_read_here(tmp_path: Path) -> None:
    profile = tmp_path / "p.json"
    profile.write_text("{}")
    made = spec("--security-opt", f"seccomp={profile}")
    assert made["HostConfig"]["SecurityOpt"] == ["seccomp={}"]


@pytest.mark.parametrize(
    "words",
    [
        ["--rm", "--restart", "always"], ["--restart", "on-failure:x"], ["--pull", "maybe"],
        ["-a", "stdfoo"], ["--no-healthcheck", "--health-cmd", "x"], ["--memory-swappiness", "101"],
        ["--network-alias", "x"], ["--add-host", "x"], ["--add-host", "a:b"], ["--sysctl", "x"],
        ["--env", "=x"], ["--env-file", "/nonexistent"], ["--ulimit", "nofile=3:2"],
        ["--device", "a::"], ["--security-opt", "x"], ["--blkio-weight-device", "x:1"],
        ["--cpus", "-1"], ["--network", "alias=x"], ["--mount", "type=bind,target=/x"],
    ],
)  # fmt: skip
def test_what_can_not_be(words: list[str]) -> None:
    with pytest.raises(UsageError):
        spec(*words)


def test_networks_and_their_addresses() -> None:
    made = spec("--network", "n1", "--network", "name=n2,alias=b,ip=10.0.0.2", "--ip", "10.1.0.5",
                "--network-alias", "a")  # fmt: skip
    assert made["HostConfig"]["NetworkMode"] == "n1"
    assert made["NetworkingConfig"]["EndpointsConfig"] == {
        "n1": {"IPAMConfig": {"IPv4Address": "10.1.0.5"}, "Aliases": ["a"]},
        "n2": {"IPAMConfig": {"IPv4Address": "10.0.0.2"}, "Aliases": ["b"]},
    }
    assert network_of("container:x") == {"name": "container:x"}


def test_who_is_attached_to() -> None:
    assert streams(parsed("-i")) == (True, True, True)
    assert streams(parsed("-d")) == (False, False, False)
    assert streams(parsed("-a", "STDIN", "-a", "stdout")) == (True, True, False)


@pytest.mark.parametrize(
    ("spec_", "key", "bindings"),
    [
        ("80", "80/tcp", [("", "")]),
        ("8080:80", "80/tcp", [("", "8080")]),
        ("127.0.0.1:8080:80/udp", "80/udp", [("127.0.0.1", "8080")]),
        ("127.0.0.1::80", "80/tcp", [("127.0.0.1", "")]),
        ("[::1]:8080:80", "80/tcp", [("::1", "8080")]),
        ("[::1]::80", "80/tcp", [("::1", "")]),
        ("8000-9000:80", "80/tcp", [("", "8000-9000")]),
        ("0:80", "80/tcp", [("", "0")]),
        ("target=80,published=8080,protocol=udp", "80/udp", [("", "8080")]),
        ("target=80,host_ip=::1", "80/tcp", [("::1", "")]),
    ],
)
def test_publish(spec_: str, key: str, bindings: list[tuple[str, str]]) -> None:
    exposed, found = ports.parse_publish([spec_])
    assert exposed == {key: {}}
    assert [(one["HostIp"], one["HostPort"]) for one in found[key]] == bindings


def test_ranges_of_ports() -> None:
    _, found = ports.parse_publish(["8000-8002:80-82"])
    assert {key: one[0]["HostPort"] for key, one in found.items()} == {
        "80/tcp": "8000",
        "81/tcp": "8001",
        "82/tcp": "8002",
    }
    _, found = ports.parse_publish(["1:80", "2:80"])
    assert [one["HostPort"] for one in found["80/tcp"]] == ["1", "2"]


@pytest.mark.parametrize(
    "spec_",
    ["", "x", "80:", "1.2.3.4.5:1:80", "a:b:c:d", "1-3:80-81", "70000", "80/xyz", "2-1", "[::1]:80",
     "127.0.0.1:80", "target=80,foo=1", "-1:80"],
)  # fmt: skip
def test_what_is_no_port(spec_: str) -> None:
    with pytest.raises(UsageError):
        ports.parse_publish([spec_])


def test_volumes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir("/tmp")
    monkeypatch.setenv("HOME", "/home/me")
    binds, anonymous = parse_volumes(["./a:/a", "~/b:/b:ro", "name:/c", "/d", "/e:/e:z,ro"])
    assert binds == ["/tmp/a:/a", "/home/me/b:/b:ro", "name:/c", "/e:/e:z,ro"]
    assert anonymous == {"/d": {}}
    for wrong in ("", ":/x", "a:", "/"):
        with pytest.raises(UsageError):
            parse_volumes([wrong])


@pytest.mark.parametrize(
    ("text", "mount"),
    [
        ("type=volume,src=v,dst=/v", {"Type": "volume", "Source": "v", "Target": "/v"}),
        ("target=/v", {"Type": "volume", "Target": "/v"}),
        (
            "type=bind,source=/a,destination=/b,readonly,bind-propagation=rshared",
            {"Type": "bind", "Source": "/a", "Target": "/b", "ReadOnly": True,
             "BindOptions": {"Propagation": "rshared"}},
        ),
        (
            "type=tmpfs,dst=/t,tmpfs-size=1m,tmpfs-mode=1777",
            {"Type": "tmpfs", "Target": "/t",
             "TmpfsOptions": {"SizeBytes": 1048576, "Mode": 0o1777}},
        ),
        (
            '"type=volume","dst=/v","volume-opt=o=addr=1,rw",volume-label=a=b,volume-nocopy',
            {"Type": "volume", "Target": "/v", "VolumeOptions": {
                "DriverConfig": {"Options": {"o": "addr=1,rw"}}, "Labels": {"a": "b"},
                "NoCopy": True}},
        ),
        ("type=bind,src=/a,dst=/b,ro=false", {"Type": "bind", "Source": "/a", "Target": "/b",
                                               "ReadOnly": False}),
    ],
)  # fmt: skip
def test_mounts(text: str, mount: dict[str, Any]) -> None:
    assert parse_mount(text) == mount


@pytest.mark.parametrize(
    "text",
    ["", "type=bind,dst=/x", "type=disk,dst=/x", "dst", "foo=1,dst=/x", "type=tmpfs,dst=/x,"
     "volume-nocopy", "type=volume", "dst=/x,readonly=maybe", "type=tmpfs,dst=/x,tmpfs-size=x"],
)  # fmt: skip
def test_what_is_no_mount(text: str) -> None:
    with pytest.raises(UsageError):
        parse_mount(text)


def test_environment(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OURS", "1")
    monkeypatch.delenv("NOT_OURS", raising=False)
    file = tmp_path / "env"
    file.write_text('\ufeff# comment\n\n  A=1\nB="quoted" \nOURS\nNOT_OURS\n')
    found = envfile.environment(["A=2", "OURS", "NOT_OURS"], [str(file)])
    assert found == ["A=2", 'B="quoted" ', "OURS=1", "NOT_OURS"]


def test_policies_and_limits() -> None:
    assert restart_policy("on-failure:3") == {"Name": "on-failure", "MaximumRetryCount": 3}
    assert parse_ulimit("nofile=10") == {"Name": "nofile", "Soft": 10, "Hard": 10}
    assert parse_ulimit("core=-1") == {"Name": "core", "Soft": -1, "Hard": -1}
