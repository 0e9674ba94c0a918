"""Verbs that meet each other half-way, and faults in the middle of a restart."""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

from support.engine import EngineProcess
from support.http import Answer
from support.waiting import wait_until


def while_starting(
    engine: EngineProcess, name: str, deed: Callable[[], Answer]
) -> tuple[Answer, Answer]:
    """Do `deed` while the container is on its way to run; the answers of the start and of it."""
    config = engine.root / "containers" / engine.inspect(name)["Id"] / "config.json"
    answers: list[Answer] = []
    starting = threading.Thread(
        target=lambda: answers.append(engine.api("POST", f"/containers/{name}/start"))
    )
    starting.start()
    wait_until(lambda: config.exists() or not starting.is_alive(), "a start under way", every=0)
    done = deed()
    starting.join()
    return answers[0], done


def test_a_stop_during_a_start_stops_it(engine: EngineProcess, busybox_image: str) -> None:
    """`stop` is not told "already stopped" by what runs a moment later."""
    engine.bay("create", "--name", "race-stop", busybox_image, "sleep", "1000", check=True)
    started, stopped = while_starting(
        engine, "race-stop", lambda: engine.api("POST", "/containers/race-stop/stop?t=0")
    )
    assert (started.status, stopped.status) == (204, 204)
    assert engine.inspect("race-stop")["State"]["Status"] == "exited"
    engine.bay("rm", "race-stop", check=True)


def test_a_removal_during_a_start_takes_nothing_that_runs(
    engine: EngineProcess, busybox_image: str
) -> None:
    """Without force it is refused; with force it ends what was being started."""
    engine.bay("create", "--name", "race-rm", "--restart", "always", busybox_image,
               "sleep", "1000", check=True)  # fmt: skip
    started, removed = while_starting(
        engine, "race-rm", lambda: engine.api("DELETE", "/containers/race-rm")
    )
    assert (started.status, removed.status) == (204, 409), removed.body
    assert engine.inspect("race-rm")["State"]["Running"]
    # Being refused has not taken the restart policy from it.
    before = engine.inspect("race-rm")["State"]["Pid"]
    os.kill(before, signal.SIGKILL)
    wait_until(lambda: engine.inspect("race-rm")["State"]["Pid"] not in (0, before), "the restart")
    engine.bay("rm", "-f", "race-rm", check=True)

    engine.bay("create", "--name", "race-rm", busybox_image, "sleep", "1000", check=True)
    started, removed = while_starting(
        engine, "race-rm", lambda: engine.api("DELETE", "/containers/race-rm?force=1")
    )
    assert (started.status, removed.status) == (204, 204)
    assert engine.api("GET", "/containers/race-rm/json").status == 404


def test_a_restart_that_fails_for_once_is_tried_again(
    engine: EngineProcess, busybox_image: str
) -> None:
    """An error of the host, here a folder where the supervisor's lock is to be, ends no policy."""
    engine.bay("run", "-d", "--name", "tries", "--restart", "always", busybox_image,
               "sleep", "1000", check=True)  # fmt: skip
    found = engine.inspect("tries")
    lock = engine.root / "containers" / found["Id"] / "conmon.lock"
    lock.rename(lock.with_name("kept.lock"))
    lock.mkdir()
    os.kill(found["State"]["Pid"], signal.SIGKILL)
    wait_until(lambda: "tries could not be restarted" in engine.tail(), "a failed restart")
    lock.rmdir()
    wait_until(lambda: engine.inspect("tries")["State"]["Running"], "the restart")
    engine.bay("rm", "-f", "tries", check=True)


def test_restarts_at_once_all_succeed(engine: EngineProcess, busybox_image: str) -> None:
    """Whoever finds that another one has started it already is told that it runs, as by Docker."""
    engine.bay("run", "-d", "--name", "both", busybox_image, "sleep", "1000", check=True)
    path = "/containers/both/restart?t=0"
    with ThreadPoolExecutor(4) as pool:
        answers = list(pool.map(lambda _: engine.api("POST", path), range(8)))
    assert {answer.status for answer in answers} == {204}
    assert engine.inspect("both")["State"]["Running"]
    engine.bay("rm", "-f", "both", check=True)
