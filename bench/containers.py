"""Containers beside docker and podman: each verb, many of them, and what they cost to keep.

    dev/bench.sh containers [--rounds N] [--counts 0,100,1000] [--many 50] [--json FILE]
    dev/bench.sh containers --part lists

Each part's table is printed as soon as it is measured. Every round runs each subject once per
engine, in turn. `start`, `stop`, `exec` act on a container that is made outside the clock. Only
ratios travel between machines.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import sys
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from datetime import UTC, datetime
from pathlib import Path

import peers
from latency import Ours
from peers import Peer, command

Times = dict[str, dict[str, list[float]]]
TICK = os.sysconf("SC_CLK_TCK")


def clocked(argv: list[str]) -> float:
    """Seconds that a command takes."""
    start = time.perf_counter()
    command(argv)
    return time.perf_counter() - start


class Subject:
    """One engine's command lines."""

    def __init__(self, peer: Peer) -> None:
        self.peer = peer
        self.name = peer.name
        self.image = peer.image

    def words(self, *words: str) -> list[str]:
        return [*self.peer.cli(), *words]

    def run(self, *words: str) -> list[str]:
        return self.words("run", *self.peer.run_flags(), *words)

    def sleeping(self, name: str, network: str = "bridge") -> list[str]:
        mode = self.peer.network(network)
        return self.run("-d", "--name", name, "--network", mode, self.image, "sleep", "100000")

    def memory(self) -> int:
        """PSS of everything that holds its containers, without their own processes; bytes."""
        total = 0
        for pid in peers.users_of(self.peer.state):
            try:
                text = Path(f"/proc/{pid}/smaps_rollup").read_text()
            except (FileNotFoundError, ProcessLookupError):
                continue
            total += sum(int(x.split()[1]) for x in text.splitlines() if x.startswith("Pss:"))
        return total * 1024


def verbs(subjects: list[Subject], rounds: int, times: Times) -> None:
    """run, start, stop, exec; one round before them warms caches and is not counted."""

    def note(what: str, subject: Subject, seconds: float, counted: bool) -> None:
        if counted:
            times.setdefault(what, {}).setdefault(subject.name, []).append(seconds)

    for number in range(rounds + 1):
        for network in ("none", "bridge"):
            for one in subjects:
                mode = one.peer.network(network)
                argv = one.run("--rm", "--network", mode, one.image, "true")
                note(f"run --rm, {network}", one, clocked(argv), number > 0)
        for one in subjects:
            note("run -d, bridge", one, clocked(one.sleeping("verbs")), number > 0)
        for one in subjects:
            note("exec", one, clocked(one.words("exec", "verbs", "true")), number > 0)
        for one in subjects:
            note("stop -t 0", one, clocked(one.words("stop", "-t", "0", "verbs")), number > 0)
        for one in subjects:
            note("start", one, clocked(one.words("start", "verbs")), number > 0)
        for one in subjects:
            note("rm -f", one, clocked(one.words("rm", "-f", "verbs")), number > 0)


def lists(subjects: list[Subject], counts: list[int], rounds: int, times: Times) -> None:
    """`ps -a` of more and more containers, which are created (not started) outside the clock."""
    have = 0
    for count in counts:

        def fill(one: Subject, first: int = have, last: int = count) -> None:
            for number in range(first, last):
                argv = one.words("create", *one.peer.run_flags(), "--name", f"ps{number}")
                command([*argv, "--network", "none", one.image, "true"])

        with ThreadPoolExecutor(len(subjects)) as pool:
            list(pool.map(fill, subjects))
        have = max(have, count)
        for number in range(rounds + 1):
            for one in subjects:
                taken = clocked(one.words("ps", "-a"))
                if number:
                    times.setdefault(f"ps -a of {count}", {}).setdefault(one.name, []).append(taken)
        print(table(times, f"ps -a of {count}"), flush=True)


