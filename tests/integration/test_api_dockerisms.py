"""What Docker's clients rely on without saying so, each fact found with docker-py's own tests."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from support.engine import EngineProcess
from support.waiting import wait_until

IMAGE = "starter"


@pytest.fixture
def box(engine: EngineProcess) -> Iterator[Any]:
    """`box("sh", "-c", …, HostConfig={…})` creates a container; all are removed afterwards."""
    made: list[str] = []

    def create(*command: str, name: str = "", **more: Any) -> str:
        body = {"Image": IMAGE, "Cmd": list(command), "Tty": True, **more}
        answer = engine.api("POST", f"/containers/create?name={name}", body)
        assert answer.status == 201, answer.body
        made.append(str(answer.json()["Id"]))
        return made[-1]

    yield create
    for key in reversed(made):
        engine.api("DELETE", f"/containers/{key}?force=1&v=1")


def start(engine: EngineProcess, key: str) -> None:
    answer = engine.api("POST", f"/containers/{key}/start")
    assert answer.status == 204, answer.body


def output(engine: EngineProcess, key: str) -> str:
    """What it wrote until its end."""
    start(engine, key)
    assert engine.api("POST", f"/containers/{key}/wait").status == 200
    return engine.api("GET", f"/containers/{key}/logs?stdout=1").body.decode()


def test_a_large_body(engine: EngineProcess, box: Any) -> None:
    """A create request of two megabytes is taken."""
    key = box("true", Labels={"big": "x" * (2 << 20)})
    assert len(engine.inspect(key)["Config"]["Labels"]["big"]) == 2 << 20


def test_field_names_in_any_case(engine: EngineProcess, box: Any) -> None:
    """Go's decoder takes `detachKeys` for `DetachKeys`, and docker-py relies on it."""
    key = box("sleep", "60", hostconfig={"shmsize": 8 << 20})
    assert engine.inspect(key)["HostConfig"]["ShmSize"] == 8 << 20
    start(engine, key)
    body = {"Cmd": ["true"], "detachKeys": "ctrl-a"}
    made = engine.api("POST", f"/containers/{key}/exec", body).json()["Id"]
    assert engine.api("GET", f"/exec/{made}/json").json()["DetachKeys"] == "ctrl-a"


def test_the_environment_has_dockers_order(engine: EngineProcess, box: Any) -> None:
    """One's own variables first; a bare name stays in the configuration and out of the process."""
    key = box("sh", "-c", "env", Env=["B=2", "GONE", "A=1"])
    assert engine.inspect(key)["Config"]["Env"][:3] == ["B=2", "GONE", "A=1"]
    told = output(engine, key)
    assert "B=2" in told and "GONE" not in told


def test_a_restarting_container_is_not_removed(engine: EngineProcess, box: Any) -> None:
    """Whoever waited for its end finds it restarting, and needs force."""
    policy = {"Name": "always"}
    key = box("sleep", "0.2", HostConfig={"RestartPolicy": policy, "NetworkMode": "none"})
    start(engine, key)
    engine.api("POST", f"/containers/{key}/wait")
    refused = engine.api("DELETE", f"/containers/{key}")
    assert refused.status == 409 and "stop the container before" in refused.message


def test_stopped_in_its_back_off(engine: EngineProcess, box: Any) -> None:
    """A stop between two runs is the last word."""
    policy = {"Name": "always"}
    key = box("false", HostConfig={"RestartPolicy": policy, "NetworkMode": "none"})
    start(engine, key)
    wait_until(
        lambda: engine.inspect(key)["State"]["Status"] == "restarting", "a restart", every=0.005
    )
    assert engine.api("POST", f"/containers/{key}/stop?t=0").status in (204, 304)
    wait_until(lambda: engine.inspect(key)["State"]["Status"] == "exited", "rest")
    assert not engine.inspect(key)["State"]["Restarting"]


def test_runtime_names(engine: EngineProcess, box: Any) -> None:
    """`runc` is the engine's own runtime; one that is not there is refused."""
    assert engine.inspect(box("true", HostConfig={"Runtime": "runc"}))["HostConfig"]["Runtime"]
    body = {"Image": IMAGE, "Cmd": ["true"], "HostConfig": {"Runtime": "runsc"}}
    refused = engine.api("POST", "/containers/create", body)
    assert refused.status == 400 and "unknown or invalid runtime name: runsc" in refused.message


