"""The life of a container through the API, on the real kernel and runtime."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from typing import Any
from urllib.parse import quote

import pytest
from support.engine import EngineProcess
from support.waiting import wait_until

IMAGE = "starter"


@pytest.fixture
def box(engine: EngineProcess) -> Iterator[Any]:
    """`box("sh", "-c", …, HostConfig={…})` creates a container; all are removed afterwards."""
    made: list[str] = []

    def create(*command: str, name: str = "", **more: Any) -> str:
        body = {"Image": IMAGE, "Cmd": list(command), **more}
        answer = engine.api("POST", f"/containers/create?name={name}", body)
        assert answer.status == 201, answer.body
        made.append(str(answer.json()["Id"]))
        return made[-1]

    yield create
    for key in made:
        engine.api("DELETE", f"/containers/{key}?force=1&v=1")


def start(engine: EngineProcess, key: str) -> None:
    answer = engine.api("POST", f"/containers/{key}/start")
    assert answer.status == 204, answer.body


def wait(engine: EngineProcess, key: str) -> int:
    answer = engine.api("POST", f"/containers/{key}/wait")
    assert answer.status == 200, answer.body
    return int(answer.json()["StatusCode"])


def run(engine: EngineProcess, key: str) -> int:
    start(engine, key)
    return wait(engine, key)


def output(engine: EngineProcess, key: str) -> str:
    """The log, which has no frames as these containers have a terminal."""
    return engine.api("GET", f"/containers/{key}/logs?stdout=1&stderr=1").body.decode()


def test_states_from_created_to_exited(engine: EngineProcess, box: Any) -> None:
    key = box("sh", "-c", "exit 3", name="states")
    assert engine.inspect(key)["State"]["Status"] == "created"
    assert run(engine, key) == 3
    state = engine.inspect("states")["State"]
    assert (state["Status"], state["ExitCode"], state["Running"]) == ("exited", 3, False)
    assert state["StartedAt"] < state["FinishedAt"]


def test_start_of_a_running_one_and_stop_of_a_stopped_one_change_nothing(
    engine: EngineProcess, box: Any
) -> None:
    key = box("sleep", "60")
    start(engine, key)
    assert engine.api("POST", f"/containers/{key}/start").status == 304
    assert engine.api("POST", f"/containers/{key}/stop?t=0").status == 204
    assert engine.api("POST", f"/containers/{key}/stop").status == 304
    assert engine.inspect(key)["State"]["ExitCode"] == 137


def test_the_stop_signal_reaches_the_process(engine: EngineProcess, box: Any) -> None:
    key = box(
        "sh",
        "-c",
        "trap 'exit 7' USR1; echo ready; while :; do sleep 0.1; done",
        Tty=True,
        StopSignal="SIGUSR1",
    )
    start(engine, key)
    wait_until(lambda: "ready" in output(engine, key), "the trap")
    assert engine.api("POST", f"/containers/{key}/stop?t=20").status == 204
    assert engine.inspect(key)["State"]["ExitCode"] == 7


def test_restart_keeps_the_writable_layer(engine: EngineProcess, box: Any) -> None:
    key = box("sh", "-c", "echo x >> /count; wc -l < /count; exec sleep 60", Tty=True)
    start(engine, key)
    wait_until(lambda: "1" in output(engine, key), "the first run")
    assert engine.api("POST", f"/containers/{key}/restart?t=0").status == 204
    wait_until(lambda: "2" in output(engine, key), "the second run")
    assert engine.inspect(key)["State"]["Running"]


def test_pause_and_unpause(engine: EngineProcess, box: Any) -> None:
    key = box("sleep", "60")
    start(engine, key)
    assert engine.api("POST", f"/containers/{key}/pause").status == 204
    assert engine.inspect(key)["State"]["Status"] == "paused"
    assert engine.api("POST", f"/containers/{key}/pause").status == 409
    assert engine.api("POST", f"/containers/{key}/unpause").status == 204
    assert engine.api("POST", f"/containers/{key}/unpause").status == 409
    assert engine.api("POST", f"/containers/{key}/pause").status == 204
    assert engine.api("POST", f"/containers/{key}/kill").status == 204
    assert engine.inspect(key)["State"]["ExitCode"] == 137


def test_names_are_unique_checked_and_changeable(engine: EngineProcess, box: Any) -> None:
    box("true", name="taken")
    key = box("true", name="free")
    answer = engine.api("POST", f"/containers/{key}/rename?name=taken")
    assert answer.status == 409
    assert "already in use" in answer.json()["message"]
    assert engine.api("POST", f"/containers/{key}/rename?name=other").status == 204
    assert engine.inspect("other")["Id"] == key
    assert engine.api("POST", f"/containers/{key}/rename?name={quote('-bad name')}").status == 400


def test_a_command_that_is_not_there_gives_127_and_is_not_started(
    engine: EngineProcess, box: Any
) -> None:
    key = box("/no/such/program")
    answer = engine.api("POST", f"/containers/{key}/start")
    assert answer.status == 400
    state = engine.inspect(key)["State"]
    assert (state["Status"], state["ExitCode"]) == ("created", 127)
    key = box("/etc/passwd")
    assert engine.api("POST", f"/containers/{key}/start").status == 400
    assert engine.inspect(key)["State"]["ExitCode"] == 126


def test_remove_wants_force_for_a_running_one(engine: EngineProcess, box: Any) -> None:
    key = box("sleep", "60")
    start(engine, key)
    answer = engine.api("DELETE", f"/containers/{key}")
    assert answer.status == 409
    assert "force remove" in answer.json()["message"]
    assert engine.api("DELETE", f"/containers/{key}?force=1").status == 204
    assert engine.api("GET", f"/containers/{key}/json").status == 404
    assert not (engine.root / "snapshots" / key).exists()
    assert not (engine.root / "containers" / key).exists()


def test_restart_policy_counts_and_gives_up(engine: EngineProcess, box: Any) -> None:
    policy = {"RestartPolicy": {"Name": "on-failure", "MaximumRetryCount": 2}}
    key = box("sh", "-c", "exit 5", HostConfig=policy)
    start(engine, key)

    def settled() -> bool:
        found = engine.inspect(key)
        return found["RestartCount"] == 2 and found["State"]["Status"] == "exited"

    wait_until(settled, "the second restart to end")
    assert engine.inspect(key)["State"]["ExitCode"] == 5


def test_a_stop_ends_a_restart_loop(engine: EngineProcess, box: Any) -> None:
    key = box("false", HostConfig={"RestartPolicy": {"Name": "always"}})
    start(engine, key)
    wait_until(lambda: engine.inspect(key)["RestartCount"] > 0, "a restart")
    engine.api("POST", f"/containers/{key}/stop?t=0")
    wait_until(lambda: engine.inspect(key)["State"]["Status"] == "exited", "rest")
    assert not engine.inspect(key)["State"]["Restarting"]


def test_auto_remove(engine: EngineProcess, box: Any) -> None:
    key = box("true", HostConfig={"AutoRemove": True}, Volumes={"/data": {}})
    volume = next(p["Name"] for p in engine.inspect(key)["Mounts"] if p["Type"] == "volume")
    gone: list[int] = []

    def waiting() -> None:
        gone.append(engine.api("POST", f"/containers/{key}/wait?condition=removed").status)

    thread = threading.Thread(target=waiting)
    thread.start()
    start(engine, key)
    thread.join(timeout=240)
    assert gone == [200]
    assert engine.api("GET", f"/containers/{key}/json").status == 404
    assert engine.api("GET", f"/volumes/{volume}").status == 404


def test_a_named_volume_gets_what_the_image_has_and_outlives_its_container(
    engine: EngineProcess, box: Any
) -> None:
    binds = {"Binds": ["kept:/etc"]}
    key = box("sh", "-c", "cat /etc/passwd; echo mine > /etc/mine", Tty=True, HostConfig=binds)
    try:
        assert run(engine, key) == 0
        assert "root" in output(engine, key)
        assert engine.api("DELETE", f"/containers/{key}?v=1").status == 204
        second = box("cat", "/data/mine", Tty=True, HostConfig={"Binds": ["kept:/data:ro"]})
        assert run(engine, second) == 0
        assert "mine" in output(engine, second)
        answer = engine.api("DELETE", "/volumes/kept")
        assert answer.status == 409
        assert "in use" in answer.json()["message"]
        engine.api("DELETE", f"/containers/{second}")
    finally:
        assert engine.api("DELETE", "/volumes/kept").status == 204


def test_binds_and_missing_sources(engine: EngineProcess, box: Any, tmp_path: Any) -> None:
    (tmp_path / "file").write_text("from the host")
    key = box("cat", "/in/file", Tty=True, HostConfig={"Binds": [f"{tmp_path}:/in:ro"]})
    assert run(engine, key) == 0
    assert "from the host" in output(engine, key)
    mount = {"Type": "bind", "Source": str(tmp_path / "none"), "Target": "/in"}
    answer = engine.api(
        "POST", "/containers/create", {"Image": IMAGE, "HostConfig": {"Mounts": [mount]}}
    )
    assert answer.status == 400
    assert "bind source path does not exist" in answer.json()["message"]
    key = box("true", HostConfig={"Binds": [f"{tmp_path}/made:/in"]})
    assert (tmp_path / "made").is_dir()


def test_health_check_reports(engine: EngineProcess, box: Any) -> None:
    health = {
        "Test": ["CMD-SHELL", "test -e /ok && echo fine"],
        "Interval": 200_000_000,
        "Retries": 2,
    }
    key = box("sh", "-c", "sleep 1; touch /ok; exec sleep 60", Healthcheck=health)
    start(engine, key)

    def status() -> str:
        return str(engine.inspect(key)["State"]["Health"]["Status"])

    wait_until(lambda: status() == "healthy", "a healthy report", timeout=240)
    assert "fine" in engine.inspect(key)["State"]["Health"]["Log"][-1]["Output"]


def test_update_binds_at_once(engine: EngineProcess, box: Any) -> None:
    key = box("sleep", "60", HostConfig={"Memory": 64 << 20})
    start(engine, key)
    answer = engine.api(
        "POST", f"/containers/{key}/update", {"Memory": 128 << 20, "MemorySwap": 256 << 20}
    )
    assert answer.status == 200, answer.body
    assert engine.inspect(key)["HostConfig"]["Memory"] == 128 << 20
    stats = engine.api("GET", f"/containers/{key}/stats?stream=0&one-shot=1").json()
    assert stats["memory_stats"]["limit"] == 128 << 20


def test_memory_limit_kills_and_says_so(engine: EngineProcess, box: Any) -> None:
    limit = {"Memory": 16 << 20, "MemorySwap": 16 << 20}
    key = box("sh", "-c", "head -c 100000000 /dev/zero | tail", HostConfig=limit)
    code = run(engine, key)
    found = engine.inspect(key)["State"]
    assert code in (137, 0) or found["OOMKilled"]
    assert found["OOMKilled"]


def test_top_and_changes(engine: EngineProcess, box: Any) -> None:
    key = box("sh", "-c", "touch /new; rm /etc/group; exec sleep 77")
    start(engine, key)
    wait_until(
        lambda: any(
            "sleep" in row[-1]
            for row in engine.api("GET", f"/containers/{key}/top").json()["Processes"]
        ),
        "sleep",
    )
    changes = {c["Path"]: c["Kind"] for c in engine.api("GET", f"/containers/{key}/changes").json()}
    assert changes["/new"] == 1
    assert changes["/etc"] == 0
    assert changes["/etc/group"] == 2


def test_listing_and_filters(engine: EngineProcess, box: Any) -> None:
    key = box("sleep", "60", name="listed", Labels={"team": "blue"})
    other = box("true", name="unlisted", Labels={"team": "red"})
    start(engine, key)

    def ids(**filters: list[str]) -> set[str]:
        text = quote(json.dumps(filters))
        rows = engine.api("GET", f"/containers/json?all=1&filters={text}").json()
        return {row["Id"] for row in rows} & {key, other}

    assert ids(label=["team=blue"]) == {key}
    assert ids(label=["team"]) == {key, other}
    assert ids(status=["created"]) == {other}
    assert ids(name=["^/listed$"]) == {key}
    assert ids(ancestor=[IMAGE]) == {key, other}
    assert ids(id=[other[:12]]) == {other}
    assert engine.api("GET", "/containers/json?filters=" + quote('{"no":["x"]}')).status == 400
