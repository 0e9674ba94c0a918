"""Terminals of containers, for real: our emulator beside tmux's, and the whole app inside tmux."""

from __future__ import annotations

import asyncio
import itertools
import os
import signal
import time
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from bayplan.client.hosts import parse_host
from bayplan.tui.dialing import Dialer
from bayplan.tui.emulator import Emulator
from bayplan.tui.session import Session
from bayplan.tui.source import Source
from support.engine import BAY, EngineProcess
from support.tmux import Tmux
from support.waiting import wait_until

TEXT = (
    """first line of the file
wide characters: 漢字かな交じり文 and text after them
combining: e\u0301a\u0308, box: ┌──┐│  │└──┘, arrows: ← → ↑ ↓
\ttabs\tbetween\twords
a very long line: """
    + "0123456789" * 20
    + """
last line of the file
"""
)
_NAMES = itertools.count()


@pytest.fixture(scope="module")
def box(engine: EngineProcess, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A container with this host's programs in it, and files to look at in /t."""
    folder = tmp_path_factory.mktemp("box")
    (folder / "text").write_text(TEXT)
    (folder / "binary").write_bytes(bytes(range(256)) * 400)
    lines = "".join(f"line {number} of a longer file\n" for number in range(1, 2000))
    (folder / "long").write_text(lines)
    name = f"tty-box-{next(_NAMES)}"
    host = ("/usr", "/lib", "/lib64", "/etc/terminfo", "/etc/alternatives")
    binds = [f"{path}:{path}:ro" for path in host if Path(path).exists()]
    words = [word for bind in [*binds, "/usr/bin:/bin:ro", f"{folder}:/t"] for word in ("-v", bind)]
    script = "trap 'exit 0' TERM; while :; do sleep 1; done"
    engine.bay(
        *("run", "-d", "--name", name, "--hostname", "box", "--network", "none"),
        *("-e", "LANG=C.UTF-8", *words, "starter", "sh", "-c", script),
        check=True,
    )
    try:
        yield name
    finally:
        engine.bay("rm", "-f", name)


# --- the emulator beside tmux, on the same bytes


@asynccontextmanager
async def session(
    engine: EngineProcess, box: str, size: tuple[int, int], *command: str
) -> AsyncIterator[tuple[Session, bytearray]]:
    """A terminal into `box` and all the bytes its program wrote."""
    source = Source(Dialer(parse_host(engine.host)).dial, "test")
    opened = Session(source, box, "exec", *size)
    written = bytearray()
    feed = opened.emulator.feed

    def recorded(data: bytes) -> None:
        written.extend(data)
        feed(data)

    opened.emulator.feed = recorded  # type: ignore[method-assign] # to see what it is fed
    await opened.open(["env", "LANG=C.UTF-8", *command])
    try:
        yield opened, written
    finally:
        opened.close()


async def shows(opened: Session, fact: Callable[[str], object], what: str) -> None:
    """Wait until the emulated screen's text is such that `fact`."""
    deadline = time.monotonic() + 60
    while not fact(shown := "\n".join(opened.emulator.text())):
        assert not opened.over, f"ended before {what}:\n{shown}"
        assert time.monotonic() < deadline, f"{what}: not so after 60 s; the screen:\n{shown}"
        await asyncio.sleep(0.02)


def tmux_of(written: bytes, size: tuple[int, int], path: Path) -> list[str]:
    """What tmux shows of the same bytes."""
    path.write_bytes(written + b"\x1b]2;all of it\x07")
    script = f"stty raw -echo; cat {path}; exec sleep 1000"
    with Tmux(["sh", "-c", script], *size) as pane:
        wait_until(
            lambda: pane._run("display", "-p", "#{pane_title}").strip() == "all of it",
            "the last byte in tmux",
            60,
        )
        return pane.lines()


PROGRAMS: dict[str, tuple[list[str], bytes, Callable[[str], object]]] = {
    "vim": (
        ["vim", "-n", "-u", "NONE", "-N", "/t/text"],
        b":set nu\r:vsplit /t/long\r/1234 of\r",
        lambda text: "line 1234 of" in text and "漢字" in text,
    ),
    "less": (
        ["less", "/t/text"],
        b"",
        lambda text: "last line of the file" in text,
    ),
    "less, searched": (
        ["less", "/t/long"],
        b"/line 1500\r",
        lambda text: "line 1500" in text,
    ),
    "htop": (
        ["htop", "-d", "50"],
        b"",
        lambda text: "Quit" in text and "sleep" in text,
    ),
    "nested tmux": (
        ["tmux", "-u", "-L", "inner", "-f", "/dev/null", "new", "sh"],
        b'\x02%\x02"cat /t/text\r',
        lambda text: "last line of the file" in text and "│" in text,
    ),
    "a binary file": (
        ["sh", "-c", "cat /t/binary; printf '\\033c\\033[2J\\033[Hafter it'; exec sleep 1000"],
        b"",
        lambda text: "after it" in text,
    ),
}


@pytest.mark.parametrize(
    ("program", "size"),
    [
        *((program, (80, 24)) for program in PROGRAMS),
        *((program, (120, 36)) for program in ("vim", "nested tmux")),
    ],
    ids=str,
)
async def test_the_emulator_shows_what_tmux_shows(
    program: str, size: tuple[int, int], engine: EngineProcess, box: str, tmp_path: Path
) -> None:
    """The same bytes, row by row, at a moment when the program has drawn what it was asked for."""
    command, keys, fact = PROGRAMS[program]
    async with session(engine, box, size, *command) as (opened, written):
        await shows(opened, lambda text: text.strip(), "its first screen")
        if program == "vim":
            await vim_knows(opened, *size)
        for part in keys.partition(b'\x02"'):  # tmux drops what is typed while it splits
            if part:
                opened.send(part)
                before = len(written)
                await shows(opened, lambda text, n=before: len(written) > n, "an answer")  # type: ignore[misc]
        await shows(opened, fact, "what was asked for")
        ours, taken = opened.emulator.text(), bytes(written)
        if program == "nested tmux":
            opened.send(b"\x02:kill-server\r")
    theirs = await asyncio.to_thread(tmux_of, taken, size, tmp_path / "bytes")
    assert ours == theirs


CUT = {
    "a sequence cut by control characters": b"\x1b[3\r\n" * 5 + b"a\x1b[1\r\n1mb\x1b[\x7f2Cc",
    "a string begun by a cut": b"a\x1b^C\r\n\x1b[?2004hready> ",
    "a sequence cut by the next": b"\x1b[mflood\x1b[3\r\n" * 3 + b"\x1b[3^C\r\nready> ",
    "a title cut by the next": b"\x1b]0;ti\x1b[1mbold",
    "malformed numbers": b"x\x1b[1;x;2ry\x1b[<5az\x1b[?rw",
    "a sequence cancelled": b"\x1b[5\x18Cx",
}


@pytest.mark.parametrize("case", CUT)
def test_what_is_cut_off_is_shown_as_tmux_shows_it(case: str, tmp_path: Path) -> None:
    ours = Emulator(40, 12, lambda data: None)
    ours.feed(CUT[case])
    assert ours.text() == tmux_of(CUT[case], (40, 12), tmp_path / "bytes")


async def vim_knows(opened: Session, columns: int, rows: int) -> None:
    """Wait until vim has this size; it garbles its screen when a change meets what is typed."""
    asked = 0.0

    def told(text: str) -> bool:
        nonlocal asked
        if time.monotonic() - asked > 1:  # a late redraw wipes the answer: ask again
            asked = time.monotonic()
            opened.send(b":echo 'size' &columns &lines\r")
        return f"size {columns} {rows}" in text

    await shows(opened, told, "vim's own size")


async def test_a_storm_of_resizes_ends_at_the_last_size(engine: EngineProcess, box: str) -> None:
    """The program and the emulator agree, and the screen is drawn for that size."""
    async with session(engine, box, (80, 24), "vim", "-n", "-u", "NONE", "/t/long") as (opened, _):
        await shows(opened, lambda text: "line 20 of" in text, "the file")
        for number in range(120):
            opened.resize(40 + number % 90, 10 + number % 30)
            if number % 10 == 0:
                await asyncio.sleep(0)
        opened.resize(100, 30)
        await vim_knows(opened, 100, 30)
        assert len(opened.emulator.text()) == 30


# --- the whole app


def app(engine: EngineProcess, columns: int, rows: int) -> Tmux:
    """`bay`, the screen, in a tmux of a size."""
    environment = {**engine.environment, "TERM": "screen-256color", "LANG": "C.UTF-8"}
    return Tmux([BAY, "-H", engine.host], columns, rows, environment)


def shell(pane: Tmux, box: str) -> None:
    """Filter the list to `box` and open a shell in it."""
    pane.wait_for("● ")
    pane.type("/")
    pane.wait_for(" filter")
    pane.type(box)
    pane.wait_for(f"/{box} ")
    pane.keys("Enter")
    pane.wait_while(" filter")
    pane.type("e")
    pane.wait_for("bash-")
    pane.type("PS1='ready> '; cd /t\n")
    pane.wait_for("ready>")


def test_a_file_edited_in_the_pane_is_written(engine: EngineProcess, box: str) -> None:
    """Keys go to the program, and its screen to the pane, at 80x24."""
    with app(engine, 80, 24) as pane:
        shell(pane, box)
        pane.type("vim -n -N -u NONE /t/new\n")
        pane.wait_for("[New")
        pane.type("ihello from vim")
        pane.wait_for("-- INSERT --")
        pane.keys("Escape")
        pane.wait_while("-- INSERT --")  # else it and what follows are one alt+key
        pane.type(":wq\n")
        pane.wait_for("ready>")
        pane.type("cat /t/new | tr a-z A-Z\n")
        pane.wait_for("HELLO FROM VIM")


@pytest.mark.timeout(300)
def test_a_screen_that_is_killed_takes_its_shells_along(engine: EngineProcess, box: str) -> None:
    """As a terminal that is closed does; what `docker exec` started runs on, as with Docker."""

    def runs() -> str:
        return engine.bay("top", box).stdout

    with engine.terminal("exec", "-it", box, "sleep", "7654") as other:
        wait_until(lambda: "sleep 7654" in runs(), "what exec runs", timeout=60)
        with app(engine, 80, 24) as pane:
            shell(pane, box)
            pane.type("sleep 4567\n")
            wait_until(lambda: "sleep 4567" in runs(), "what the shell runs", timeout=60)
            os.kill(int(pane._run("display", "-p", "#{pane_pid}")), signal.SIGKILL)
            wait_until(lambda: "sleep 4567" not in runs(), "its end", timeout=60)
        os.kill(other.pid, signal.SIGKILL)
        wait_until(lambda: not other.more(0.1), "the end of exec itself", timeout=60)
        assert "sleep 7654" in runs()


@pytest.mark.timeout(300)
def test_detaching_in_the_middle_of_a_flood_gives_the_list_back(
    engine: EngineProcess, box: str
) -> None:
    """`yes` neither holds the keyboard nor the screen, also when it stops in mid-escape."""
    with app(engine, 120, 36) as pane:
        shell(pane, box)
        pane.type("yes \"$(printf '\\033[mflood\\033[3')\"\n")
        wait_until(lambda: pane.screen().count("│flood  ") > 5, "the flood", 40)
        pane.keys("C-]")
        pane.wait_for("stop/start")
        pane.type("?")
        pane.wait_for("this help")
        pane.keys("Escape")
        pane.wait_while("this help")
        pane.type("e")
        pane.wait_for("^] leave")
        pane.keys("C-c")
        pane.type("\necho calm$((1+1))\n")
        pane.wait_for("calm2", 200)


def test_the_whole_terminal_is_handed_over_and_taken_back(engine: EngineProcess, box: str) -> None:
    """`+` gives the program every row; ctrl+] gives the app back as it was."""
    with app(engine, 100, 30) as pane:
        shell(pane, box)
        pane.keys("C-]")
        pane.wait_for("stop/start")
        pane.type("+")
        # Textual leaves its page first; what is typed counts once the program's screen is there.
        alone = lambda shown: "Containers" not in shown and "ready>" in shown  # noqa: E731
        wait_until(lambda: alone(pane.screen()), "the program alone")
        pane.type("stty size\n")
        pane.wait_for("30 100")
        pane.type("less /t/long\n")
        pane.wait_for("line 29 of a longer file")
        pane.keys("C-]")
        pane.wait_for("Containers")
        shown = pane.wait_for("stop/start")
        assert "╭" in shown and box in shown
        pane.type("q")
        wait_until(lambda: pane._run("display", "-p", "#{pane_dead}").strip() == "1", "its end", 60)


def test_the_app_survives_a_storm_of_resizes(engine: EngineProcess, box: str) -> None:
    """It draws whole screens at sizes down to a few lines, and the last one is right."""
    with app(engine, 120, 36) as pane:
        pane.wait_for("● ")
        for number in range(40):
            pane.resize(20 + 7 * (number % 25), 5 + number % 40)
        pane.resize(200, 60)
        pane.wait_for("Volumes")
        pane.wait_for("Host")
        assert "Traceback" not in pane.screen()
        assert all(len(line) <= 200 for line in pane.lines())
