"""What a new engine makes of what it finds: killed supervisors, a reboot, verbs cut in two."""

from __future__ import annotations

import os
import random
import shutil
import signal
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest
from bayplan.host.process import is_alive, start_time
from support import leaks
from support.engine import BAY, EngineProcess
from support.waiting import wait_until


@pytest.fixture
def box(
    fresh_engine: Callable[..., EngineProcess], busybox_image: str
) -> tuple[EngineProcess, str]:
    process = fresh_engine()
    process.pull(busybox_image)
    return process, busybox_image


def end(pid: int) -> None:
    """SIGKILL, and wait until it is gone."""
    started = start_time(pid)
    os.kill(pid, signal.SIGKILL)
    wait_until(lambda: not is_alive(pid, started), f"end of {pid}")


def conmon_of(engine: EngineProcess, name: str) -> int:
    folder = engine.root / "containers" / engine.inspect(name)["Id"]
    return int((folder / "conmon.pid").read_text())


@pytest.mark.parametrize("engine_dies", [False, True], ids=["engine lives", "engine dies too"])
def test_a_killed_supervisor(box: tuple[EngineProcess, str], engine_dies: bool) -> None:
    """The container runs on; its exit code is unknown, and said to be, and its policy holds."""
    engine, image = box
    for name, policy in (("plain", "no"), ("back", "always")):
        engine.bay("run", "-d", "--name", name, "--restart", policy, image, "sleep", "1000",
                   check=True)  # fmt: skip
    before = {name: engine.inspect(name)["State"]["Pid"] for name in ("plain", "back")}
    if engine_dies:
        supervisors = [conmon_of(engine, name) for name in before]
        engine.kill9()
        for pid in supervisors:
            end(pid)
        engine.start()
        for name, pid in before.items():
            state = engine.inspect(name)["State"]
            assert (state["Status"], state["Pid"]) == ("running", pid)
            assert "conmon" in state["Error"]
    else:
        for name in before:
            end(conmon_of(engine, name))
    assert engine.bay("exec", "plain", "echo", "still").stdout == "still\n"
    for pid in before.values():
        end(pid)
    wait_until(lambda: engine.inspect("plain")["State"]["Status"] == "exited", "its end")
    state = engine.inspect("plain")["State"]
    assert state["ExitCode"] == 255
    wait_until(
        lambda: (
            (now := engine.inspect("back")["State"])["Status"] == "running"
            and now["Pid"] != before["back"]
        ),
        "the restart",
    )
    assert engine.bay("logs", "back").returncode == 0
    engine.bay("rm", "-f", "plain", "back", check=True)


def reboot(engine: EngineProcess) -> None:
    """What a reboot takes away: processes, mounts, links, cgroups, /run; and the boot's id."""
    engine.kill9()
    for entry in leaks.processes(engine.options):
        try:
            os.kill(int(entry.split()[1].rstrip(":")), signal.SIGKILL)
        except ProcessLookupError:
            continue
    for entry in leaks.cgroups(engine.options):
        leaks.kill_cgroup(Path(entry.split(" ", 1)[1]))
    wait_until(lambda: not leaks.processes(engine.options), "no process of the engine's")
    for entry in reversed(leaks.mounts(engine.options)):
        subprocess.run(["umount", "-l", entry.split(" ", 1)[1]], check=True)
    for entry in leaks.links(engine.options):
        subprocess.run(["ip", "link", "del", entry.split()[1]], check=False, env=leaks.SBIN)
    for entry in leaks.tables(engine.options):
        _, _, family, name = entry.split()
        subprocess.run(["nft", "delete", "table", family, name], check=True, env=leaks.SBIN)
    for entry in leaks.cgroups(engine.options):
        leaks.remove_cgroup(Path(entry.split(" ", 1)[1]))
    shutil.rmtree(engine.run_root)
    other = engine.folder / "boot_id"
    other.write_text("11111111-2222-3333-4444-555555555555\n")
    # Only the engine sees it: its children keep what it mounts in a namespace of their own.
    bind = f'mount --bind {other} /proc/sys/kernel/random/boot_id && exec "$@"'
    engine.prefix = ["unshare", "--mount", "--propagation", "unchanged", "sh", "-c", bind, "sh"]


