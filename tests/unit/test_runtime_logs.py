"""Reading logs: parts, times, tails, rotation, following."""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from bayplan.core import logs
from bayplan.core.logs import LogEntry

SECOND = 1_000_000_000
START = 1_767_225_600 * SECOND  # 2026-01-01T00:00:00Z


def line(number: int, text: str, tag: str = "F", stream: str = "stdout") -> bytes:
    clock = f"2026-01-01T00:00:{number:02d}.000000005+00:00"
    return f"{clock} {stream} {tag} {text}\n".encode()


async def collect(source: AsyncIterator[LogEntry]) -> list[LogEntry]:
    return [entry async for entry in source]


async def texts(source: AsyncIterator[LogEntry]) -> list[str]:
    return [entry.data.decode() for entry in await collect(source)]


async def test_times_streams_and_joined_parts(tmp_path: Path) -> None:
    log = tmp_path / "ctr.log"
    log.write_bytes(
        line(1, "one")
        + line(2, "aa", "P")
        + line(3, "error", stream="stderr")
        + line(4, "bb", "P")
        + line(5, "cc")
        + line(6, "$ ", "P", "stderr")
    )
    assert await collect(logs.read(log)) == [
        LogEntry(1, START + 1 * SECOND + 5, b"one\n"),
        LogEntry(2, START + 3 * SECOND + 5, b"error\n"),
        LogEntry(1, START + 2 * SECOND + 5, b"aabbcc\n"),
        LogEntry(2, START + 6 * SECOND + 5, b"$ "),
    ]


async def test_local_times_and_damaged_lines(tmp_path: Path) -> None:
    log = tmp_path / "ctr.log"
    log.write_bytes(
        b"garbage\n\n2026-01-01 nothing\nx stdout F time\n"
        b"2026-01-01T02:00:01.000000000+02:00 stdout F east\n"
        b"2026-01-01T00:00:02.000000000+00:00 stdout F \n"
        b"cut off"
    )
    entries = await collect(logs.read(log))
    assert [(entry.ns, entry.data) for entry in entries] == [
        (START + SECOND, b"east\n"),
        (START + 2 * SECOND, b"\n"),
    ]


@pytest.mark.parametrize(
    ("tail", "expected"),
    [
        (0, []),
        (1, ["end"]),
        (2, ["9\n", "end"]),
        (11, [f"{n}\n" for n in range(10)] + ["end"]),
        (99, [f"{n}\n" for n in range(10)] + ["end"]),
    ],
)
async def test_tail(tmp_path: Path, tail: int, expected: list[str]) -> None:
    log = tmp_path / "ctr.log"
    log.write_bytes(b"".join(line(n, str(n)) for n in range(10)) + line(11, "end", "P"))
    assert await texts(logs.read(log, tail=tail)) == expected


async def test_tail_of_a_large_log(tmp_path: Path) -> None:
    """Longer than the blocks it is read in, whatever they cut."""
    log = tmp_path / "ctr.log"
    log.write_bytes(b"".join(line(n % 60, f"{n} " + "x" * (n % 300)) for n in range(5000)))
    for tail in (1, 399, 400, 401, 4999, 5000):
        found = await texts(logs.read(log, tail=tail))
        assert [int(text.split()[0]) for text in found] == list(range(5000 - tail, 5000))


async def test_tail_counts_a_joined_line_once(tmp_path: Path) -> None:
    log = tmp_path / "ctr.log"
    log.write_bytes(line(1, "first") + line(2, "a", "P") + line(3, "b", "P") + line(4, "c"))
    assert await texts(logs.read(log, tail=1)) == ["abc\n"]
    assert await texts(logs.read(log, tail=2)) == ["first\n", "abc\n"]


async def test_rotated_files(tmp_path: Path) -> None:
    log = tmp_path / "ctr.log"
    for name, numbers in (("ctr.log.10", [0]), ("ctr.log.2", [1, 2]), ("ctr.log.1", [3, 4])):
        (tmp_path / name).write_bytes(b"".join(line(n, str(n)) for n in numbers))
    log.write_bytes(line(5, "5"))
    assert await texts(logs.read(log)) == [f"{n}\n" for n in range(6)]
    assert await texts(logs.read(log, tail=4)) == [f"{n}\n" for n in range(2, 6)]


async def test_since_and_until(tmp_path: Path) -> None:
    log = tmp_path / "ctr.log"
    log.write_bytes(b"".join(line(n, str(n)) for n in range(6)))
    found = logs.read(log, since=START + 2 * SECOND, until=START + 4 * SECOND)
    assert await texts(found) == ["2\n", "3\n"]


async def test_absent_log_is_empty(tmp_path: Path) -> None:
    assert await texts(logs.read(tmp_path / "none" / "ctr.log")) == []


async def test_follow_across_rotation_to_the_exit(tmp_path: Path) -> None:
    log = tmp_path / "ctr.log"
    log.write_bytes(line(0, "0"))
    exit_file = tmp_path / "exits" / "c"
    exit_file.parent.mkdir()
    source = logs.read(log, follow=True, running=lambda: True, exit_file=exit_file)
    assert (await anext(source)).data == b"0\n"
    with log.open("ab") as file:
        file.write(line(1, "1"))
    assert (await asyncio.wait_for(anext(source), 120)).data == b"1\n"
    os.rename(log, tmp_path / "ctr.log.1")
    log.write_bytes(line(2, "2"))
    assert (await asyncio.wait_for(anext(source), 120)).data == b"2\n"
    with log.open("ab") as file:
        file.write(line(3, "last", "P"))
    (exit_file.parent / "tmp").write_text("0")
    os.rename(exit_file.parent / "tmp", exit_file)
    assert (await asyncio.wait_for(anext(source), 120)).data == b"last"
    with pytest.raises(StopAsyncIteration):
        await anext(source)


async def test_follow_of_a_truncated_log(tmp_path: Path) -> None:
    log = tmp_path / "ctr.log"
    log.write_bytes(line(0, "a long first line") + line(1, "1"))
    source = logs.read(log, follow=True, running=lambda: True)
    await anext(source)
    await anext(source)
    log.write_bytes(line(2, "2"))
    assert (await asyncio.wait_for(anext(source), 120)).data == b"2\n"
    await source.aclose()  # type: ignore[attr-defined] # an async generator


async def test_what_is_written_while_reading_is_left_out(tmp_path: Path) -> None:
    """`--tail 2` of a busy container is two lines."""
    log = tmp_path / "ctr.log"
    (tmp_path / "ctr.log.1").write_bytes(line(0, "0"))
    log.write_bytes(b"".join(line(n, str(n)) for n in range(1, 5)))
    source = logs.read(log, tail=5)
    seen = [(await anext(source)).data]
    with log.open("ab") as file:
        file.write(line(9, "late"))
    seen += [entry.data async for entry in source]
    assert seen == [b"0\n", b"1\n", b"2\n", b"3\n", b"4\n"]
