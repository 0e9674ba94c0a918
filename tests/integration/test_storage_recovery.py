"""A store whose engine was killed, or whose host lost power, opens clean."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from bayplan.storage import gc, overlay
from bayplan.storage.starter import build_starter
from bayplan.storage.store import Store
from storage_hostile import folder, member
from support.waiting import wait_until

END = bytes(1024)
LOST = ("snapshots/row-only", "snapshots/both/work", "volumes/row-only")
LEFTOVERS = (
    f"layers/{'e' * 64}/fs",
    "trash/old",
    "snapshots/folder-only/diff",
    "init/tmp-x",
    "volumes/found/_data",
)
# Unpacks a layer, makes and mounts a snapshot, and stays in the middle of another layer.
VICTIM = """
import sys
from pathlib import Path
from bayplan.storage.store import Store
store = Store.open(Path(sys.argv[1]))
layer = store.layers.apply(None, [sys.stdin.buffer.read(int(sys.argv[2]))])
store.snapshots.create("alive", [layer.diff_id])
(store.snapshots.mount("alive") / "written").write_text("kept")
store.blobs.partial("sha256:" + "0" * 64).write_bytes(b"half")
def endless():
    yield sys.stdin.buffer.read(int(sys.argv[3]))
    print("middle", flush=True)
    yield sys.stdin.buffer.read()
store.layers.apply(None, endless())
"""


@pytest.fixture
def root(tmp_path: Path) -> Iterator[Path]:
    root = tmp_path / "root"
    yield root
    if (root / "bay.db").exists():
        store = Store.open(root)
        for snapshot in store.snapshots.all():
            store.snapshots.remove(snapshot)
        store.close()


def test_kill_9_in_the_middle_of_a_pull(root: Path) -> None:
    whole = member("good") + END
    half = member("half", data=b"x" * 900_000)
    argv = [sys.executable, "-c", VICTIM, str(root), str(len(whole)), str(len(half))]
    with subprocess.Popen(argv, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as victim:
        assert victim.stdin is not None and victim.stdout is not None
        victim.stdin.write(whole + half)
        victim.stdin.flush()
        assert victim.stdout.readline() == b"middle\n"
        victim.send_signal(signal.SIGKILL)
    assert any(entry.name.startswith("tmp-") for entry in (root / "layers").iterdir())
    store = Store.open(root)
    (diff_id,) = store.layers.all()
    assert b"".join(store.layers.tar(diff_id)) == whole
    names = [entry.name for entry in (root / "layers").iterdir()]
    assert names == [diff_id.removeprefix("sha256:")]
    # The container goes on: its file system is mounted still, and what it wrote is there.
    merged = root / "snapshots/alive/merged"
    assert overlay.is_mounted(merged)
    assert store.snapshots.mount("alive") == merged
    assert (merged / "written").read_text() == "kept"
    # The download can be resumed.
    assert store.blobs.partial("sha256:" + "0" * 64).read_bytes() == b"half"
    store.trash.drain()
    assert list((root / "trash").iterdir()) == []
    store.close()


def test_every_kind_of_leftover_is_cleared(root: Path) -> None:
    store = Store.open(root)
    kept = store.layers.apply(None, [member("kept") + END]).diff_id
    gone = store.layers.apply(None, [member("gone") + END]).diff_id
    store.snapshots.create("row-only", [kept])
    store.snapshots.create("both", [kept])
    (store.snapshots.upper("both") / "file").write_text("kept")
    store.volumes.create("row-only")
    store.close()
    # As after a crash between a row and its thing, in both orders.
    for gone_now in (store.layers.folder(gone), *(root / name for name in LOST)):
        shutil.rmtree(gone_now)
    for name in LEFTOVERS:
        (root / name).mkdir(parents=True)
    old = root / "blobs/partial" / ("sha256-" + "1" * 64)
    old.write_text("old")
    os.utime(old, (0, time.time() - gc.KEEP_SECONDS - 60))
    packed = root / "blobs/partial" / f"sha256-{'2' * 64}.push-01234567"
    packed.write_text("to be sent")
    store = Store.open(root)
    store.trash.drain()
    assert store.layers.all() == [kept]
    assert [entry.name for entry in (root / "layers").iterdir()] == [kept[7:]]
    assert store.snapshots.all() == ["row-only", "both"]
    assert sorted(entry.name for entry in (root / "snapshots").iterdir()) == ["both", "row-only"]
    assert (store.snapshots.mount("row-only") / "kept").exists()
    assert (store.snapshots.mount("both") / "file").read_text() == "kept"
    # A volume is never removed by a crash, nor by the start after it.
    assert [(v.name, v.path.is_dir()) for v in store.volumes.all()] == [
        ("found", True),
        ("row-only", True),
    ]
    assert not old.exists() and not packed.exists()
    assert list((root / "trash").iterdir()) == list((root / "init").glob("tmp-*")) == []
    store.close()


def test_a_volume_on_its_way_out_is_gone_after_a_crash(
    root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Neither its files nor its name come back, without labels and as if they were to be kept."""

    class CrashError(Exception):
        pass

    def crash(path: Path) -> None:
        raise CrashError

    for moment in ("before", "after"):
        store = Store.open(root)
        (store.volumes.create("data", {"a": "b"}).path / "file").write_text("x")
        put = store.trash.put
        if moment == "before":
            monkeypatch.setattr(store.trash, "put", crash)
        else:
            monkeypatch.setattr(store.trash, "put", lambda path: (put(path), crash(path)))  # noqa: B023 - called in this turn
        with pytest.raises(CrashError):
            store.volumes.remove("data")
        store.close()
        store = Store.open(root)
        assert store.volumes.all() == [] and list((root / "volumes").iterdir()) == []
        store.close()


def test_a_layer_the_disk_lost_takes_its_images_with_it(root: Path) -> None:
    store = Store.open(root)
    image = build_starter(store)
    assert image is not None
    (diff_id,) = image.diff_ids
    wait_until_settled(store)
    # As if the host had gone down before the sync: another boot's layer, half of it not there.
    store.db.execute("UPDATE layers SET boot='another'")
    (store.layers.path(diff_id) / "etc/passwd").write_bytes(b"")
    store.close()
    store = Store.open(root)
    assert (store.layers.all(), store.images.all()) == ([], [])
    assert build_starter(store) == store.images.resolve("starter")
    store.close()


def test_a_layer_of_another_boot_that_is_whole_is_kept(root: Path) -> None:
    store = Store.open(root)
    layer = store.layers.apply(None, [folder("d") + member("d/f") + END])
    wait_until_settled(store)
    store.db.execute("UPDATE layers SET boot='another'")
    store.close()
    store = Store.open(root)
    assert store.layers.all() == [layer.diff_id]
    wait_until_settled(store)
    store.close()


def wait_until_settled(store: Store) -> None:
    unsettled = "SELECT 1 FROM layers WHERE boot != ''"
    wait_until(lambda: not store.db.execute(unsettled), "all layers are synced")