def test_a_reboot(box: tuple[EngineProcess, str]) -> None:
    """What ran has ended with an unknown code, and starts again if its policy says so."""
    engine, image = box
    policies = {
        "none": "no",
        "always": "always",
        "unless": "unless-stopped",
        "stopped": "unless-stopped",
        "stopped-always": "always",
        "failure": "on-failure:3",
    }
    for name, policy in policies.items():
        argv = ("run", "-d", "--name", name, "--restart", policy, image, "sleep", "1000")
        engine.bay(*argv, check=True)
    engine.bay("create", "--name", "created", "--restart", "always", image, "true", check=True)
    engine.bay("stop", "-t", "0", "stopped", "stopped-always", check=True)
    engine.bay("run", "--name", "done", image, "sh", "-c", "exit 9")
    reboot(engine)
    engine.start()
    for name in ("always", "unless", "stopped-always", "failure"):
        wait_until(lambda n=name: engine.inspect(n)["State"]["Status"] == "running", name)
        assert engine.bay("exec", name, "echo", "up").stdout == "up\n"
    states = {
        name: engine.inspect(name)["State"] for name in ("none", "stopped", "created", "done")
    }
    assert {n: s["Status"] for n, s in states.items()} == {
        "none": "exited",
        "stopped": "exited",
        "created": "created",
        "done": "exited",
    }
    assert (states["none"]["ExitCode"], states["none"]["Pid"]) == (255, 0)
    assert "the host was restarted" in states["none"]["Error"]
    assert states["stopped"]["ExitCode"] == 137 and states["done"]["ExitCode"] == 9
    engine.bay("start", "none", check=True)
    assert engine.inspect("none")["State"]["Running"]
    engine.remove_containers()


def test_an_interrupted_rm_keeps_anonymous_volumes(box: tuple[EngineProcess, str]) -> None:
    """Killed in the middle of `rm` without -v, the container goes and its data stays."""
    engine, image = box
    chance = random.Random(7)
    for _ in range(6):
        identifier = engine.bay("create", "-v", "/data", image, "true", check=True).stdout.strip()
        (volume,) = [point["Name"] for point in engine.inspect(identifier)["Mounts"]]
        pid = engine.pid
        removing = subprocess.Popen(
            [str(BAY), "-H", engine.host, "rm", identifier],
            stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, env=engine.environment,
        )  # fmt: skip
        gone = engine.root / chance.choice(["snapshots", "containers"]) / identifier
        wait_until(
            lambda g=gone, r=removing: not g.exists() or r.poll() is not None, "a step", every=0
        )
        engine.kill9(pid)
        removing.wait(timeout=240)
        engine.start()
        wait_until(
            lambda i=identifier: engine.api("GET", f"/containers/{i}/json").status == 404, "its end"
        )
        assert engine.api("GET", f"/volumes/{volume}").status == 200
        engine.bay("volume", "rm", volume, check=True)


def test_killed_before_conmon_has_begun(box: tuple[EngineProcess, str]) -> None:
    """It goes ahead once its engine is gone: what it would create then must not come to be."""
    engine, image = box
    hold, began = engine.folder / "hold", engine.folder / "began"
    hold.touch()
    real = shutil.copy2("/usr/bin/conmon", engine.folder / "real")
    slow = engine.folder / "slow"
    wait = f"touch {began}; while [ -e {hold} ]; do sleep 0.05; done; exec {real}"
    slow.write_text(f'#!/bin/sh\n{wait} "$@"\n')
    slow.chmod(0o755)
    bind = f'mount --bind {slow} /usr/bin/conmon && exec "$@"'
    engine.stop()
    engine.prefix = ["unshare", "--mount", "--propagation", "unchanged", "sh", "-c", bind, "sh"]
    engine.start()
    made = engine.bay("create", "--name", "late", image, "sleep", "1000", check=True)
    starting = subprocess.Popen(
        [str(BAY), "-H", engine.host, "start", "late"],
        stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, env=engine.environment,
    )  # fmt: skip
    wait_until(began.exists, "conmon")
    engine.kill9()
    starting.wait(timeout=30)
    engine.start()
    assert [e for e in leaks.processes(engine.options) if made.stdout.strip() in e] == []
    hold.unlink()
    assert engine.inspect("late")["State"]["Status"] == "created"
    engine.bay("start", "late", check=True)
    engine.remove_containers()


