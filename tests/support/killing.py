"""SIGKILL of the engine at random moments of what it does with images, and the look at it after.

Used by a bounded test and by `dev/killing.py`, which does hundreds. All is told by a seed: the
work, its order, and the part of the work's usual time after which the engine dies.
"""

from __future__ import annotations

import gzip
import hashlib
import io
import json
import os
import random
import re
import signal
import sqlite3
import tarfile
import threading
import time
from collections.abc import Callable
from http.client import HTTPException
from pathlib import Path

from . import leaks
from .engine import EngineProcess
from .ledger import Ledger
from .waiting import wait_until

WORK = ("pull", "unpack", "commit", "rmi", "prune", "load", "snapshot")
# Layers large enough for a process of their own (storage/unpackers.py).
LAYERS, FILES, SIZE = 4, 100, 24_000
# Folders of what the container writes, and snapshots of it.
KEPT = 4
# Seconds between two pieces of a download: a network that is no loopback.
PACE = 0.003


class Killing:
    """One engine, one registry, two images that share a layer, and one container.

    `size` is that of each of the files in a layer, bytes.
    """

    def __init__(self, engine: EngineProcess, seed: int, size: int = SIZE) -> None:
        self.engine = engine
        self.size = size
        self.random = random.Random(seed)
        self.ledger = Ledger()
        self.ledger.pause = PACE
        shared = self._layer("shared")
        self.layers: dict[str, list[bytes]] = {}
        self.images: list[str] = []
        for name in ("first", "second"):
            layers = [shared, *(self._layer(f"{name}{n}") for n in range(LAYERS))]
            tars = [gzip.decompress(layer) for layer in layers]
            ids = ["sha256:" + hashlib.sha256(tar).hexdigest() for tar in tars]
            rootfs = {"type": "layers", "diff_ids": ids}
            config = {"architecture": "amd64", "os": "linux", "rootfs": rootfs}
            reference = self.ledger.add(name, json.dumps(config).encode(), layers)
            self.images.append(reference)
            self.layers[reference] = layers
        self.usual: dict[str, float] = {}
        self.kills = 0
        self.pull(self.images[0])
        self.pull(self.images[1])
        self.archive = engine.api("GET", f"/images/{self.images[1]}/get").body
        body = {"Image": self.images[0], "Cmd": ["x"]}
        answer = engine.api("POST", "/containers/create?name=killing", body)
        assert answer.status == 201, answer.body
        self._write("start")

    def _layer(self, name: str) -> bytes:
        """Files that do not compress, so that a download takes as long as it looks."""
        raw = io.BytesIO()
        with tarfile.open(fileobj=raw, mode="w") as tar:
            for number in range(FILES):
                info = tarfile.TarInfo(f"{name}/{number // 10}/{number}")
                info.size = self.size
                tar.addfile(info, io.BytesIO(self.random.randbytes(self.size)))
        return gzip.compress(raw.getvalue(), 1)

    def close(self) -> None:
        self.ledger.stop()

    # --- the work: each can be done again, whatever an earlier attempt left

    def pull(self, image: str) -> None:
        answer = self.engine.api("POST", f"/images/create?fromImage={image}")
        wrong = [line["error"] for line in answer.lines() if "error" in line]
        assert answer.status == 200 and not wrong, wrong or answer.body

    def commit(self) -> None:
        answer = self.engine.api("POST", "/commit?container=killing&repo=made&tag=one", {})
        assert answer.status == 201, answer.body

    def rmi(self) -> None:
        answer = self.engine.api("DELETE", f"/images/{self.images[1]}")
        assert answer.status in (200, 404), answer.body

    def prune(self) -> None:
        filters = '{"dangling":["false"]}'
        answer = self.engine.api("POST", f"/images/prune?filters={filters}")
        assert answer.status == 200, answer.body

    def load(self) -> None:
        answer = self.engine.api("POST", "/images/load", self.archive)
        assert answer.status == 200 and b"error" not in answer.body, answer.body

    def snapshot(self) -> None:
        answer = self.engine.api("POST", "/bay/containers/killing/snapshots", {})
        assert answer.status == 201, answer.body

    def _prepare(self, what: str) -> Callable[[], None]:
        """Bring about the state that the work starts from; what to kill."""
        second = self.images[1]
        if what in ("rmi", "prune"):
            self.pull(second)
        elif what in ("pull", "unpack", "load"):
            self.engine.api("DELETE", f"/images/{second}?force=1")
        # Without a pause a pull is as long as the unpacking takes.
        self.ledger.pause = 0 if what == "unpack" else PACE
        if what == "prune":
            self.commit()
        elif what in ("commit", "snapshot"):
            self._write(f"file{self.kills % KEPT}")
        if what == "snapshot":
            # Hundreds of kills are not to fill the disk.
            path = "/bay/containers/killing/snapshots"
            for one in self.engine.api("GET", path).json()[:-KEPT]:
                self.engine.api("DELETE", f"{path}/{one['Id']}")
        work: dict[str, Callable[[], None]] = {
            "pull": lambda: self.pull(second),
            "unpack": lambda: self.pull(second),
            "commit": self.commit,
            "rmi": self.rmi,
            "prune": self.prune,
            "load": self.load,
            "snapshot": self.snapshot,
        }
        return work[what]

    def _write(self, name: str) -> None:
        raw = io.BytesIO()
        with tarfile.open(fileobj=raw, mode="w") as tar:
            for number in range(100):
                info = tarfile.TarInfo(f"{name}/{number}")
                info.size = self.size
                tar.addfile(info, io.BytesIO(self.random.randbytes(self.size)))
        answer = self.engine.api("PUT", "/containers/killing/archive?path=/", raw.getvalue())
        assert answer.status == 200, answer.body

    # --- one kill

    def one(self, what: str) -> str:
        """Kill the engine somewhere in `what`, start another, look at all; what was seen."""
        work = self._prepare(what)
        if what not in self.usual:
            start = time.monotonic()
            work()
            self.usual[what] = time.monotonic() - start
            work = self._prepare(what)
        moment = self.random.random() * 1.1 * self.usual[what]
        pid = self.engine.pid
        finished = threading.Event()

        def attempt() -> None:
            try:
                work()
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
        self.check()
        before = len(self.ledger.served)
        self._again(what, work)
        self._assert_nothing_twice(before, complete, partial)
        return f"{what} at {moment:.3f} of {self.usual[what]:.3f} s" + (
            ", which had ended" if finished.is_set() else f": {len(partial)} downloads begun"
        )

    def _again(self, what: str, work: Callable[[], None]) -> None:
        """The same once more: it works, and gives what it always gives."""
        work()
        ids = {tag for row in self._images() for tag in row["RepoTags"] or ()}
        second = self.images[1]
        if what in ("pull", "unpack", "load"):
            assert second in ids
        elif what in ("rmi", "prune"):
            assert second not in ids, ids
        elif what == "commit":
            assert "made:one" in ids

    def _images(self) -> list[dict[str, object]]:
        return list(self.engine.api("GET", "/images/json?all=1").json())

    # --- a process that unpacks dies alone

    def workers(self) -> list[int]:
        """The processes that hold the fence of this engine's layers, but for the engine."""
        return [pid for pid in holders(self.engine.root / "layers") if pid != self.engine.pid]

    def worker_dies(self) -> str:
        """Kill a process that unpacks, somewhere in a pull: the pull fails in one sentence, nothing
        is left, and the next one goes on from what came; what was said."""
        work = self._prepare("unpack")
        self.ledger.pause = PACE
        moment = self.random.random() * 0.8 * self.usual.get("pull", 1)
        seen: list[str] = []

        def attempt() -> None:
            try:
                work()
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
        before = len(self.ledger.served)
        self._again("unpack", work)
        self._assert_nothing_twice(before, complete, partial)
        return f"worker at {moment:.3f} s: {seen[0] if seen else 'an idle one'}"

    # --- what must be so after each start

    def check(self) -> None:
        """`system check` is clean, and the disk holds what the rows say, nothing else."""
        told = self.engine.api("GET", "/bay/system/check").lines()
        assert told[-1]["Summary"]["Problems"] == 0, told
        try:
            wait_until(lambda: not self._unexpected(), "a clean disk", timeout=240)
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
        layers = {entry.name for entry in (root / "layers").iterdir()}
        wrong = [f"layer {name}" for name in rows ^ layers]
        wrong += [one for one in leaks.mounts(self.engine.options) if f" {root}/" in one]
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
        sizes = {"sha256:" + hashlib.sha256(one).hexdigest(): len(one)
                 for layers in self.layers.values() for one in layers}  # fmt: skip
        for entry in self.ledger.served[before:]:
            if entry.digest not in sizes:
                continue  # an image's configuration
            assert entry.digest not in complete, "A LAYER THAT WAS HERE WAS FETCHED AGAIN"
            kept = partial.get(entry.digest, 0)
            assert kept < sizes[entry.digest], "A WHOLE DOWNLOAD WAS FETCHED AGAIN"
            assert entry.start >= kept, "BYTES THAT WERE HERE WERE FETCHED AGAIN"


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