def many(subjects: list[Subject], count: int, parallel: int, times: Times) -> dict[str, list[str]]:
    """`count` starts in sequence, what they cost to keep, their removal; then some in parallel."""
    facts: dict[str, list[str]] = {}

    def note(what: str, one: Subject, seconds: float) -> None:
        times.setdefault(what, {}).setdefault(one.name, []).append(seconds)

    spent = dict.fromkeys((one.name for one in subjects), 0.0)
    for number in range(count):  # interleaved one by one: a busy minute hits all alike
        for one in subjects:
            spent[one.name] += clocked(one.sleeping(f"many{number}"))
    for one in subjects:
        note(f"{count} starts in sequence", one, spent[one.name])
        memory = one.memory()
        times.setdefault(f"MB with {count} running", {}).setdefault(one.name, []).append(
            memory / 1e6
        )
        if isinstance(one.peer, Ours):
            facts["sampling"] = [sampling(one.peer.engine.pid, count)]
        names = [f"many{number}" for number in range(count)]
        note(f"rm -f of {count} running", one, clocked(one.words("rm", "-f", *names)))
    for one in subjects:
        argvs = [one.sleeping(f"par{number}") for number in range(parallel)]
        start = time.perf_counter()
        with ThreadPoolExecutor(parallel) as pool:
            list(pool.map(command, argvs))
        note(f"{parallel} starts in parallel", one, time.perf_counter() - start)
        command(one.words("rm", "-f", *[f"par{number}" for number in range(parallel)]))
    return facts


def sampling(pid: int, count: int, seconds: float = 20.0) -> str:
    """What an engine that is left alone spends per container and second: samples, and all else."""

    def spent() -> float:
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / TICK

    before = spent()
    time.sleep(seconds)
    each = (spent() - before) / seconds / count * 1e6
    return f"engine with {count} running, idle: {each:.0f} us of CPU per container and second"


HEAD = "| | bay | docker | podman | bay/docker | bay/podman |\n|---|---|---|---|---|---|"


def table(times: Times, *only: str) -> str:
    """Lines of medians in ms (of memory: MB), and ours as a part of each peer's."""
    lines = []
    for what in only or times:
        found = times[what]
        scale = 1 if what.startswith("MB") else 1000
        medians = {name: statistics.median(taken) for name, taken in found.items()}
        cells = [
            f"{medians[name] * scale:.0f}" if name in medians else "–"
            for name in ("bay", "docker", "podman")
        ]
        ratios = [
            f"{medians['bay'] / medians[name]:.2f}" if name in medians else "–"
            for name in ("docker", "podman")
        ]
        lines.append(f"| {what} | {' | '.join((*cells, *ratios))} |")
    return "\n".join(lines)


def main() -> None:
    """Set up what works here, measure, print, and take everything away."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("-n", "--rounds", type=int, default=15)
    parser.add_argument("--counts", default="0,100,1000")
    parser.add_argument("--many", type=int, default=50)
    parser.add_argument("--parallel", type=int, default=20)
    parser.add_argument("--part", choices=("verbs", "many", "lists"), action="append")
    parser.add_argument("--without", default="", help="engines to leave out, with commas")
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()
    times: Times = {}
    facts: dict[str, list[str]] = {}
    makers: list[Callable[[], Peer]] = [Ours, peers.Docker, peers.Podman]
    with ExitStack() as stack:
        subjects: list[Subject] = []
        for make in makers:
            if getattr(make, "name", "") in options.without.split(","):
                continue
            try:
                peer = make()
            except (RuntimeError, AssertionError, FileNotFoundError) as error:
                if make is Ours:
                    raise
                print(f"left out: {error}", file=sys.stderr)
                continue
            stack.callback(peer.close)
            subjects.append(Subject(peer))
        load = os.getloadavg()
        print(
            f"{datetime.now(UTC):%Y-%m-%d %H:%M} UTC, load {load[0]:.1f}, {options.rounds} rounds"
        )
        print(HEAD, flush=True)
        parts = options.part or ["verbs", "many", "lists"]
        if "verbs" in parts:
            verbs(subjects, options.rounds, times)
            print(table(times), flush=True)
        if "many" in parts:
            before = set(times)
            facts = many(subjects, options.many, options.parallel, times)
            print(table(times, *(what for what in times if what not in before)), flush=True)
        if "lists" in parts:
            lists(subjects, [int(c) for c in options.counts.split(",")], options.rounds, times)
        print(f"load {os.getloadavg()[0]:.1f} at the end")
    for lines in facts.values():
        print("\n".join(lines))
    if options.json:
        options.json.write_text(json.dumps({"times": times, "facts": facts}))


if __name__ == "__main__":
    main()
