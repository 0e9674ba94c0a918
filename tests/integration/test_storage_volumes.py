"""Volumes: made once, mounted by their options, removed with their content."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from bayplan.host.errors import BayError, ConflictError, InvalidError, NotFoundError
from bayplan.storage import overlay
from bayplan.storage.store import Store


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    store = Store.open(tmp_path / "root")
    yield store
    for volume in store.volumes.all():
        overlay.unmount(volume.path)
    store.close()


def test_a_volume_is_made_once(store: Store) -> None:
    volume = store.volumes.create("data", {"a": "b"})
    assert volume.path == store.root / "volumes/data/_data"
    assert (volume.anonymous, volume.labels, volume.options) == (False, {"a": "b"}, {})
    (volume.path / "f").write_text("kept")
    assert store.volumes.create("data", {"other": "x"}) == volume
    assert (volume.path / "f").read_text() == "kept"
    assert store.volumes.all() == [volume]


def test_one_without_a_name_is_anonymous(store: Store) -> None:
    volume = store.volumes.create()
    assert volume.anonymous and len(volume.name) == 64


@pytest.mark.parametrize("name", ["a", "../x", "a/b", "-a", ".a", "a b", "éé", "x" * 300, "/abs"])
def test_bad_names_are_refused(name: str, store: Store) -> None:
    with pytest.raises(InvalidError, match="invalid characters for a local volume name"):
        store.volumes.create(name)


def test_removal_takes_the_content(store: Store) -> None:
    volume = store.volumes.create("data")
    (volume.path / "f").write_text("gone")
    store.volumes.remove("data")
    assert not volume.path.exists()
    with pytest.raises(NotFoundError, match="get data: no such volume"):
        store.volumes.get("data")
    store.trash.drain()
    assert os.listdir(store.root / "trash") == []


def test_options_are_mounted_when_used(store: Store, tmp_path: Path) -> None:
    options = {"type": "tmpfs", "device": "tmpfs", "o": "size=1m,uid=1000,nosuid,rw"}
    volume = store.volumes.create("ram", driver_opts=options)
    assert not overlay.is_mounted(volume.path)
    assert store.volumes.mount("ram") == store.volumes.mount("ram") == volume.path
    assert os.stat(volume.path).st_uid == 1000
    assert os.statvfs(volume.path).f_blocks * os.statvfs(volume.path).f_frsize == 1 << 20
    mounts = Path("/proc/self/mounts").read_text()
    assert mounts.count(f" {volume.path} ") == 1
    with pytest.raises(ConflictError, match="other options"):
        store.volumes.create("ram", driver_opts={**options, "o": "size=2m"})
    store.volumes.remove("ram")
    assert not overlay.is_mounted(volume.path)


def test_a_bind_is_of_the_folder_itself(store: Store, tmp_path: Path) -> None:
    folder = tmp_path / "outside"
    folder.mkdir()
    (folder / "f").write_text("1")
    options = {"type": "none", "device": str(folder), "o": "bind,ro"}
    store.volumes.create("bound", driver_opts=options)
    path = store.volumes.mount("bound")
    assert store.volumes.mount("bound") == path
    assert Path("/proc/self/mounts").read_text().count(f" {path} ") == 1
    assert (path / "f").read_text() == "1"
    with pytest.raises(OSError, match="Read-only"):
        (path / "g").touch()
    store.volumes.remove("bound")
    store.trash.drain()
    assert (folder / "f").read_text() == "1", "REMOVING A VOLUME DELETED WHAT IT WAS BOUND TO"


def test_a_mount_made_by_others_is_not_deleted_through(store: Store, tmp_path: Path) -> None:
    folder = tmp_path / "outside"
    folder.mkdir()
    (folder / "f").write_text("1")
    volume = store.volumes.create("data")
    subprocess.run(["mount", "--bind", folder, volume.path], check=True)
    with pytest.raises(ConflictError, match="something is mounted on it"):
        store.volumes.remove("data")
    overlay.unmount(volume.path)
    assert (folder / "f").read_text() == "1"
    store.volumes.remove("data")


@pytest.mark.parametrize(
    "options",
    [{"type": "tmpfs"}, {"device": "/x"}, {"o": "ro"}, {"nonsense": "x"}, {"type": "none"}],
)
def test_bad_options_are_refused(options: dict[str, str], store: Store) -> None:
    with pytest.raises(InvalidError):
        store.volumes.create("data", driver_opts=options)
    assert store.volumes.all() == []


def test_a_mount_that_fails_says_what_and_why(store: Store) -> None:
    options = {"type": "ext4", "device": "/nowhere"}
    store.volumes.create("data", driver_opts=options)
    with pytest.raises(BayError, match=r"failed to mount local volume: mount /nowhere:.*No such"):
        store.volumes.mount("data")


def test_a_volume_that_cannot_be_removed_stays_whole(tmp_path: Path) -> None:
    """Neither the failure nor the next engine takes anything of it."""
    store = Store.open(tmp_path / "root")
    folder = store.volumes.create("data").path.parent
    (folder / "_data/kept").write_text("here")
    subprocess.run(("mount", "--bind", folder, folder), check=True)
    try:
        with pytest.raises(OSError, match="busy"):
            store.volumes.remove("data")
    finally:
        subprocess.run(("umount", folder), check=True)
    store.close()
    reopened = Store.open(tmp_path / "root")
    assert (reopened.volumes.get("data").path / "kept").read_text() == "here"
    reopened.close()
