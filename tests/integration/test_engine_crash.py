"""SIGKILL to the engine: nothing a container does depends on it, and the next one knows all."""

from __future__ import annotations

import signal
import subprocess
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path

import pytest
from bayplan.host.clock import to_ns
from bayplan.host.process import is_alive, start_time
from support.engine import BAY, EngineProcess
from support.waiting import wait_until

# More than a pipe takes by default.
AFTERWARDS = """echo begun; until [ -e /tmp/go ]; do sleep 0.05; done
head -c 300000 /dev/zero; touch /tmp/after"""
COUNT = "i=0; while :; do echo $i; i=$((i+1)); usleep 5000; done"
UNTIL_GO = "while [ ! -e /flag/go ]; do usleep 5000; done; echo gone; exit 7"


@pytest.fixture
def engine_with_image(
    fresh_engine: Callable[..., EngineProcess], busybox_image: str
) -> tuple[EngineProcess, str]:
    """An engine of the test's own that has the busybox image."""
    process = fresh_engine()
    process.pull(busybox_image)
    return process, busybox_image


def numbers(text: str) -> list[int]:
    return [int(line) for line in text.split()]


def test_containers_outlive_the_engine(
    engine_with_image: tuple[EngineProcess, str], tmp_path: Path
) -> None:
    """They run on, no line is lost, and what ended meanwhile has its code and time."""
    engine, image = engine_with_image
    run = ("run", "-d", "--name")
    engine.bay(*run, "counter", image, "sh", "-c", COUNT, check=True)
    engine.bay(*run, "leaver", "-v", f"{tmp_path}:/flag", image, "sh", "-c", UNTIL_GO, check=True)
    engine.bay(*run, "shell", "-i", "-t", image, "sh", check=True)
    before = {name: engine.inspect(name) for name in ("counter", "leaver", "shell")}
    pids = {name: one["State"]["Pid"] for name, one in before.items()}
    started = {name: start_time(pid) for name, pid in pids.items()}
    tmp = Path(f"/proc/{pids['counter']}/root/tmp")
    # With -H, since a client of the default host would start an engine to ask for the exit code.
    argv = [BAY, "-H", engine.host, "exec", "counter", "sh", "-c", AFTERWARDS]
    with subprocess.Popen(argv, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as client:
        assert client.stdout is not None and client.stdout.readline() == b"begun\n"
        engine.kill9()
    assert client.returncode == 1
    (tmp / "go").touch()
    wait_until((tmp / "after").exists, "the exec's end, though nobody reads its output")
    assert all(is_alive(pids[name], started[name]) for name in pids)
    gone_after = time.time_ns()
    (tmp_path / "go").touch()
    wait_until(lambda: not is_alive(pids["leaver"], started["leaver"]), "leaver's end")
    # Its supervisor, which has reaped it, writes that down a moment later.
    exit_file = engine.run_root / "exits" / before["leaver"]["Id"]
    wait_until(exit_file.exists, "its exit code")
    gone_before = time.time_ns()

    # No engine runs: this command starts one.
    listed = engine.bay("ps", "-a", "--format", "{{.Names}} {{.Status}}", check=True).stdout
    status = dict(line.split(" ", 1) for line in listed.splitlines())
    assert status["leaver"].startswith("Exited (7)")
    assert status["counter"].startswith("Up ") and status["shell"].startswith("Up ")

    leaver = engine.inspect("leaver")["State"]
    assert leaver["ExitCode"] == 7 and leaver["Pid"] == 0
    # A log or exit file's time is the kernel's coarse clock, some milliseconds behind.
    assert gone_after - 20_000_000 <= to_ns(leaver["FinishedAt"]) <= gone_before + 200_000_000
    assert engine.bay("wait", "leaver", check=True).stdout.strip() == "7"
    assert engine.bay("logs", "leaver", check=True).stdout == "gone\n"

    assert engine.inspect("counter")["State"]["Pid"] == pids["counter"]
    assert (
        engine.inspect("counter")["State"]["StartedAt"] == before["counter"]["State"]["StartedAt"]
    )
    seen = numbers(engine.bay("logs", "counter", check=True).stdout)
    assert seen == list(range(len(seen))), "a line is missing or doubled"
    more = wait_until(
        lambda: numbers(engine.bay("logs", "counter", check=True).stdout)[len(seen) + 50 :],
        "the counter goes on",
    )
    assert more[0] == len(seen) + 50

    # The console is a full one again.
    with engine.terminal("attach", "shell") as terminal:
        terminal.line("echo $((40 + 2)) again")
        terminal.wait_for("42 again")
        terminal.line("exit 5")
        assert terminal.wait() == 5
    assert engine.bay("exec", "counter", "echo", "hello", check=True).stdout == "hello\n"
    engine.bay("stop", "-t", "0", "counter", check=True)
    assert engine.inspect("counter")["State"]["ExitCode"] == 137
    engine.bay("start", "leaver", check=True)
    assert engine.bay("wait", "leaver", check=True).stdout.strip() == "7"


def test_a_second_engine_on_the_same_root_refuses(
    engine_with_image: tuple[EngineProcess, str],
) -> None:
    """There is one writer; the second says who is there and ends."""
    engine, _ = engine_with_image
    second = engine.bay("engine", "--root", engine.root, "--run-root", engine.run_root)
    assert second.returncode != 0 and str(engine.pid) in second.stderr + second.stdout
    assert engine.api("GET", "/_ping").status == 200


# Files that appear one after the other while a container is made and started.
STAGES = [
    "nothing",
    "root/containers/*",
    "root/containers/*/hosts",
    "run/netns/*",
    "root/containers/*/config.json",
    "root/containers/*/conmon.pid",
    "root/containers/*/pidfile",
    "root/containers/*/ctr.log",
]


def kill_at(engine: EngineProcess, image: str, stage: str) -> None:
    """Start a container and SIGKILL the engine as soon as a file of `stage` is there."""
    argv = [str(BAY), "run", "-d", image, "sleep", "1000"]
    run = subprocess.Popen(
        argv, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, env=engine.environment
    )
    wait_until(
        lambda: stage == "nothing" or any(engine.folder.glob(stage)) or run.poll() is not None,
        stage,
        every=0,
    )
    engine.kill9()
    run.wait(timeout=240)


def test_kill_in_the_middle_of_starts(engine_with_image: tuple[EngineProcess, str]) -> None:
    """Killed at any step of `run`, the engine leaves nothing that the next one can't undo."""
    engine, image = engine_with_image
    for stage in STAGES:
        kill_at(engine, image, stage)
        rows = engine.bay("ps", "-a", "--format", "{{.ID}} {{.State}}", check=True).stdout
        for identifier, state in (line.split() for line in rows.splitlines()):
            assert state in ("created", "running", "exited"), f"{stage}: {rows}"
            if state == "running":
                done = engine.bay("exec", identifier, "true")
                assert done.returncode == 0, f"{stage}: {done.stderr}"
        engine.remove_containers()
        left = [*engine.folder.glob("root/containers/*"), *engine.folder.glob("root/snapshots/*")]
        assert left == [], stage


def test_a_graceful_stop_leaves_containers_running(
    engine_with_image: tuple[EngineProcess, str],
) -> None:
    """`bay engine stop` ends the engine only; `status` tells, and the next command starts one."""
    engine, image = engine_with_image
    engine.bay("run", "-d", "--name", "stays", image, "sleep", "1000", check=True)
    pid = engine.inspect("stays")["State"]["Pid"]
    started = start_time(pid)
    old = engine.pid
    engine.bay("engine", "stop", check=True)
    wait_until(lambda: start_time(old) == 0, "end of the engine")
    assert is_alive(pid, started)
    assert "stays" in engine.bay("ps", check=True).stdout
    assert engine.pid != old and engine.inspect("stays")["State"]["Pid"] == pid
    engine.bay("kill", "-s", str(int(signal.SIGKILL)), "stays", check=True)
    assert engine.bay("wait", "stays", check=True).stdout.strip() == "137"


def test_figures_outlive_the_engine(engine_with_image: tuple[EngineProcess, str]) -> None:
    """What was sampled before a SIGKILL is told afterwards, and goes with the container."""
    engine, image = engine_with_image
    script = "while :; do :; done"
    engine.bay(
        "run", "-d", "--name", "busy", "--cpus", "0.05", image, "sh", "-c", script, check=True
    )
    identifier = engine.inspect("busy")["Id"]

    def curves(query: str) -> dict[str, list[float]]:
        found = engine.api("GET", f"/bay/samples?container=busy&{query}").json()["containers"]
        return dict(found[identifier])

    before = wait_until(
        lambda: (
            now
            if len((now := curves("seconds=600"))["time"]) >= 3 and max(now["throttled"]) > 0
            else None
        ),
        "samples, of one that was throttled",
    )
    # The container's end of its cable, read at the host's.
    sent = "tx_bytes"
    engine.bay("exec", "busy", "ping", "-c", "1", "-W", "1", "192.0.2.1")

    def counted() -> bool:
        networks = engine.api("GET", "/containers/busy/stats?stream=0").json()["networks"]
        inside = engine.bay("exec", "busy", "cat", f"/sys/class/net/eth0/statistics/{sent}").stdout
        return bool(networks["eth0"][sent] == int(inside) > 0)

    wait_until(counted, "the same counters on both ends")
    engine.kill9()
    engine.start()
    after = wait_until(
        lambda: now if len((now := curves("seconds=600"))["time"]) > len(before["time"]) else None,
        "more samples",
    )
    assert after["time"][: len(before["time"])] == before["time"]
    assert after["cpu"][: len(before["cpu"])] == before["cpu"]
    day = engine.api("GET", "/bay/samples?seconds=86400&container=busy").json()
    assert day["interval"] == 10
    wrong = engine.api("GET", "/bay/samples?interval=7")
    assert wrong.status == 400 and "interval is 1 or 10" in wrong.json()["message"]
    folder = engine.root / "containers" / identifier
    assert (folder / "stats").exists()
    engine.bay("rm", "-f", "busy", check=True)
    assert not folder.exists()


def kill_in_creation(
    engine: EngineProcess, create: tuple[str, ...], fact: Callable[[], bool]
) -> None:
    """SIGKILL the engine in the middle of a creation, as soon as `fact`; then start the next.

    On a busy machine it can be done before anybody has looked: then once more, from the start.
    """
    while True:
        pid = engine.pid
        making = subprocess.Popen(
            [str(BAY), "-H", engine.host, *create],
            stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, env=engine.environment,
        )  # fmt: skip
        over = partial(subprocess.Popen.poll, making)
        wait_until(lambda o=over: fact() or o() is not None, "a volume being filled", every=0)
        engine.kill9(pid)
        done = making.wait(timeout=240) == 0
        engine.start()
        if not done:
            return
        engine.bay("rm", "-v", "box", check=True)
        engine.bay("volume", "rm", "named", check=True)


def test_kill_while_a_volume_is_filled_from_the_image(
    fresh_engine: Callable[..., EngineProcess], tmp_path: Path
) -> None:
    """The container never was, its anonymous volumes neither; the next one finds all its files."""
    engine = fresh_engine()
    for folder in ("data", "more"):
        (tmp_path / folder).mkdir()
        for number in range(300):
            (tmp_path / folder / str(number)).write_text(str(number) * 500)
        # The last to be copied: a second of reading, and no byte on the disk.
        with open(tmp_path / folder / "zeros", "wb") as file:
            file.truncate(512 << 20)
    tar = ["tar", "-C", tmp_path, "-Scf", tmp_path / "root.tar", "data", "more"]
    subprocess.run(tar, check=True)
    changes = ("--change", "VOLUME /data /more", "--change", "CMD x")
    engine.bay("import", *changes, tmp_path / "root.tar", "filled", check=True)
    create = ("create", "--name", "box", "-v", "named:/data", "filled")
    volumes = engine.root / "volumes"
    named = volumes / "named/_data"

    def second() -> bool:
        return any(
            path.name != "named" and any((path / "_data").glob("*")) for path in volumes.glob("*")
        )

    kill_in_creation(engine, create, second)
    assert engine.bay("ps", "-aq", check=True).stdout == ""
    assert engine.bay("volume", "ls", "-q", check=True).stdout == "named\n"
    engine.bay("volume", "rm", "named", check=True)
    kill_in_creation(engine, create, lambda: any(named.glob("*")))
    assert engine.bay("ps", "-aq", check=True).stdout == ""
    engine.bay(*create, check=True)
    assert (named / "zeros").stat().st_size == 512 << 20
    assert len(list(named.iterdir())) == 301
    assert all((named / str(number)).read_text() == str(number) * 500 for number in range(300))
    engine.bay("rm", "-v", "box", check=True)
