"""SIGKILL of the engine at random moments of what it does with images, and the look at it after.

Used by a bounded test and by `dev/killing.py`, which does hundreds. All is told by a seed: the
work, its order, and the part of the work's usual time after which the engine dies.
"""

from __future__ import annotations

import os
import random
import re
import signal
import sqlite3
import threading
import time
from http.client import HTTPException
from pathlib import Path

from . import leaks
from .engine import EngineProcess
from .killeddeeds import Deeds
from .killedworld import PACE, SIZE, World
from .waiting import wait_until

# Folders of the root that have an entry for each of these.
OWN = {
    "snapshots": "SELECT id FROM snapshots",
    "containers": "SELECT id FROM containers",
    "volumes": "SELECT name FROM volumes",
    "build/mounts": "SELECT id FROM build_mounts",
}


class Killing:
    """Kills one engine; `size` is that of each of the files in a layer, bytes."""

    def __init__(self, engine: EngineProcess, seed: int, size: int = SIZE) -> None:
        self.engine = engine
        self.random = random.Random(seed)
        self.world = World(engine, self.random, size)
        self.deeds = Deeds(self.world)
        self.usual: dict[str, float] = {}
        self.kills = 0

    def close(self) -> None:
        """End the registries."""
        self.world.close()

    # --- one kill

    def one(self, what: str) -> str:
        """Kill the engine somewhere in `what`, start another, look at all; what was seen."""
        deed = self.deeds.of(what)
        deed.prepare()
        if what not in self.usual:
            start = time.monotonic()
            deed.work()
            self.usual[what] = time.monotonic() - start
            deed.held()
            deed.prepare()
        moment = self.random.random() * 1.1 * self.usual[what]
        pid = self.engine.pid
        finished = threading.Event()

        def attempt() -> None:
            try:
                deed.work()
                finished.set()
            except (OSError, HTTPException, AssertionError, ValueError):
                pass  # the engine died

        thread = threading.Thread(target=attempt)
        thread.start()
        finished.wait(moment)
        os.kill(pid, signal.SIGKILL)
        thread.join(120)
        assert not thread.is_alive()
        self.kills += 1
        self.engine.reap()
        complete, partial = self._complete(), self._partial()
        self.engine.start()
        if finished.is_set():
            deed.held()
        deed.between()
        if not deed.damaged:
            self.check()
        before = len(self.world.ledger.served)
        deed.work()
        deed.held()
        if deed.damaged:
            self.check()
        else:
            self._assert_nothing_twice(before, complete, partial)
        return f"{what} at {moment:.3f} of {self.usual[what]:.3f} s" + (
            ", which had ended" if finished.is_set() else f": {len(partial)} downloads begun"
        )

    # --- a process that unpacks dies alone

    def workers(self) -> list[int]:
        """The processes that hold the fence of this engine's layers, but for the engine."""
        return [pid for pid in holders(self.engine.root / "layers") if pid != self.engine.pid]

    def worker_dies(self) -> str:
        """Kill a process that unpacks, somewhere in a pull: the pull fails in one sentence, nothing
        is left, and the next one goes on from what came; what was said."""
        deed = self.deeds.of("unpack")
        deed.prepare()
        self.world.ledger.pause = PACE
        moment = self.random.random() * 0.8 * self.usual.get("pull", 1)
        seen: list[str] = []

        def attempt() -> None:
            try:
                deed.work()
            except AssertionError as error:
                seen.append(str(error))

        thread = threading.Thread(target=attempt)
        thread.start()
        thread.join(moment)
        victims = wait_until(lambda: self.workers() or not thread.is_alive(), "a process")
        for pid in victims[:1] if isinstance(victims, list) else ():
            os.kill(pid, signal.SIGKILL)
        thread.join(120)
        assert not thread.is_alive()
        self.kills += 1
        for sentence in seen:
            # The second where it was the one that starts the others, which tells how they ended.
            words = "the process that unpacked a layer (ended early|.*ended unseen)"
            assert re.search(words, sentence), sentence
        complete, partial = self._complete(), self._partial()
        self.check()
        before = len(self.world.ledger.served)
        deed.work()
        deed.held()
        self._assert_nothing_twice(before, complete, partial)
        return f"worker at {moment:.3f} s: {seen[0] if seen else 'an idle one'}"

    # --- what must be so after each start

    def check(self) -> None:
        """`system check` is clean, and the disk holds what the rows say, nothing else."""
        told = self.engine.api("GET", "/bay/system/check").lines()
        assert told[-1]["Summary"]["Problems"] == 0, told
        try:
            wait_until(lambda: not self._unexpected(), "a clean disk", timeout=60)
        except AssertionError as error:
            raise AssertionError(f"{self._unexpected()}\n{self.engine.tail()}") from error
        states = self.engine.api("GET", "/containers/killing/json").json()
        assert states["State"]["Status"] == "created"

    def _rows(self, sql: str) -> set[str]:
        """Read beside the engine: WAL lets a second reader in."""
        with sqlite3.connect(f"file:{self.engine.root}/bay.db?mode=ro", uri=True) as database:
            return {row[0] for row in database.execute(sql)}

    def _unexpected(self) -> list[str]:
        root = self.engine.root
        rows = {one.removeprefix("sha256:") for one in self._rows("SELECT diff_id FROM layers")}
        wrong = [f"layer {name}" for name in rows ^ _entries(root / "layers")]
        for folder, sql in OWN.items():
            wrong += [f"{folder} {name}" for name in self._rows(sql) ^ _entries(root / folder)]
        # No container runs: nothing is mounted but the runtime's program, and no cgroup is left.
        own = f"mount {self.engine.run_root}/crun"
        wrong += [one for one in leaks.mounts(self.engine.options) if one != own]
        wrong += [one for one in leaks.cgroups(self.engine.options) if _folders(one)]
        # Of a new engine there are none; idle ones of a living one end after a while.
        wrong += [f"process {pid}" for pid in self.workers()]
        wrong += [str(place) for place in (root / "trash").iterdir()]
        wrong += [str(p) for p in (root / "blobs/partial").iterdir() if "push" in p.name]
        needed = self._rows("SELECT diff_id FROM image_layers")
        present = self._rows("SELECT diff_id FROM layers")
        wrong += [f"missing {diff_id}" for diff_id in needed - present]
        return wrong

    # --- nothing complete is fetched twice

    def _complete(self) -> set[str]:
        """Blobs of the layers that are whole, as the dead engine left them."""
        return self._rows(
            "SELECT digest FROM layer_blobs WHERE diff_id IN (SELECT diff_id FROM layers)"
        )

    def _partial(self) -> dict[str, int]:
        folder = self.engine.root / "blobs/partial"
        return {f.name.replace("-", ":", 1): f.stat().st_size for f in Path(folder).iterdir()}

    def _assert_nothing_twice(
        self, before: int, complete: set[str], partial: dict[str, int]
    ) -> None:
        sizes = self.world.sizes
        for entry in self.world.ledger.served[before:]:
            if entry.digest not in sizes:
                continue  # an image's configuration
            assert entry.digest not in complete, "A LAYER THAT WAS HERE WAS FETCHED AGAIN"
            kept = partial.get(entry.digest, 0)
            assert kept < sizes[entry.digest], "A WHOLE DOWNLOAD WAS FETCHED AGAIN"
            assert entry.start >= kept, "BYTES THAT WERE HERE WERE FETCHED AGAIN"


def _entries(folder: Path) -> set[str]:
    return {entry.name for entry in folder.iterdir()}


def _folders(cgroup: str) -> list[Path]:
    place = Path(cgroup.split(" ", 1)[1])
    return [entry for entry in place.glob("*") if entry.is_dir()]


def holders(place: Path) -> list[int]:
    """The processes that have a descriptor of `place`."""
    found = []
    for entry in Path("/proc").iterdir():
        if not entry.name.isdigit():
            continue
        try:
            links = [os.readlink(one) for one in (entry / "fd").iterdir()]
        except OSError:
            continue  # it has just ended
        if str(place) in links:
            found.append(int(entry.name))
    return found