@pytest.mark.parametrize("verb", ["commit", "snapshot"])
def test_killed_while_it_holds_a_container_still(box: tuple[EngineProcess, str], verb: str) -> None:
    """What a commit or a snapshot paused runs on; what the user paused stays paused."""
    engine, image = box
    script = "truncate -s 2G /large; touch /ready; exec sleep 1000"
    held = engine.bay("run", "-d", "--name", "held", image, "sh", "-c", script, check=True)
    engine.bay("run", "-d", "--name", "paused", image, "sleep", "1000", check=True)
    engine.bay("pause", "paused", check=True)
    ready = engine.root / "snapshots" / held.stdout.strip() / "diff/ready"
    wait_until(ready.exists, "its file")
    pid = engine.pid
    argv = {"commit": ["commit", "held", "new"], "snapshot": ["snapshot", "create", "held"]}[verb]
    work = subprocess.Popen(
        [str(BAY), "-H", engine.host, *argv],
        stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, env=engine.environment,
    )  # fmt: skip
    wait_until(lambda: engine.inspect("held")["State"]["Paused"], "the pause", every=0)
    engine.kill9(pid)
    work.wait(timeout=30)
    engine.start()
    assert engine.inspect("held")["State"]["Status"] == "running"
    assert engine.bay("exec", "held", "true").returncode == 0
    assert engine.inspect("paused")["State"]["Status"] == "paused"
    engine.remove_containers()


def test_killed_at_random_moments_of_every_verb(box: tuple[EngineProcess, str]) -> None:
    """The next engine finds a state that is one, and every verb works on it again."""
    engine, image = box
    chance = random.Random(11)
    names = ("a", "b")
    verbs = [
        ("start",), ("stop", "-t", "0"), ("restart", "-t", "0"), ("kill",), ("pause",),
        ("unpause",), ("rm", "-f"), ("exec", "-d"), ("rename",),
    ]  # fmt: skip
    for number in range(6):
        for name in names:
            engine.bay("run", "-d", "--name", name, "-p", "80", image, "sleep", "1000")
        pid = engine.pid
        running = []
        for name in names:
            verb, *flags = chance.choice(verbs)
            more = {"exec": ["true"], "rename": [f"{name}{number}"]}.get(verb, [])
            argv = [str(BAY), "-H", engine.host, verb, *flags, name, *more]
            running.append(
                subprocess.Popen(
                    argv, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
                    env=engine.environment,
                )
            )  # fmt: skip
        # Some part of the time that a verb takes here: until so many of its processes have come.
        moment = chance.randrange(400)
        for _ in range(moment):
            if all(one.poll() is not None for one in running):
                break
            os.sched_yield()
        engine.kill9(pid)
        for one in running:
            one.wait(timeout=240)
        engine.start()
        for row in engine.api("GET", "/containers/json?all=1").json():
            state = engine.inspect(row["Id"])["State"]
            assert state["Status"] in ("created", "running", "paused", "exited"), state
            assert state["Running"] == (state["Pid"] > 0)
            if state["Status"] == "running":
                done = engine.bay("exec", row["Id"], "true")
                assert done.returncode == 0, done.stderr
        engine.remove_containers()
        left = [*engine.root.glob("containers/*"), *engine.root.glob("snapshots/*")]
        assert left == [], number


def test_what_cannot_be_taken_away_keeps_no_engine_from_starting(
    box: tuple[EngineProcess, str],
) -> None:
    """A leftover that is in use is told in the log, and goes at a later start."""
    engine, _ = box
    engine.stop()
    folder = engine.root / "containers" / ("0" * 64)
    busy = folder / "busy"
    busy.mkdir(parents=True)
    subprocess.run(["mount", "-t", "tmpfs", "none", busy], check=True)
    try:
        engine.start()
        assert "left over: " in engine.tail()
    finally:
        subprocess.run(["umount", busy], check=True)
    engine.restart()
    assert not folder.exists()
