"""The host's figures as they are shown: steady at rest, true where something happens."""

from __future__ import annotations

import random

from bayplan.tui.hostinfo import Figures, HostHistory

GB = 1 << 30
REST = Figures("here", 4, 1.5, 3 * GB, 8 * GB, (0.08, 0.05, 0.01), 20 * GB, 100 * GB, 0, 0)


def shown(history: HostHistory) -> tuple[object, ...]:
    now = history.now
    assert now is not None
    memory = history.memory[-1]
    return now.cpu, now.memory_used, now.disk_used, now.load, history.rx, history.tx, memory


def test_a_host_at_rest_shows_the_same_figures() -> None:
    """A percent of CPU, a few megabytes and some packets come and go on every machine."""
    chance = random.Random(7)
    history = HostHistory()
    history.add(REST, 0)
    first, received = shown(history), 0
    for _ in range(600):
        received += chance.randrange(1500)
        noisy = REST._replace(
            cpu=1.5 + chance.uniform(-1.5, 2.4),
            memory_used=REST.memory_used + chance.randrange(-(30 << 20), 30 << 20),
            disk_used=REST.disk_used + chance.randrange(50 << 20),
            load=(0.08 + chance.uniform(-0.04, 0.04), 0.05, 0.01),
            rx=received,
            tx=received,
        )
        history.add(noisy, 1)
        assert shown(history) == first


def test_what_happens_is_shown_at_once_and_what_creeps_is_followed() -> None:
    history = HostHistory()
    history.add(REST, 0)
    history.add(REST._replace(cpu=55.0, load=(0.5, 0.1, 0.02), rx=2_000_000), 2)
    assert history.now is not None
    assert (history.now.cpu, history.cpu[-1], history.rx) == (55.0, 55.0, 1_000_000)
    assert history.now.load == (0.5, 0.1, 0.01)
    for step in range(200):
        history.add(REST._replace(disk_used=REST.disk_used + step * (10 << 20), rx=2_000_000), 1)
        assert 0 <= REST.disk_used + step * (10 << 20) - history.now.disk_used < GB / 10
    assert history.rx == 0, "nothing more came"
    history.add(REST._replace(cpu=1.5, rx=2_003_000), 1)
    history.add(REST._replace(cpu=1.5, rx=2_006_500), 1)
    assert history.rx == 3000, "a sixth more is the same"