def test_legacy_links(engine: EngineProcess, box: Any) -> None:
    """`--link`: variables and a name in the linking container, until the link is removed."""
    ports = {"80/tcp": {}}
    web = box("sleep", "60", name="ism-web", Env=["MODE=on"], ExposedPorts=ports)
    start(engine, web)
    address = engine.inspect(web)["NetworkSettings"]["IPAddress"]
    links = {"Links": ["ism-web:my-web"]}
    user = box("sh", "-c", "env; cat /etc/hosts; exec sleep 60", name="ism-user", HostConfig=links)
    start(engine, user)
    log = f"/containers/{user}/logs?stdout=1"
    wait_until(lambda: b"my-web" in engine.api("GET", log).body, "the hosts file")
    told = engine.api("GET", log).body.decode()
    for line in (
        "MY_WEB_NAME=/ism-user/my-web",
        f"MY_WEB_PORT=tcp://{address}:80",
        f"MY_WEB_PORT_80_TCP_ADDR={address}",
        "MY_WEB_ENV_MODE=on",
    ):
        assert line in told
    assert engine.inspect("ism-user/my-web")["Id"] == engine.inspect(web)["Id"]
    assert engine.api("DELETE", "/containers/ism-user/my-web").status == 404
    assert engine.api("DELETE", "/containers/ism-user/my-web?link=1").status == 204
    assert not engine.inspect(user)["HostConfig"]["Links"]
    assert engine.api("GET", "/containers/ism-user/my-web/json").status == 404
    assert engine.api("DELETE", "/containers/ism-user/my-web?link=1").status == 404


def test_a_folder_of_a_volume(engine: EngineProcess, box: Any) -> None:
    """`volume-subpath`: only that folder is mounted, links in the volume do not lead out of it."""
    script = "mkdir -p /v/in/deep; echo inside > /v/in/deep/file; ln -s /etc /v/away"
    mount = {"Type": "volume", "Source": "ism-data", "Target": "/v"}
    try:
        output(engine, box("sh", "-c", script, HostConfig={"Mounts": [mount]}))
        part = {**mount, "VolumeOptions": {"Subpath": "in/deep"}}
        key = box("sh", "-c", "ls /v; cat /v/file", HostConfig={"Mounts": [part]})
        assert output(engine, key).split() == ["file", "inside"]
        away = {**mount, "VolumeOptions": {"Subpath": "away"}}
        key = box("ls", "/v", HostConfig={"Mounts": [away]})
        refused = engine.api("POST", f"/containers/{key}/start")
        assert refused.status == 400 and "cannot access subpath away" in refused.message
        assert f"{engine.run_root}/subpaths" not in Path("/proc/self/mountinfo").read_text()
    finally:
        engine.remove_containers()
        assert engine.api("DELETE", "/volumes/ism-data").status == 204


def test_an_image_as_a_mount(engine: EngineProcess, box: Any) -> None:
    """`type=image`: its files without its container's, read-only; it stays as long as they do."""
    made = engine.api("POST", f"/commit?container={box('true')}&repo=ism-mounted").json()["Id"]
    whole = {"Type": "image", "Source": "ism-mounted", "Target": "/i"}
    part = {**whole, "Target": "/part", "ImageOptions": {"Subpath": "bin"}}
    script = "ls -d /i/bin/busybox /part/busybox; touch /i/x; touch /part/x; sleep 600"
    key = box("sh", "-c", script, HostConfig={"Mounts": [whole, part]})
    start(engine, key)
    log = f"/containers/{key}/logs?stdout=1"
    wait_until(lambda: engine.api("GET", log).body.count(b"Read-only") == 2, "no writing")
    assert b"/i/bin/busybox  /part/busybox" in engine.api("GET", log).body
    for path in ("/i/bin/busybox", "/part/busybox"):
        assert engine.api("GET", f"/containers/{key}/archive?path={path}").status == 200
    assert engine.api("DELETE", "/images/ism-mounted").status == 409
    assert "running container" in engine.api("DELETE", f"/images/{made}?force=1").message
    engine.api("POST", f"/containers/{key}/stop?t=0")
    assert "stopped container" in engine.api("DELETE", f"/images/{made}").message
    assert engine.api("DELETE", f"/images/{made}?force=1").status == 200
    assert engine.api("GET", f"/containers/{key}/archive?path=/i/bin/busybox").status == 200
    start(engine, key)  # its layers are there for as long as it is
    assert engine.inspect(key)["Mounts"][0]["Type"] == "image"
    engine.api("DELETE", f"/containers/{key}?force=1")
    assert f"snapshots/{key}" not in Path("/proc/self/mountinfo").read_text()
    for wrong, why in (
        ({"Source": "no-such"}, "No such image"),
        ({"Source": ""}, "field Source must not be empty"),
        ({"Source": IMAGE, "ImageOptions": {"Subpath": "../x"}}, "within the image"),
        ({"Source": IMAGE, "VolumeOptions": {"Subpath": "x"}}, "VolumeOptions must not be"),
    ):
        body = {"Image": IMAGE, "Cmd": ["true"], "HostConfig": {"Mounts": [{**whole, **wrong}]}}
        refused = engine.api("POST", "/containers/create", body)
        assert refused.status == 400 and why in refused.message


