"""Writable layers: what a container writes is its own, and the image stays as it is."""

from __future__ import annotations

import errno
import io
import os
import subprocess
import tarfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from bayplan.host.errors import BayError, ConflictError, InvalidError, NotFoundError
from bayplan.storage import overlay
from bayplan.storage.changes import ADDED, DELETED, MODIFIED, Change
from bayplan.storage.store import Store
from storage_hostile import folder, member, symlink
from support.trees import tree_digest

END = bytes(1024)


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    store = Store.open(tmp_path / "a root, with: odd, name")
    yield store
    for snapshot in store.snapshots.all():
        store.snapshots.remove(snapshot)
    store.close()


def layer(store: Store, *members: bytes) -> str:
    return store.layers.apply(None, [b"".join(members) + END]).diff_id


def test_writing_copies_up_and_leaves_the_image_alone(store: Store) -> None:
    base = layer(store, folder("d", mode=0o755), member("d/f", data=b"image"), member("gone"))
    before = tree_digest(store.layers.path(base))
    for name in ("one", "two"):
        store.snapshots.create(name, [base])
    one, two = store.snapshots.mount("one"), store.snapshots.mount("two")
    with open(one / "d/f", "ab") as file:
        file.write(b" changed")
    (one / "gone").unlink()
    (one / "d").chmod(0o700)
    assert (one / "d/f").read_bytes() == b"image changed"
    assert (two / "d/f").read_bytes() == b"image"
    assert (two / "gone").exists()
    store.snapshots.remove("one")
    store.trash.drain()
    assert not (store.root / "snapshots/one").exists()
    assert (two / "d/f").read_bytes() == b"image"
    assert tree_digest(store.layers.path(base)) == before, "A CONTAINER CHANGED ITS IMAGE"


def test_mounting_and_unmounting_may_be_repeated(store: Store) -> None:
    store.snapshots.create("c", [layer(store, member("f"))])
    merged = store.snapshots.mount("c")
    (merged / "new").write_text("kept")
    assert store.snapshots.mount("c") == merged
    mounts = Path("/proc/self/mounts").read_text().count(str(merged).replace(" ", "\\040"))
    assert mounts == 1
    store.snapshots.unmount("c")
    store.snapshots.unmount("c")
    assert not overlay.is_mounted(merged)
    assert (store.snapshots.mount("c") / "new").read_text() == "kept"


def test_a_snapshot_in_use_can_be_removed(store: Store) -> None:
    store.snapshots.create("c", [layer(store, member("f"))])
    with open(store.snapshots.mount("c") / "f", "rb") as file:
        store.snapshots.remove("c")
        assert file.read() == b"evil"
    assert store.snapshots.all() == []
    store.snapshots.remove("c")


def test_wrong_requests_have_clear_answers(store: Store) -> None:
    with pytest.raises(NotFoundError, match="No such layer"):
        store.snapshots.create("c", ["sha256:" + "0" * 64])
    assert store.snapshots.all() == []
    for bad in ("", "../c", "a/b", ".hidden", "c" * 200):
        with pytest.raises(InvalidError, match="invalid snapshot id"):
            store.snapshots.create(bad, [])
    with pytest.raises(NotFoundError, match="No such snapshot: c"):
        store.snapshots.mount("c")
    store.snapshots.create("c", [])
    with pytest.raises(ConflictError):
        store.snapshots.create("c", [])


def test_an_image_without_layers_has_an_empty_root(store: Store) -> None:
    store.snapshots.create("scratch", [])
    merged = store.snapshots.mount("scratch")
    assert (merged / "etc/hosts").read_bytes() == b""
    assert store.snapshots.changes("scratch") == []
    assert store.snapshots.size("scratch") == 0


