"""The store as the engine uses it: image, snapshot, changes, removal, and the next open."""

from __future__ import annotations

import hashlib
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from bayplan.host.errors import ConflictError, InvalidError, NotFoundError
from bayplan.storage.changes import ADDED, DELETED, MODIFIED, Change
from bayplan.storage.images import Image
from bayplan.storage.starter import build_starter
from bayplan.storage.store import Store


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    store = Store.open(tmp_path / "root")
    yield store
    for snapshot in store.snapshots.all():
        store.snapshots.remove(snapshot)
    store.trash.drain()
    store.close()


@pytest.fixture
def image(store: Store) -> Image:
    image = build_starter(store)
    assert image is not None
    return image


def chroot(root: Path, script: str) -> str:
    done = subprocess.run(
        ["chroot", root, "/bin/sh", "-ec", script], capture_output=True, text=True, check=True
    )
    return done.stdout


def test_the_starter_image_runs_a_shell(store: Store, image: Image) -> None:
    assert store.images.names(image.id) == ["starter:latest"]
    assert build_starter(store) == image
    store.snapshots.create("c", image.diff_ids)
    merged = store.snapshots.mount("c")
    assert store.snapshots.mount("c") == merged
    assert chroot(merged, "id -un; /usr/bin/env true; stat -c %a /tmp") == "root\n1777\n"


def test_a_layer_gives_its_tar_back_bit_by_bit(store: Store, image: Image) -> None:
    (diff_id,) = image.diff_ids
    tar = b"".join(store.layers.tar(diff_id))
    assert "sha256:" + hashlib.sha256(tar).hexdigest() == diff_id


def test_changes_are_those_docker_would_list(store: Store, image: Image) -> None:
    store.snapshots.create("c", image.diff_ids)
    merged = store.snapshots.mount("c")
    chroot(
        merged,
        "echo hi > /etc/new; rm /etc/shells; mkdir /root/d; chmod 700 /home;"
        "rm -r /var/log; mkdir -m 755 /var/log; : >> /etc/group; echo x >> /etc/passwd",
    )
    assert store.snapshots.changes("c") == [
        Change(MODIFIED, "/etc"),
        Change(ADDED, "/etc/new"),
        Change(MODIFIED, "/etc/passwd"),
        Change(DELETED, "/etc/shells"),
        Change(MODIFIED, "/home"),
        Change(MODIFIED, "/root"),
        Change(ADDED, "/root/d"),
    ]


def test_a_committed_layer_shows_the_same_tree(store: Store, image: Image) -> None:
    store.snapshots.create("c", image.diff_ids)
    merged = store.snapshots.mount("c")
    chroot(
        merged, "echo hi > /etc/new; rm /etc/shells; rm -r /var; mkdir -p /var/a; ln /etc/new /n"
    )
    layer = store.layers.apply(None, store.snapshots.diff_tar("c"))
    store.snapshots.create("d", [*image.diff_ids, layer.diff_id])
    again = store.snapshots.mount("d")
    listing = "find / -xdev | sort; cat /n"
    assert chroot(again, listing) == chroot(merged, listing)
    assert store.snapshots.changes("d") == []


def test_removal_frees_only_what_nobody_uses(store: Store, image: Image) -> None:
    (diff_id,) = image.diff_ids
    store.snapshots.create("c", image.diff_ids)
    assert store.images.remove(image.id).layers == ()
    assert store.layers.has(diff_id)
    with pytest.raises(ConflictError):
        store.layers.remove(diff_id)
    store.snapshots.remove("c")
    assert store.collect(keep_seconds=0).layers == (diff_id,)
    assert not store.layers.path(diff_id).exists()
    with pytest.raises(NotFoundError, match="No such image: starter:latest"):
        store.images.resolve("starter")


def test_images_are_found_by_name_and_by_id(store: Store, image: Image) -> None:
    store.images.tag("ghcr.io/a/b", image.id)
    digest = "sha256:" + "1" * 64
    store.images.add_digest("ghcr.io/a/b", digest, image.id)
    names = ["starter", "starter:latest", "docker.io/library/starter", "ghcr.io/a/b:latest"]
    ids = [f"ghcr.io/a/b@{digest}", image.id, image.id[7:], image.id[7:19], image.id[:12]]
    for text in names + ids:
        assert store.images.resolve(text) == image
    assert store.images.names(image.id) == ["ghcr.io/a/b:latest", "starter:latest"]
    assert store.images.digests(image.id) == [f"ghcr.io/a/b@{digest}"]
    with pytest.raises(NotFoundError, match="No such image: nope:latest"):
        store.images.resolve("nope")
    store.images.untag("ghcr.io/a/b")
    store.images.untag(f"ghcr.io/a/b@{digest}")
    assert store.images.names(image.id) == ["starter:latest"]


def test_one_root_has_one_store(store: Store) -> None:
    with pytest.raises(ConflictError, match="in use by another engine"):
        Store.open(store.root)


def test_bad_layers_leave_nothing(store: Store) -> None:
    with pytest.raises(InvalidError):
        store.layers.apply(None, [b"this is no tar" * 100])
    with pytest.raises(InvalidError, match="wrong diff id"):
        store.layers.apply("sha256:" + "0" * 64, [bytes(1024)])
    with pytest.raises(InvalidError, match="layer verification failed"):
        store.layers.apply(None, [bytes(1024)], blob_digest="sha256:" + "0" * 64)
    assert store.layers.all() == []
    assert list((store.root / "layers").iterdir()) == []