def test_a_bad_archive_to_load(engine: EngineProcess) -> None:
    """The answer is 200 and the error in the stream: clients read it there."""
    answer = engine.api("POST", "/images/load", b"this is no tar")
    assert answer.status == 200 and answer.lines()[-1]["error"]


def test_what_older_versions_had(engine: EngineProcess, box: Any) -> None:
    """docker-compose 1 reads ContainerConfig, old clients VirtualSize and KernelMemory."""
    old = engine.api("GET", f"/v1.41/images/{IMAGE}/json").json()
    assert old["ContainerConfig"] and old["VirtualSize"] == old["Size"]
    new = engine.api("GET", f"/v1.47/images/{IMAGE}/json").json()
    assert "Container" not in new and "VirtualSize" not in new
    key = box("true")
    shown = engine.api("GET", f"/v1.41/containers/{key}/json").json()
    assert shown["HostConfig"]["KernelMemory"] == 0
    assert "KernelMemory" not in engine.inspect(key)["HostConfig"]


def test_a_committed_image_names_its_parent(engine: EngineProcess, box: Any) -> None:
    """`Parent` is the image of the container."""
    key = box("true")
    made = engine.api("POST", f"/commit?container={key}").json()["Id"]
    try:
        found = engine.api("GET", f"/images/{made}/json").json()
        assert found["Parent"] == engine.inspect(key)["Image"]
    finally:
        assert engine.api("DELETE", f"/images/{made}").status == 200


def test_network_names_with_spaces(engine: EngineProcess) -> None:
    """Docker allows them."""
    made = engine.api("POST", "/networks/create", {"Name": "ism a net"})
    assert made.status == 201
    assert engine.api("DELETE", f"/networks/{made.json()['Id']}").status == 204


def test_a_folder_of_a_volume_after_a_crash(fresh_engine: Any) -> None:
    """The engine and the container are killed: the next engine takes away what was mounted for it.

    What runs on keeps an image that is mounted into it.
    """
    engine = fresh_engine()
    mount = {"Type": "volume", "Source": "ism-crash", "Target": "/v"}

    image = {"Type": "image", "Source": IMAGE, "Target": "/i"}

    def create(command: str, *mounted: dict[str, Any]) -> str:
        body = {"Image": IMAGE, "Cmd": ["sh", "-c", command], "HostConfig": {"Mounts": mounted}}
        return str(engine.api("POST", "/containers/create", body).json()["Id"])

    first = create("mkdir /v/in", mount)
    start(engine, first)
    assert engine.api("POST", f"/containers/{first}/wait").status == 200
    second = create("exec sleep 600", {**mount, "VolumeOptions": {"Subpath": "in"}}, image)
    third = create("while [ -e /i/bin/busybox ]; do sleep 0.1; done", image)
    start(engine, second)
    start(engine, third)
    place = f"{engine.run_root}/subpaths/{second}"
    assert place in Path("/proc/self/mountinfo").read_text()
    assert f"snapshots/{second}-0/" in Path("/proc/self/mountinfo").read_text()
    state = engine.inspect(second)["State"]
    engine.kill9()
    os.kill(state["Pid"], signal.SIGKILL)
    engine.start()
    wait_until(lambda: not engine.inspect(second)["State"]["Running"], "the end is known")
    wait_until(lambda: not Path(place).exists(), "the mount is gone")
    assert place not in Path("/proc/self/mountinfo").read_text()
    assert f"snapshots/{second}" not in Path("/proc/self/mountinfo").read_text()
    assert f"snapshots/{third}-0/" in Path("/proc/self/mountinfo").read_text()
    assert engine.inspect(third)["State"]["Running"]
