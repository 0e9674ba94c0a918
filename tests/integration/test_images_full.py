"""A disk that is full at any point of image work: one sentence, and nothing half is kept."""

from __future__ import annotations

import contextlib
import gzip
import hashlib
import io
import json
import os
import subprocess
import tarfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from bayplan.core.options import Options
from support.engine import EngineProcess
from support.ledger import Ledger
from support.waiting import wait_until

MEGABYTE = 1 << 20
DISK = 48 * MEGABYTE


@pytest.fixture
def ledger() -> Iterator[Ledger]:
    running = Ledger()
    yield running
    running.stop()


@pytest.fixture
def engine(tmp_path: Path) -> Iterator[EngineProcess]:
    """An engine whose root is a small file system of its own."""
    process = EngineProcess()
    disk = process.folder / "disk"
    disk.mkdir()
    subprocess.run(
        ["mount", "-t", "tmpfs", "-o", f"size={DISK}", "tmpfs", disk], check=True
    )  # tmpfs says ENOSPC as any other, at once
    process.root = disk / "root"
    process.options = Options(process.root, process.run_root)
    try:
        process.start()
        yield process
    finally:
        try:
            # What fills the disk must not keep the purge from its work.
            (disk / "ballast").unlink(missing_ok=True)
            process.remove_containers()
            process.bay("engine", "purge", "--force", check=True)
        finally:
            subprocess.run(["umount", "-l", disk], check=True)
            process.purge()


def layer(name: str, files: int, size: int) -> bytes:
    raw = io.BytesIO()
    with tarfile.open(fileobj=raw, mode="w") as tar:
        for number in range(files):
            info = tarfile.TarInfo(f"{name}/{number}")
            info.size = size
            tar.addfile(info, io.BytesIO(os.urandom(size)))
    return raw.getvalue()


def config(*tars: bytes) -> bytes:
    ids = ["sha256:" + hashlib.sha256(tar).hexdigest() for tar in tars]
    rootfs = {"type": "layers", "diff_ids": ids}
    return json.dumps({"architecture": "amd64", "os": "linux", "rootfs": rootfs}).encode()


def free(engine: EngineProcess) -> int:
    found = os.statvfs(engine.root)
    return found.f_bavail * found.f_frsize


def fill(engine: EngineProcess, left: int) -> Path:
    """Leave so many bytes free, once what was removed is gone."""
    empty_trash(engine)
    ballast = engine.root.parent / "ballast"

    def filled() -> bool:
        with open(ballast, "wb") as file:
            try:
                os.posix_fallocate(file.fileno(), 0, max(1, free(engine) - left))
            except OSError:  # the engine has just written something itself
                return False
        return True

    wait_until(filled, "a full disk")
    return ballast


def empty_trash(engine: EngineProcess) -> None:
    wait_until(lambda: not any((engine.root / "trash").iterdir()), "an empty trash", timeout=240)


def consistent(engine: EngineProcess) -> None:
    told = engine.api("GET", "/bay/system/check").lines()
    assert told[-1]["Summary"]["Problems"] == 0, told
    empty_trash(engine)
    left = [p for p in (engine.root / "layers").iterdir() if p.name.startswith("tmp-")]
    assert not left


def failure(body: bytes) -> str:
    lines = [json.loads(line) for line in body.splitlines() if line.strip()]
    (wrong,) = [line["error"] for line in lines if "error" in line]
    return str(wrong)


def test_a_pull_on_a_full_disk_can_be_repeated(engine: EngineProcess, ledger: Ledger) -> None:
    """Wherever it runs full: the download, a large file, many small ones, the database."""
    tars = [layer("large", 1, 6 * MEGABYTE), layer("small", 300, 12_000)]
    reference = ledger.add("full", config(*tars), [gzip.compress(tar, 1) for tar in tars])
    before = free(engine)
    # By the fifth both are downloaded: from then on it is the unpacking that finds no room.
    for left in (0, 100_000, 2 * MEGABYTE, 7 * MEGABYTE, 3 * MEGABYTE, 5 * MEGABYTE):
        ballast = fill(engine, left)
        answer = engine.api("POST", f"/images/create?fromImage={reference}")
        wrong = failure(answer.body) if answer.status == 200 else answer.message
        assert "no space left" in wrong and "\n" not in wrong, wrong
        assert str(engine.root) in wrong and wrong.endswith("`bay system prune` for one"), wrong
        assert engine.api("GET", f"/images/{reference}/json").status == 404
        ballast.unlink()
        consistent(engine)
    answer = engine.api("POST", f"/images/create?fromImage={reference}")
    assert answer.status == 200 and b'"error"' not in answer.body, answer.body
    assert engine.api("DELETE", f"/images/{reference}").status == 200
    consistent(engine)
    assert before - free(engine) < MEGABYTE, "room was lost"


