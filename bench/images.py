"""Images: cold pulls, and commit, save, load and rmi, ours beside docker's and podman's.

Every engine gets a fresh ext4 and a fresh daemon in each round; the rounds interleave them. All
of it runs in a network namespace of its own. The floor is `curl | igzip -dc | tar x`, a layer at
a time: no engine, no digest, no database.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import sys
import tempfile
import time
from collections import defaultdict
from collections.abc import Callable
from functools import partial
from pathlib import Path

import content
import ground
from support.registry import Registry

ENGINES: tuple[type[ground.Engine], ...] = (
    ground.Docker,
    ground.Podman,
    ground.Bay,
    ground.Floor,
)
MANY = "30,000 files, gzip"
VERBS = ("commit", "save", "rmi", "load")
Times = dict[str, dict[str, list[float]]]


class Bench:
    """All times in seconds by what was done and by whom; `syncs` of the file system after
    it; `peaks` in bytes."""

    def __init__(self, pictures: dict[str, content.Content]) -> None:
        self.pictures = pictures
        self.times: Times = defaultdict(lambda: defaultdict(list))
        self.syncs: Times = defaultdict(lambda: defaultdict(list))
        self.peaks: dict[str, int] = defaultdict(int)

    def round(self, number: int, verbs: bool) -> None:
        """One engine after another, another one first each time."""
        turn = number % len(ENGINES)
        for kind in ENGINES[turn:] + ENGINES[:turn]:
            with tempfile.TemporaryDirectory(prefix="bb-", dir="/var/tmp") as beside:
                archive = Path(beside, "saved.tar")
                with_verbs = verbs and kind is not ground.Floor
                self._on_fresh(kind, lambda one: self._pulls(one, archive, with_verbs))  # noqa: B023 # runs now
                if with_verbs:
                    self._on_fresh(kind, lambda one: self._load(one, archive))  # noqa: B023 # runs now

    def _on_fresh(self, kind: type[ground.Engine], work: Callable[[ground.Engine], None]) -> None:
        with ground.Ground() as place:
            start = time.perf_counter()
            engine = kind(place)
            memory = ground.Memory(engine)
            try:
                work(engine)
            finally:
                memory.close()
                engine.close()
            self.peaks[kind.name] = max(self.peaks[kind.name], memory.peak)
        taken = time.perf_counter() - start
        print(f"  {kind.name}: {taken:.0f} s, all told", file=sys.stderr, flush=True)

    def _timed(self, what: str, engine: ground.Engine, work: Callable[[], object]) -> None:
        start = time.perf_counter()
        work()
        self.times[what][engine.name].append(time.perf_counter() - start)
        self.syncs[what][engine.name].append(ground.sync(engine.place))

    def _pulls(self, engine: ground.Engine, archive: Path, verbs: bool) -> None:
        for title, picture in self.pictures.items():
            if picture.kind == "gzip" or engine.zstd:
                self._timed(f"pull {title}", engine, partial(engine.pull, picture))
        if not verbs:
            return
        many = self.pictures[MANY].reference
        made = engine.call("create", "--name", "bench", many, "true").split()[-1]
        engine.call("cp", "/usr/lib/python3", f"{made}:/usr")
        self._timed(VERBS[0], engine, partial(engine.call, "commit", made, "bench/made"))
        engine.call("rm", made)
        engine.call("rmi", "bench/made")
        ground.sync(engine.place)
        self._timed(VERBS[1], engine, partial(engine.call, "save", "-o", archive, many))
        self._timed(VERBS[2], engine, partial(engine.call, "rmi", many))

    def _load(self, engine: ground.Engine, archive: Path) -> None:
        self._timed(VERBS[3], engine, partial(engine.call, "load", "-i", archive))

    def table(self) -> str:
        """Markdown: medians, ours as a ratio of each, and what a sync after it takes."""
        names = [kind.name for kind in ENGINES]
        lines = [
            "| seconds | "
            + " | ".join(names)
            + " | bay / faster peer | bay / floor | sync after bay |",
            "|" + "---|" * (len(names) + 4),
        ]
        for what, taken in self.times.items():
            middle = {name: statistics.median(times) for name, times in taken.items()}
            peers_ = [middle[name] for name in ("docker", "podman") if name in middle]
            ours, floor = middle["bay"], middle.get("floor")
            cells = [f"{middle[name]:.2f}" if name in middle else "–" for name in names]
            cells.append(f"{ours / min(peers_):.2f}" if peers_ else "–")
            cells.append(f"{ours / floor:.2f}" if floor else "–")
            cells.append(f"{statistics.median(self.syncs[what]['bay']):.2f}")
            lines.append(f"| {what} | " + " | ".join(cells) + " |")
        peaks = [f"{self.peaks[name] >> 20} MiB" for name in names[:-1]]
        lines.append("| peak memory (PSS) | " + " | ".join(peaks) + " | – | – | – | – |")
        return "\n".join(lines)


def main() -> None:
    """Measure, print, and take everything away."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("-n", "--rounds", type=int, default=5)
    parser.add_argument("--verb-rounds", type=int, default=2, help="of commit, save, rmi and load")
    parser.add_argument("--only", help="engines to measure, by name: bay,floor")
    parser.add_argument("--json", type=Path, help="also write every time, in seconds, to this file")
    options = parser.parse_args()
    _enter_own_network()
    if options.only:
        global ENGINES
        ENGINES = tuple(one for one in ENGINES if one.name in options.only.split(","))
    registry = Registry()
    try:
        bench = Bench(content.prepare(registry))
        for number in range(options.rounds):
            bench.round(number, number < options.verb_rounds)
            print(f"round {number + 1}: load {os.getloadavg()[0]:.1f}", file=sys.stderr, flush=True)
    finally:
        registry.stop()
    print(bench.table())
    if options.json:
        options.json.write_text(json.dumps(bench.times))


def _enter_own_network() -> None:
    """Move this process to a fresh network namespace: unshare(2)."""
    # exec keeps the pid: the mark cannot be inherited by mistake.
    mark = {"BAY_BENCH_NETNS": str(os.getpid())}
    if mark.items() <= os.environ.items():
        return
    script = 'ip link set lo up; exec "$@"'
    words = ["unshare", "--net", "sh", "-c", script, "sh", sys.executable, *sys.argv]
    os.execvpe(words[0], words, {**ground.peers.ENVIRONMENT, **mark})


if __name__ == "__main__":
    main()
