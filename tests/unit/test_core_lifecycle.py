"""Policies, signals and the words for a state: what needs no kernel."""

from __future__ import annotations

import asyncio
import subprocess
from pathlib import Path

import pytest
from bayplan.core import defaults, departure, inspection, restart
from bayplan.core.containers import since_ns
from bayplan.core.names import new_id, random_name
from bayplan.core.roster import Roster
from bayplan.core.signals import signal_number
from bayplan.core.types import Container, State
from bayplan.host import process
from bayplan.host.errors import InvalidError
from bayplan.storage.db import Database
from support.scarcity import no_descriptors

SECOND = 1_000_000_000


def container(policy: str = "no", tries: int = 0, **state: object) -> Container:
    host = defaults.host_config({"RestartPolicy": {"Name": policy, "MaximumRetryCount": tries}})
    return Container(
        id="a" * 64,
        name="box",
        created=1,
        image="sha256:0",
        image_ref="box",
        config={},
        host_config=host,
        bundle=Path("/nonexistent"),
        state=State(**{"status": "exited", "started": 1, **state}),
    )


@pytest.mark.parametrize(
    ("policy", "tries", "code", "count", "stopped", "expected"),
    [
        ("no", 0, 1, 0, False, False),
        ("always", 0, 0, 9, False, True),
        ("always", 0, 0, 0, True, False),
        ("unless-stopped", 0, 0, 0, False, True),
        ("on-failure", 0, 0, 0, False, False),
        ("on-failure", 0, 1, 99, False, True),
        ("on-failure", 3, 1, 2, False, True),
        ("on-failure", 3, 1, 3, False, False),
    ],
)
def test_restart_policy(
    policy: str, tries: int, code: int, count: int, stopped: bool, expected: bool
) -> None:
    box = container(policy, tries if policy == "on-failure" else 0, exit_code=code)
    box.restart_count, box.user_stopped = count, stopped
    assert restart.wanted(box) is expected


def test_a_restarted_engine_starts_always_even_after_a_stop_but_not_unless_stopped() -> None:
    box = container("always")
    box.user_stopped = True
    assert restart.wanted_at_boot(box)
    box = container("unless-stopped")
    assert restart.wanted_at_boot(box)
    box.user_stopped = True
    assert not restart.wanted_at_boot(box)


def test_back_off_doubles_to_a_minute_and_a_good_run_resets_it() -> None:
    box = container("always", started=0, finished=SECOND)
    waits = [0.0]
    for _ in range(12):
        waits.append(restart.next_backoff(box, waits[-1]))
    assert waits[1:4] == [0.1, 0.2, 0.4]
    assert waits[-1] == 60
    box.state.finished = 11 * SECOND
    assert restart.next_backoff(box, 60) == 0.1


@pytest.mark.parametrize(
    ("text", "number"),
    [("TERM", 15), ("SIGTERM", 15), ("15", 15), ("sigkill", 9), ("RTMIN+3", 37), ("HUP", 1)],
)
def test_signals_by_name_and_number(text: str, number: int) -> None:
    assert signal_number(text) == number


@pytest.mark.parametrize("text", ["", "0", "65", "NOPE", "RTMIN+x"])
def test_unknown_signals_are_refused_by_name(text: str) -> None:
    with pytest.raises(InvalidError, match="Invalid signal"):
        signal_number(text)


@pytest.mark.parametrize(
    ("seconds", "words"),
    [
        (0.5, "Less than a second"),
        (1, "1 second"),
        (59, "59 seconds"),
        (60, "About a minute"),
        (119, "About a minute"),
        (300, "5 minutes"),
        (3600, "About an hour"),
        (7200, "2 hours"),
        (3600 * 50, "2 days"),
        (86400 * 15, "2 weeks"),
        (86400 * 70, "2 months"),
        (86400 * 365 * 3, "3 years"),
    ],
)
def test_durations_are_worded_as_docker_words_them(seconds: float, words: str) -> None:
    assert inspection.human_duration(seconds) == words


def test_status_column() -> None:
    now = 1000 * SECOND
    assert inspection.status_text(container(status="created"), now) == "Created"
    box = container(status="exited", exit_code=3, finished=now - 5 * SECOND)
    assert inspection.status_text(box, now) == "Exited (3) 5 seconds ago"
    box = container(status="running", started=now - 90 * SECOND, health={"Status": "healthy"})
    assert inspection.status_text(box, now) == "Up About a minute (healthy)"
    box = container(status="paused", started=now - 2 * SECOND)
    assert inspection.status_text(box, now) == "Up 2 seconds (Paused)"


@pytest.mark.parametrize(
    ("text", "ns"),
    [
        ("", 0),
        ("0", 0),
        ("12", 12 * SECOND),
        ("12.5", 12 * SECOND + SECOND // 2),
        ("1970-01-01T00:00:01Z", SECOND),
        ("1970-01-01T01:00:01.000000001+01:00", SECOND + 1),
    ],
)
def test_since_takes_seconds_and_rfc3339(text: str, ns: int) -> None:
    assert since_ns(text) == ns


def test_since_refuses_anything_else() -> None:
    with pytest.raises(InvalidError, match="invalid time"):
        since_ns("yesterday")


def test_ids_and_names() -> None:
    assert len(new_id()) == 64
    taken: set[str] = set()
    for _ in range(200):
        taken.add(random_name(lambda name: name in taken))
    assert len(taken) == 200


def test_a_name_ends_where_it_ends(tmp_path: Path) -> None:
    """A line feed behind it would reach hosts files, logs and terminals."""
    roster = Roster(Database(tmp_path / "bay.db"), tmp_path)
    for name in ("web\n", "we b", "-web", "w", ""):
        with pytest.raises(InvalidError):
            roster.check_name(name)
    roster.check_name("web")


def test_the_last_save_is_what_stays(tmp_path: Path) -> None:
    """Saves go to threads, which may write them in another order."""
    db = Database(tmp_path / "bay.db")
    roster = Roster(db, tmp_path)
    roster.load()
    db.execute("INSERT INTO containers VALUES ('id', 'web', 'made')")
    roster._write("id", 2, "stopped")
    roster._write("id", 1, "running")
    assert db.execute("SELECT body FROM containers") == [("stopped",)]


def test_a_process_that_is_gone_gets_no_signal() -> None:
    """A container may end while a stop waits for its turn; its pid is 0 then."""
    assert process.send_signal(0, 0, 9) is False


def sleeper() -> subprocess.Popen[bytes]:
    return subprocess.Popen(["sleep", "1000"])


async def test_an_end_without_descriptors_is_seen_once_there_are_some(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A watch that failed for good would leave its container running for ever."""
    monkeypatch.setattr(departure, "SCARCE_SECONDS", 0.01)
    child = sleeper()
    try:
        started = process.start_time(child.pid)
        with no_descriptors():
            watching = asyncio.create_task(departure._ended(child.pid, started))
            for _ in range(3):
                await asyncio.sleep(0.01)
                assert not watching.done()
    finally:
        child.kill()
        child.wait()
    await asyncio.wait_for(watching, 120)
