"""Names, ids and digests of images, leases, and what their removal frees."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace

import pytest
from bayplan.host.errors import ConflictError, InvalidError, NotFoundError
from bayplan.storage import digests, layers
from bayplan.storage.images import Image
from bayplan.storage.store import Store
from storage_hostile import member

END = bytes(1024)


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    store = Store.open(tmp_path / "root")
    yield store
    store.close()


def layer(store: Store, name: str) -> str:
    return store.layers.apply(None, [member(name) + END]).diff_id


def put(store: Store, *diff_ids: str, salt: str = "") -> Image:
    rootfs = {"type": "layers", "diff_ids": diff_ids}
    return store.images.put(json.dumps({"rootfs": rootfs, "comment": salt}).encode())


def test_putting_again_changes_nothing_and_adds_the_manifest(store: Store) -> None:
    one = layer(store, "one")
    image = put(store, one)
    config = store.images.config(image.id)
    assert digests.of(config) == image.id
    again = store.images.put(config, manifest=b"{}")
    assert (again.id, again.manifest, again.stored) == (image.id, digests.of(b"{}"), image.stored)
    assert put(store, one).manifest == again.manifest
    assert [i.id for i in store.images.all()] == [image.id]


@pytest.mark.parametrize(
    "config",
    [b"", b"[]", b"{}", b'{"rootfs": {"diff_ids": [1]}}', b'{"rootfs": {"diff_ids": ["sha256:x"]}}',
     b'{"rootfs": null}', b"\xff", b'{"rootfs": {"diff_ids": "abc"}}'],
)  # fmt: skip
def test_what_is_no_config_is_refused(config: bytes, store: Store) -> None:
    with pytest.raises(InvalidError):
        store.images.put(config)


def test_an_image_needs_its_layers(store: Store) -> None:
    with pytest.raises(InvalidError, match="is not here"):
        put(store, "sha256:" + "0" * 64)


def test_a_tag_moves_and_its_old_image_stays(store: Store) -> None:
    one, two = put(store, layer(store, "1")), put(store, layer(store, "2"))
    store.images.tag("app", one.id)
    store.images.tag("docker.io/library/app:latest", two.id)
    assert store.images.resolve("app") == two
    assert store.images.names(one.id) == []
    assert store.images.get(one.id) == one
    with pytest.raises(InvalidError, match="digest reference"):
        store.images.tag(f"app@{one.id}", one.id)
    with pytest.raises(NotFoundError):
        store.images.tag("app", "sha256:" + "0" * 64)
    with pytest.raises(InvalidError, match="invalid reference format"):
        store.images.tag("a b", one.id)


def test_an_ambiguous_beginning_is_told(store: Store) -> None:
    images: list[Image] = []
    # By the pigeonhole principle two of 17 ids begin alike.
    while len({image.id[7] for image in images}) == len(images):
        images.append(put(store, salt=str(len(images))))
    twin = next(i for i in images if sum(i.id[7] == other.id[7] for other in images) == 2)
    with pytest.raises(InvalidError, match="ambiguous"):
        store.images.resolve(twin.id[7])
    assert store.images.resolve(twin.id[7:]) == twin


def test_a_name_wins_over_an_id(store: Store) -> None:
    one, two = put(store, salt="1"), put(store, salt="2")
    store.images.tag(one.id[7:19], two.id)
    assert store.images.resolve(one.id[7:19]) == two
    assert store.images.resolve("sha256:" + one.id[7:19]) == one


def test_tags_are_of_one_repository_only(store: Store) -> None:
    image = put(store)
    for name in ("app:1", "app:2", "app-x:1", "app/x:1", "apps:1"):
        store.images.tag(name, image.id)
    assert list(store.images.tags("docker.io/library/app")) == [
        "docker.io/library/app:1",
        "docker.io/library/app:2",
    ]


def test_shared_layers_stay_until_the_last_image_goes(store: Store) -> None:
    shared, own = layer(store, "shared"), layer(store, "own")
    one, two = put(store, shared, own), put(store, shared)
    assert one.size == 8
    removed = store.images.remove(one.id)
    assert (removed.layers, removed.size) == ((own,), 4)
    assert store.images.remove(two.id).layers == (shared,)
    with pytest.raises(NotFoundError):
        store.images.remove(two.id)


def test_a_removal_that_is_undone_loses_no_layer(store: Store) -> None:
    """The files go after the rows: also after those of a transaction around the removal."""
    own = layer(store, "own")
    image = put(store, own)
    with pytest.raises(ZeroDivisionError), store.db.transaction():
        assert store.images.remove(image.id).layers == (own,)
        assert store.layers.path(own).is_dir()
        raise ZeroDivisionError
    assert store.layers.path(own).is_dir() and store.images.has(image.id)
    with store.db.transaction():
        store.images.remove(image.id)
    assert not store.layers.path(own).exists()


def test_a_lease_keeps_what_is_there_and_what_comes(store: Store) -> None:
    before = layer(store, "before")
    with store.layers.lease(before):
        during = layer(store, "during")
        assert store.collect(0).layers == ()
        with pytest.raises(ConflictError):
            store.layers.remove(during)
    assert set(store.collect(0).layers) == {before, during}


def test_a_lease_holds_though_the_clock_is_set_back(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    with store.layers.lease():
        monkeypatch.setattr(layers, "time", SimpleNamespace(time_ns=lambda: 1))
        during = layer(store, "during")
        with store.layers.lease():
            assert store.layers.is_leased(during)
        assert store.collect(0).layers == ()
    assert store.collect(0).layers == (during,)


def test_layers_of_a_cancelled_pull_are_kept_for_a_day(store: Store) -> None:
    one = layer(store, "one")
    assert store.collect().layers == ()
    store.db.execute("UPDATE layers SET created=0")
    assert store.collect().layers == (one,)


def test_one_layer_asked_for_at_once_is_unpacked_once(store: Store) -> None:
    data = member("f", data=b"x" * 100_000) + END
    reads: list[int] = []
    infos = []
    gate = threading.Barrier(4)

    def source() -> Iterator[bytes]:
        reads.append(1)
        yield data

    def pull() -> None:
        gate.wait()
        infos.append(store.layers.apply(digests.of(data), source()))

    threads = [threading.Thread(target=pull) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(set(infos)) == 1 and len(infos) == 4
    assert len(reads) == 1


def test_progress_is_told_and_may_abort(store: Store) -> None:
    data = member("f", data=bytes(2_000_000)) + END
    seen: list[int] = []
    chunks = [data[at : at + 65_536] for at in range(0, len(data), 65_536)]
    store.layers.apply(None, chunks, on_progress=seen.append)
    assert seen == sorted(seen) and seen[-1] == len(data)

    class CancelledError(Exception):
        pass

    def cancel(count: int) -> None:
        if count > 500_000:
            raise CancelledError

    with pytest.raises(CancelledError):
        store.layers.apply(None, [b"", *chunks[:-1], END], on_progress=cancel)
    assert len(store.layers.all()) == 1


def test_blobs_are_verified_before_they_appear(store: Store) -> None:
    digest = digests.of(b"content")
    partial = store.blobs.partial(digest)
    partial.write_bytes(b"other")
    with pytest.raises(InvalidError, match="the transfer was damaged"):
        store.blobs.ingest(digest, partial)
    assert not store.blobs.has(digest) and not partial.exists()
    partial.write_bytes(b"content")
    store.blobs.ingest(digest, partial)
    with store.blobs.open(digest) as file:
        assert file.read() == b"content"
    assert store.blobs.size(digest) == 7
    store.blobs.remove(digest)
    with pytest.raises(NotFoundError):
        store.blobs.open(digest)
    for bad in ("sha256:../x", "sha256:" + "0" * 63, "", "md5:" + "0" * 32):
        with pytest.raises(InvalidError):
            store.blobs.path(bad)
