"""Words that a create request may not have are refused in Docker's sentences."""

from __future__ import annotations

from typing import Any

import pytest
from bayplan.core import defaults, logconfig, modecheck
from bayplan.core.types import Container
from bayplan.host.errors import InvalidError


@pytest.mark.parametrize(
    ("host", "sentence"),
    [
        ({"IpcMode": "foo"}, "Invalid IPC mode: foo"),
        ({"IpcMode": "container:"}, "Invalid IPC mode: container:"),
        ({"PidMode": "private"}, "Invalid PID mode: private"),
        ({"UTSMode": "container:a"}, "Invalid UTS mode: container:a"),
        ({"CgroupnsMode": "none"}, "Invalid cgroup namespace mode: none"),
        ({"Isolation": "hyperv"}, 'Invalid isolation: "hyperv"'),
        ({"StorageOpt": {"size": "1G"}}, "--storage-opt is not supported"),
        ({"VolumeDriver": "nfs", "Binds": ["data:/data"]}, 'plugin "nfs" not found'),
        (
            {"Mounts": [{"VolumeOptions": {"DriverConfig": {"Name": "nfs"}}}]},
            'plugin "nfs" not found',
        ),
        ({"LogConfig": {"Config": {"foo": "1"}}}, "unknown log opt 'foo' for json-file log driver"),
        ({"LogConfig": {"Config": {"env-regex": "("}}}, "invalid log opt env-regex"),
        (
            {"LogConfig": {"Type": "local", "Config": {"labels": "a"}}},
            "unknown log opt 'labels' for local log driver",
        ),
        ({"LogConfig": {"Config": {"mode": "fast"}}}, "logging mode not supported: fast"),
        ({"LogConfig": {"Config": {"max-buffer-size": "1m"}}}, "only supported with 'mode=non-"),
        ({"ShmSize": -1}, "SHM size can not be less than 0"),
        ({"IOMaximumIOps": 5}, "linux does not support configuration of maximum IOPs"),
        ({"SecurityOpt": ["seccomp"]}, 'invalid --security-opt 1: "seccomp"'),
        ({"SecurityOpt": ["foo:bar"]}, 'invalid --security-opt 2: "foo:bar"'),
        ({"NetworkMode": "host", "Links": ["a:b"]}, "networking can't be used with links"),
        ({"Tmpfs": {"/t": "size=1m,foo"}}, r'invalid tmpfs option \["foo"\]'),
    ],
)
def test_refused(host: dict[str, Any], sentence: str) -> None:
    with pytest.raises(InvalidError, match=sentence):
        modecheck.check({}, defaults.host_config(host))


def test_a_stop_signal_there_is_not() -> None:
    with pytest.raises(InvalidError, match="Invalid signal: FOO"):
        modecheck.check({"StopSignal": "FOO"}, defaults.host_config({}))


def test_what_docker_takes_passes() -> None:
    host = {
        "IpcMode": "container:other",
        "PidMode": "host",
        "VolumeDriver": "nfs",
        "Binds": ["/srv:/data"],
        "Isolation": "default",
        "SecurityOpt": ["label:disable", "no-new-privileges", "seccomp=unconfined"],
        "Tmpfs": {"/t": "size=1m,exec,mode=1777", "/u": ""},
        "LogConfig": {"Config": {"max-size": "1m", "max-file": "2", "labels": "a", "tag": "x"}},
    }
    modecheck.check({"StopSignal": "SIGRTMIN+3"}, defaults.host_config(host))


def test_details_of_log_lines(tmp_path: Any) -> None:
    """`logs --details` shows what the log options choose, sorted, and escaped as in a query."""
    options = {"labels": "a,none", "env-regex": "^MODE_"}
    container = Container(
        id="a" * 64,
        name="one",
        created=0,
        image="",
        image_ref="",
        config={"Labels": {"a": "x y", "b": "z"}, "Env": ["MODE_1=on", "OTHER=no", "MODE_2"]},
        host_config=defaults.host_config({"LogConfig": {"Config": options}}),
        bundle=tmp_path,
    )
    assert logconfig.details(container) == "MODE_1=on,a=x+y"


def test_a_name_for_the_hosts_own_uts_namespace_is_refused() -> None:
    host = defaults.host_config({"UTSMode": "host"})
    modecheck.check_asked({"Hostname": ""}, host)
    modecheck.check_asked({"Hostname": "x"}, defaults.host_config({}))
    with pytest.raises(InvalidError, match="conflicting options: hostname and the UTS mode"):
        modecheck.check_asked({"Hostname": "x"}, host)
