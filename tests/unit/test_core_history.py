"""Figures on disk: rings that never grow, whatever a crash leaves in them."""

from __future__ import annotations

import time
from pathlib import Path

from bayplan.core import history
from bayplan.core.history import SECONDS, TENS, Point, Writer

SECOND = 1_000_000_000
START = 1_700_000_000 * SECOND


def point(second: int, cpu: float = 1.0, memory: int = 5) -> Point:
    return Point(START + second * SECOND, cpu, 0.5, memory, 100, second, 2, 3, 4, 7, 0.1, 0.2, 0.3)


def test_what_is_written_is_read_until_it_is_overwritten(tmp_path: Path) -> None:
    """Ten minutes by the second; older ones have gone, and the file has its size for ever."""
    writer = Writer(tmp_path)
    for second in range(700):
        writer.add(point(second))
    found = history.read(tmp_path, SECONDS, 0)
    assert [p.rx for p in found] == list(range(100, 700))
    assert found[-1].cpu == 1.0 and found[-1].memory_limit == 100
    assert [p.rx for p in history.read(tmp_path, SECONDS, START + 694 * SECOND)] == [
        *range(695, 700)
    ]
    writer.close()
    for second in range(0, 300_000, 2_000):
        writer = Writer(tmp_path)
        writer.add(point(second))
        writer.close()
    assert (tmp_path / history.NAME).stat().st_size <= history.LARGEST


def test_ten_seconds_are_one_point(tmp_path: Path) -> None:
    """Means of rates, the most of memory and processes, the last of counters; a day is kept."""
    writer = Writer(tmp_path)
    for second in range(25):
        writer.add(point(second, cpu=float(second), memory=100 - second))
    writer.close()
    found = history.read(tmp_path, TENS, 0)
    assert [p.cpu for p in found] == [4.5, 14.5, 22.0]
    assert [p.memory for p in found] == [100, 90, 80]
    assert [p.rx for p in found] == [9, 19, 24]
    assert TENS.interval * TENS.slots == 24 * 3600


def test_a_killed_engine_loses_nothing(tmp_path: Path) -> None:
    """Without a close every second is there, and the next writer sums up the last ten."""
    now = time.time_ns() // (10 * SECOND) * (10 * SECOND) - START
    first = Writer(tmp_path)
    for second in range(5):
        first.add(point(now // SECOND + second, cpu=10.0))
    second_writer = Writer(tmp_path)  # the first one is never closed
    assert len(history.read(tmp_path, SECONDS, 0)) == 5
    second_writer.add(point(now // SECOND + 5, cpu=70.0))
    second_writer.close()
    (summed,) = history.read(tmp_path, TENS, 0)
    assert summed.cpu == 20.0


def test_torn_and_foreign_bytes_are_no_points(tmp_path: Path) -> None:
    """A record half written has no right checksum; a file of another kind is begun anew."""
    writer = Writer(tmp_path)
    for second in range(3):
        writer.add(point(second))
    writer.close()
    file = tmp_path / history.NAME
    place = file.read_bytes().index(point(1).pack())
    with open(file, "r+b") as raw:
        raw.seek(place + 20)
        raw.write(b"torn")
    assert [p.rx for p in history.read(tmp_path, SECONDS, 0)] == [0, 2]
    file.write_bytes(b"something else" * 100)
    assert history.read(tmp_path, SECONDS, 0) == []
    Writer(tmp_path).close()
    assert history.read(tmp_path, SECONDS, 0) == []
    assert history.read(tmp_path / "nowhere", SECONDS, 0) == []


def test_a_gap_shows_no_points_of_an_earlier_round(tmp_path: Path) -> None:
    """Slots not written for longer than the ring has hold what is too old to show."""
    writer = Writer(tmp_path)
    writer.add(point(0))
    writer.add(point(1000))
    assert [p.rx for p in history.read(tmp_path, SECONDS, 0)] == [1000]
    writer.close()