def test_a_disk_that_fails_in_the_middle_of_a_pull_is_a_sentence(
    engine: EngineProcess, ledger: Ledger
) -> None:
    """The answer's status has gone by then: the stream ends with what was wrong."""
    tar = layer("one", 1, 1000)
    reference = ledger.add("one", config(tar), [gzip.compress(tar, 1)])
    partial = engine.root / "blobs/partial"
    partial.rmdir()
    partial.touch()
    answer = engine.api("POST", f"/images/create?fromImage={reference}")
    wrong = failure(answer.body)
    assert wrong.startswith(f"{partial}/sha256-") and wrong.endswith(": Not a directory"), wrong
    partial.unlink()
    partial.mkdir()
    engine.pull(reference)


def test_a_load_and_a_commit_on_a_full_disk_leave_nothing(
    engine: EngineProcess, ledger: Ledger
) -> None:
    base = layer("base", 10, 1000)
    reference = ledger.add("base", config(base), [gzip.compress(base, 1)])
    engine.pull(reference)
    body = {"Image": reference, "Cmd": ["x"]}
    assert engine.api("POST", "/containers/create?name=full", body).status == 201
    written = layer("written", 5, MEGABYTE)
    answer = engine.api("PUT", "/containers/full/archive?path=/", written)
    assert answer.status == 200, answer.body
    assert engine.api("POST", "/commit?container=full&repo=made&tag=one", {}).status == 201
    saved = engine.api("GET", "/images/made:one/get").body
    assert engine.api("DELETE", "/images/made:one").status == 200

    ballast = fill(engine, 2 * MEGABYTE)
    answer = engine.api("POST", "/commit?container=full&repo=made&tag=one", {})
    assert answer.status >= 500 and "no space left" in answer.message, answer.body
    answer = engine.api("POST", "/images/load", saved)
    wrong = failure(answer.body) if answer.status == 200 else answer.message
    assert "no space left" in wrong, wrong
    more = layer("more", 5, MEGABYTE)
    answer = engine.api("PUT", "/containers/full/archive?path=/", more)
    assert answer.status >= 400 and "no space left" in answer.message.lower(), answer.body
    consistent(engine)
    ballast.unlink()

    assert engine.api("POST", "/commit?container=full&repo=made&tag=one", {}).status == 201
    assert engine.api("POST", "/images/load", saved).status == 200
    consistent(engine)


def test_containers_can_be_stopped_and_removed_on_a_full_disk(
    engine: EngineProcess, busybox_image: str
) -> None:
    """Who has to make room can: neither needs a byte, nor does the start of an engine."""
    engine.pull(busybox_image)
    for name in ("one", "two"):
        engine.bay("run", "-d", "--name", name, busybox_image, "sleep", "1000", check=True)
    engine.bay("create", "--name", "three", busybox_image, "true", check=True)
    fill(engine, 0)

    def is_full() -> bool:
        """Take what there is; the engine's own files come and go meanwhile."""
        with contextlib.suppress(OSError), open(engine.root.parent / "rest", "ab", 0) as file:
            while True:
                file.write(bytes(4096))
        return free(engine) == 0

    wait_until(is_full, "a disk without a free byte")
    engine.bay("stop", "-t", "0", "one", check=True)
    engine.kill9()
    engine.start()
    engine.bay("rm", "one", "three", check=True)
    engine.bay("rm", "-f", "two", check=True)
    assert engine.bay("ps", "-aq", check=True).stdout == ""
    (engine.root.parent / "rest").unlink()