@pytest.mark.parametrize("way", ["descriptors", "options"])
def test_many_layers_can_be_mounted(
    store: Store, way: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    if way == "options":
        # What a kernel without FSCONFIG_SET_FD for overlayfs answers.
        def too_old(*_: object) -> None:
            raise overlay._TooOldError

        monkeypatch.setattr(overlay, "_mount_by_fds", too_old)
    count = 130
    diff_ids = [layer(store, member("f", data=b"%d" % n), member(f"g{n}")) for n in range(count)]
    store.snapshots.create("c", diff_ids)
    merged = store.snapshots.mount("c")
    assert (merged / "f").read_bytes() == b"%d" % (count - 1)
    assert sum(name.startswith("g") for name in os.listdir(merged)) == count


@pytest.mark.parametrize("code", [errno.EOPNOTSUPP, errno.EINVAL])
def test_kernels_whose_overlayfs_takes_no_descriptors_mount_too(
    store: Store, monkeypatch: pytest.MonkeyPatch, code: int
) -> None:
    """EOPNOTSUPP is what Linux 6.1 (Debian 12) answers, EINVAL what 6.5 to 6.12 do."""
    plain = overlay._config

    def config(context: int, command: int, key: bytes | None, *more: object) -> None:
        if command == overlay._SET_FD:
            raise OSError(code, os.strerror(code))
        plain(context, command, key, *more)  # type: ignore[arg-type]  # passed through as they are

    monkeypatch.setattr(overlay, "_config", config)
    base = layer(store, member("f", data=b"image"))
    store.snapshots.create("old", [base])
    assert (store.snapshots.mount("old") / "f").read_bytes() == b"image"


def test_a_mount_that_fails_says_why_and_leaves_nothing(store: Store) -> None:
    store.snapshots.create("c", [layer(store, member("f"))])
    work = store.root / "snapshots/c/work"
    work.rmdir()
    with pytest.raises(BayError, match="cannot mount the layers"):
        store.snapshots.mount("c")
    assert not overlay.is_mounted(store.snapshots.path("c"))


def test_files_of_the_engine_are_in_no_image_and_no_diff(store: Store) -> None:
    own = layer(store, folder("etc"), member("etc/hosts", data=b"own"), symlink("dev", "/nowhere"))
    store.snapshots.create("c", [own])
    merged = store.snapshots.mount("c")
    assert (merged / "etc/hosts").read_bytes() == b"own"
    assert os.readlink(merged / "dev") == "/nowhere"
    assert os.readlink(merged / "etc/mtab") == "/proc/mounts"
    assert (merged / ".dockerenv").exists() and (merged / "proc").is_dir()
    assert store.snapshots.changes("c") == []
    with tarfile.open(fileobj=io.BytesIO(b"".join(store.snapshots.diff_tar("c")))) as archive:
        assert archive.getnames() == []


def test_the_image_s_own_folders_keep_their_looks_under_the_engine_s_files(store: Store) -> None:
    """Mode and owner of /etc and /dev are the image's, for each image its own; / is unchanged."""
    images = {}
    for name, mode, uid in (("a", 0o775, 7), ("b", 0o2700, 0), ("c", 0o755, 0)):
        images[name] = layer(
            store, folder("etc", mode=mode, uid=uid, gid=8), folder("dev", mode=0o711)
        )
        store.snapshots.create(name, [images[name]])
        merged = store.snapshots.mount(name)
        found = (merged / "etc").stat()
        assert (found.st_mode & 0o7777, found.st_uid, found.st_gid) == (mode, uid, 8)
        assert (merged / "dev").stat().st_mode & 0o7777 == 0o711
        assert (merged / "etc/hosts").exists() and not store.snapshots.changes(name)


def test_a_layer_may_be_there_twice(store: Store) -> None:
    """As of two equal COPYs, or of old images' empty layers; it hides what it hid before."""
    one = layer(store, member("f", data=b"one"), member(".wh.gone"))
    two = layer(store, member("f", data=b"two"), member("g", data=b"two"))
    store.snapshots.create("c", [layer(store, member("gone")), one, two, one, one])
    merged = store.snapshots.mount("c")
    assert (merged / "f").read_bytes() == b"one" and (merged / "g").read_bytes() == b"two"
    assert not (merged / "gone").exists()


def test_changes_see_through_layers(store: Store) -> None:
    low = layer(store, folder("a"), member("a/x"), member("a/y"), folder("b"), member("b/z"))
    top = layer(store, member("a/.wh.x"), member(".wh.b"), member("n"))
    store.snapshots.create("c", [low, top])
    merged = store.snapshots.mount("c")
    (merged / "a/x").write_text("new")
    (merged / "b").mkdir()
    (merged / "a/y").unlink()
    (merged / "a/y").mkdir()
    subprocess.run(["rm", "-r", merged / "n"], check=True)
    (merged / "n").symlink_to("a")
    (merged / "tmp").mkdir()
    (merged / "tmp").rmdir()
    assert store.snapshots.changes("c") == [
        Change(MODIFIED, "/a"),
        Change(ADDED, "/a/x"),
        Change(MODIFIED, "/a/y"),
        Change(ADDED, "/b"),
        Change(MODIFIED, "/n"),
    ]


def test_a_replaced_folder_tells_what_it_lost(store: Store) -> None:
    low = layer(
        store, folder("d"), member("d/a"), member("d/b"), folder("d/sub"), member("d/sub/x")
    )
    store.snapshots.create("c", [low])
    merged = store.snapshots.mount("c")
    subprocess.run(["rm", "-r", merged / "d"], check=True)
    (merged / "d").mkdir(mode=0o777)
    (merged / "d/b").write_text("new")
    (merged / "d/c").write_text("new")
    (merged / "d").chmod(0o4777)
    assert store.snapshots.changes("c") == [
        Change(MODIFIED, "/d"),
        Change(DELETED, "/d/a"),
        Change(MODIFIED, "/d/b"),
        Change(ADDED, "/d/c"),
        Change(DELETED, "/d/sub"),
    ]


def test_the_size_counts_files_once(store: Store) -> None:
    store.snapshots.create("c", [layer(store, member("f"))])
    merged = store.snapshots.mount("c")
    (merged / "a").write_bytes(b"x" * 1000)
    os.link(merged / "a", merged / "b")
    (merged / "d").mkdir()
    (merged / "d/s").symlink_to("12345")
    assert store.snapshots.size("c") == 1005


def test_the_tar_of_a_writable_layer_makes_the_same_tree(store: Store) -> None:
    low = layer(store, folder("d"), member("d/a"), member("d/b"), folder("e"), member("e/f"))
    store.snapshots.create("c", [low])
    merged = store.snapshots.mount("c")
    (merged / "d/a").unlink()
    subprocess.run(["rm", "-r", merged / "e"], check=True)
    (merged / "e").mkdir()
    (merged / "e/new").write_bytes(os.urandom(200_000))
    os.link(merged / "e/new", merged / "e/other")
    os.setxattr(merged / "e/new", "user.note", b"kept")
    os.mkfifo(merged / "fifo")
    (merged / "n").symlink_to("x")
    os.utime(merged / "e/new", ns=(1, 123_456_789_123_456_789))
    made = store.layers.apply(None, store.snapshots.diff_tar("c"))
    again = store.layers.apply(None, store.snapshots.diff_tar("c"))
    assert made == again, "one tree gave two tars"
    store.snapshots.create("again", [low, made.diff_id])
    assert tree_digest(store.snapshots.mount("again")) == tree_digest(merged)


def test_a_tree_too_deep_for_paths_is_told_and_removed(store: Store) -> None:
    store.snapshots.create("c", [layer(store, member("f"))])
    fd = os.open(store.snapshots.mount("c"), os.O_RDONLY)
    for _ in range(2500):
        os.mkdir("d", dir_fd=fd)
        inner = os.open("d", os.O_RDONLY, dir_fd=fd)
        os.close(fd)
        fd = inner
    os.close(fd)
    assert store.snapshots.size("c") == 0
    with pytest.raises(BayError, match="too deep"):
        store.snapshots.changes("c")
    with pytest.raises(BayError, match="folders deep"):
        list(store.snapshots.diff_tar("c"))
    store.snapshots.remove("c")
    store.trash.drain()
    assert os.listdir(store.root / "trash") == []


def test_a_mount_in_a_removed_tree_keeps_its_content(store: Store, tmp_path: Path) -> None:
    outside = tmp_path / "outside"
    outside.mkdir()
    (outside / "f").write_text("kept")
    store.snapshots.create("c", [])
    inner = store.snapshots.upper("c") / "mnt"
    inner.mkdir()
    subprocess.run(["mount", "--bind", outside, inner], check=True)
    store.snapshots.remove("c")
    store.trash.drain()
    assert (outside / "f").read_text() == "kept", "REMOVAL WENT THROUGH A MOUNT"
    (left,) = (store.root / "trash").iterdir()
    overlay.unmount(left / "diff/mnt")


def test_a_tree_that_is_written_to_while_it_is_removed_goes(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As by the copy that an engine had begun which was killed: it may live on for a moment."""
    store.snapshots.create("c", [])
    (store.snapshots.upper("c") / "d").mkdir()
    rmdir, late = os.rmdir, ["late", "later"]

    def beaten(name: str, *, dir_fd: int | None = None) -> None:
        if name == "d" and late:
            inner = os.open(name, os.O_RDONLY, dir_fd=dir_fd)
            os.close(os.open(late.pop(), os.O_CREAT | os.O_WRONLY, dir_fd=inner))
            os.close(inner)
        rmdir(name, dir_fd=dir_fd)

    monkeypatch.setattr(os, "rmdir", beaten)
    store.snapshots.remove("c")
    store.trash.drain()
    assert os.listdir(store.root / "trash") == [] == late
