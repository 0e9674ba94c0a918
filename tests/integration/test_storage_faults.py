"""A file system that runs out, and roots that hold what nobody expects."""

from __future__ import annotations

import gzip
import io
import os
import stat
import subprocess
import tarfile
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from bayplan.api.shortage import told
from bayplan.core import copyup
from bayplan.host.errors import BayError, NoSpaceError
from bayplan.host.inroot import make_folders_inside, read_inside
from bayplan.storage import oldlinks
from bayplan.storage.store import Store
from bayplan.storage.volumes import VolumeStore


@pytest.fixture
def small(tmp_path: Path) -> Iterator[Path]:
    """A file system of two megabytes and 100 files."""
    disk = tmp_path / "small"
    disk.mkdir()
    options = "size=2m,nr_inodes=100"
    subprocess.run(["mount", "-t", "tmpfs", "-o", options, "tmpfs", disk], check=True)
    yield disk
    subprocess.run(["umount", "-l", disk], check=True)


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    store = Store.open(tmp_path / "root")
    yield store
    store.close()


def test_a_link_across_layers_is_whole_or_refused(small: Path, tmp_path: Path) -> None:
    """What the disk had room for of the file is not taken for the file."""
    lower, layer = tmp_path / "lower", small / "layer"
    lower.mkdir()
    (lower / "target").write_bytes(os.urandom(900_000))
    (layer / "fs").mkdir(parents=True)
    oldlinks.keep(layer, [(b"link", b"target")])
    (small / "ballast").write_bytes(bytes(1_600_000))
    with pytest.raises(NoSpaceError):
        oldlinks.settle(layer, [lower])
    assert not (layer / "fs/link").exists() and not (layer / "fs/target").exists()
    (small / "ballast").unlink()
    oldlinks.settle(layer, [lower])
    assert (layer / "fs/link").read_bytes() == (lower / "target").read_bytes()


def test_a_volume_without_room_for_its_folder_is_no_volume(store: Store, small: Path) -> None:
    """The name is free again: who asks for it later gets a folder, not a row alone."""
    volumes = VolumeStore(small / "volumes", store.db, store.trash)
    for number in range(100):
        try:
            (small / str(number)).touch()
        except OSError:
            break
    with pytest.raises(NoSpaceError):
        volumes.create("data")
    assert volumes.all() == []
    for number in range(50):
        (small / str(number)).unlink()
    assert volumes.create("data").path.is_dir()


def test_a_full_disk_is_named_with_what_it_lacks(small: Path) -> None:
    """A disk may have room for bytes and none for files."""
    full = NoSpaceError("cannot unpack: no space left")
    assert told(full, small) == (
        f"cannot unpack: no space left: make room on the disk of {small} (it lacks inodes: many"
        " small files), with `bay system prune` for one"
    )
    assert told(BayError("else"), small) == "else"


def test_a_volume_on_a_disk_of_its_own_can_be_removed(store: Store, small: Path) -> None:
    """No rename leads to another file system; what a crash leaves goes at the next open."""
    volumes = VolumeStore(small / "volumes", store.db, store.trash)
    (volumes.create("data").path / "file").write_text("x")
    volumes.remove("data")
    store.trash.drain()
    assert volumes.all() == [] and list((small / "volumes").iterdir()) == []
    (small / "volumes/.gone-1/_data").mkdir(parents=True)
    volumes.sweep()
    store.trash.drain()
    assert volumes.all() == [] and list((small / "volumes").iterdir()) == []


def test_a_device_for_a_passwd_file_is_not_opened(tmp_path: Path) -> None:
    """Opening some devices is an act. This one, which no driver has, would fail with ENXIO."""
    os.mknod(tmp_path / "passwd", 0o600 | stat.S_IFCHR, os.makedev(4000, 1))
    assert read_inside(tmp_path, "passwd", 100) is None


def test_folders_get_the_mode_asked_for(tmp_path: Path) -> None:
    before = os.umask(0o077)
    try:
        make_folders_inside(tmp_path, "a/b")
    finally:
        os.umask(before)
    assert [(tmp_path / name).stat().st_mode & 0o777 for name in ("a", "a/b")] == [0o755] * 2


def test_a_volume_that_was_half_filled_is_filled_to_the_end(store: Store, tmp_path: Path) -> None:
    """With owners, modes, links and attributes as the image has them; a full one stays as it is."""
    image = tmp_path / "image/data"
    (image / "sub").mkdir(parents=True, mode=0o750)
    (image / "sub/file").write_text("whole")
    os.chown(image / "sub/file", 7, 8)
    os.chmod(image / "sub/file", 0o4755)
    os.setxattr(image / "sub/file", "user.kind", b"x")
    os.link(image / "sub/file", image / "hard")
    (image / "soft").symlink_to("/etc/passwd")
    os.chmod(image, 0o1777)
    folder = store.volumes.create("data").path
    (folder / "sub").mkdir()
    (folder / "sub/file").write_text("ha")
    (folder.parent / "filling").touch()
    assert copyup.is_due(folder)
    copyup.copy_up(tmp_path / "image", "/data", folder)
    assert not copyup.is_due(folder) and sorted(os.listdir(folder.parent)) == ["_data"]
    assert sorted(os.listdir(folder)) == ["hard", "soft", "sub"]
    made = (folder / "sub/file").stat()
    assert (made.st_uid, made.st_gid, made.st_mode & 0o7777, made.st_nlink) == (7, 8, 0o4755, 2)
    assert (folder / "sub/file").read_text() == "whole"
    assert os.getxattr(folder / "sub/file", "user.kind") == b"x"
    assert os.readlink(folder / "soft") == "/etc/passwd"
    assert folder.stat().st_mode & 0o7777 == 0o1777


def test_a_layer_that_had_no_room_takes_no_other_away(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of two that bring the same layer, unasked for by digest, one finds the disk full at the very
    end and the other has just succeeded: that one's files stay."""
    data = io.BytesIO()
    with tarfile.open(fileobj=data, mode="w") as tar:
        tar.addfile(tarfile.TarInfo("file"))
    packed = gzip.compress(data.getvalue())
    add, has = store.layers.add_blob, store.layers.has
    failed = threading.Event()

    def full(*args: object) -> None:
        monkeypatch.setattr(store.layers, "add_blob", add)
        failed.set()
        raise NoSpaceError("no space left on disk")

    def overtaken(diff_id: str) -> bool:
        found = has(diff_id)
        if failed.is_set() and threading.current_thread() is threading.main_thread():
            failed.clear()
            other = threading.Thread(target=store.layers.apply, args=(None, [packed]))
            other.start()
            other.join()
        return found

    monkeypatch.setattr(store.layers, "add_blob", full)
    monkeypatch.setattr(store.layers, "has", overtaken)
    with pytest.raises(NoSpaceError):
        store.layers.apply(None, [packed])
    failed.clear()
    made = store.layers.apply(None, [packed])
    assert store.layers.path(made.diff_id).is_dir() and not store.layers.strays()
