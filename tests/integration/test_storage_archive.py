"""Archives of images: ours are read by others, others' are read by us, and digests survive."""

from __future__ import annotations

import gzip
import io
import json
import shutil
import subprocess
import tarfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from bayplan.host.errors import InvalidError, NoSpaceError, NotFoundError
from bayplan.storage import archive, digests
from bayplan.storage.images import Image
from bayplan.storage.importer import import_tar
from bayplan.storage.store import Store
from storage_hostile import folder, member

END = bytes(1024)


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    store = Store.open(tmp_path / "one")
    yield store
    store.close()


@pytest.fixture
def other(tmp_path: Path) -> Iterator[Store]:
    store = Store.open(tmp_path / "two")
    yield store
    store.close()


def config(*diff_ids: str, **more: Any) -> bytes:
    rootfs = {"type": "layers", "diff_ids": list(diff_ids)}
    return json.dumps({"os": "linux", "architecture": "amd64", "rootfs": rootfs, **more}).encode()


def make(store: Store, *names: str, text: str = "1") -> Image:
    """An image of two layers, one of them the same in all images of these tests."""
    shared = store.layers.apply(None, [folder("shared") + member("shared/f") + END])
    own = store.layers.apply(None, [gzip.compress(member("own", data=text.encode()) + END)])
    image = store.images.put(config(shared.diff_id, own.diff_id))
    for name in names:
        store.images.tag(name, image.id)
    return image


def saved(store: Store, *refs: str) -> bytes:
    return b"".join(archive.save(store, refs))


def names_in(data: bytes) -> list[str]:
    with tarfile.open(fileobj=io.BytesIO(data)) as file:
        return file.getnames()


def loaded(store: Store, data: bytes) -> list[str]:
    return archive.load(store, io.BytesIO(data))


def test_an_image_survives_the_trip(store: Store, other: Store) -> None:
    image = make(store, "app:1", "ghcr.io/a/app:2")
    assert loaded(other, saved(store, "app:1")) == ["app:1"]
    assert other.images.resolve("app:1").id == image.id
    assert other.images.names(image.id) == ["app:1"]
    for diff_id in image.diff_ids:
        assert b"".join(other.layers.tar(diff_id)) == b"".join(store.layers.tar(diff_id))
    # Again, over what is there already; and from there it is the same archive.
    assert loaded(other, saved(store, "app:1", "ghcr.io/a/app:2")) == ["app:1", "ghcr.io/a/app:2"]
    assert saved(other, "app:1") == saved(store, "app:1")


def test_a_shared_layer_is_saved_once(store: Store) -> None:
    one, two = make(store, "one"), make(store, "two", text="2")
    names = names_in(saved(store, "one", "two"))
    assert len(names) == len(set(names))
    hexes = {d.removeprefix("sha256:") for image in (one, two) for d in image.diff_ids}
    assert len(hexes) == 3
    assert {name.rpartition("/")[2] for name in names} >= hexes


def test_a_name_without_a_tag_saves_all_its_tags(store: Store, other: Store) -> None:
    make(store, "app:1", "app:2")
    make(store, "app:3", text="3")
    assert loaded(other, saved(store, "app")) == ["app:1", "app:2", "app:3"]


def test_an_image_saved_by_its_id_has_no_name(store: Store, other: Store) -> None:
    image = make(store, "app")
    assert loaded(other, saved(store, image.id[7:19])) == [image.id]
    assert other.images.names(image.id) == []


def test_an_image_removed_while_it_is_saved_is_saved_whole(store: Store, other: Store) -> None:
    make(store, "app")
    pieces = archive.save(store, ["app"])
    begun = [next(pieces)]
    store.images.remove(store.images.resolve("app").id)
    store.collect(0)
    assert loaded(other, b"".join([*begun, *pieces])) == ["app:latest"]


def test_an_image_is_told_when_all_are_taken(
    store: Store, other: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    make(store, "one")
    make(store, "two", text="2")
    data = saved(store, "one", "two")
    put = other.images.put
    told: list[Image] = []
    begun: list[bool] = []

    def fail(config: bytes, **more: Any) -> Image:
        if begun:
            raise NoSpaceError("no space left on the disk")
        begun.append(True)
        return put(config, **more)

    with monkeypatch.context() as patch:
        patch.setattr(other.images, "put", fail)
        with pytest.raises(NoSpaceError):
            archive.load(other, io.BytesIO(data), on_image=told.append)
    assert told == [] == other.images.all()
    archive.load(other, io.BytesIO(data), on_image=told.append)
    assert len(told) == 2


def test_what_is_not_here_cannot_be_saved(store: Store) -> None:
    with pytest.raises(NotFoundError, match="No such image: nope:latest"):
        archive.save(store, ["nope"])
    with pytest.raises(InvalidError):
        archive.save(store, [])


def test_the_digest_of_a_pulled_image_survives(store: Store, other: Store) -> None:
    image = make(store, "app")
    manifest = json.dumps({"config": {"digest": image.id}}).encode()
    store.images.put(store.images.config(image.id), manifest=manifest)
    store.images.add_digest("docker.io/library/app", digests.of(manifest), image.id)
    loaded(other, saved(store, "app"))
    assert other.images.digests(image.id) == [f"app@{digests.of(manifest)}"]
    assert other.images.manifest(image.id) == manifest


def test_a_digest_of_another_image_is_not_believed(store: Store, other: Store) -> None:
    image = make(store, "app")
    manifest = json.dumps({"config": {"digest": "sha256:" + "0" * 64}}).encode()
    store.images.put(store.images.config(image.id), manifest=manifest)
    store.images.add_digest("docker.io/library/app", digests.of(manifest), image.id)
    loaded(other, saved(store, "app"))
    assert other.images.digests(image.id) == []


def docker_archive(image: bytes, *layers: bytes, tags: list[str] | None = None) -> bytes:
    """As `docker save` wrote it before version 25, a layer twice the second time as a link."""
    out = [member("0a/VERSION", data=b"1.0"), member("0a/json", data=b"{}")]
    paths: dict[bytes, str] = {}
    listed = []
    for number, layer in enumerate(layers):
        path = f"{number}a/layer.tar"
        listed.append(path)
        if layer in paths:
            out.append(member(path, tarfile.SYMTYPE, link="../" + paths[layer]))
        else:
            paths[layer] = path
            out.append(member(path, data=layer))
    entry = {"Config": "c.json", "RepoTags": tags, "Layers": listed}
    manifest = json.dumps([entry]).encode()
    return b"".join(
        [*out, member("c.json", data=image), member("manifest.json", data=manifest), END]
    )


def test_an_old_docker_archive_is_loaded(store: Store) -> None:
    one, two = member("a") + END, END  # Docker's empty layer is all zeros
    image = config(digests.of(one), digests.of(two), digests.of(one))
    data = docker_archive(image, one, two, one, tags=["app:1", "localhost:5000/x:y"])
    for packed in (data, gzip.compress(data)):
        assert loaded(store, packed) == ["app:1", "localhost:5000/x:y"]
    assert store.images.resolve("app:1").id == digests.of(image)


def test_an_archive_without_its_layer_is_refused_and_leaves_nothing(store: Store) -> None:
    one = member("a") + END
    image = config(digests.of(one), "sha256:" + "1" * 64)
    with pytest.raises(InvalidError, match="lacks the layer sha256:1111"):
        loaded(store, docker_archive(image, one, tags=["app:1"]))
    assert (store.images.all(), store.layers.all()) == ([], [])


@pytest.mark.parametrize(
    "data",
    [
        b"no tar at all" * 100,
        END,
        member("manifest.json", data=b"no json") + END,
        member("manifest.json", data=b"[]") + END,
        member("manifest.json", data=b'[{"Config": "c"}]') + END,
        member("manifest.json", data=b'{"a": 1}') + END,
        pytest.param(member("manifest.json", data=b"[" * 100_000) + END, id="brackets"),
        member("manifest.json", data=b'[{"Config": "manifest.json", "RepoTags": 1}]') + END,
        member("index.json", data=b"[]") + END,
        member("index.json", data=b'"text"') + END,
        docker_archive(b"no json", tags=["a"]),
        docker_archive(b'{"rootfs": {"diff_ids": ["../../x"]}}', tags=["a"]),
        docker_archive(config(), tags=["Bad Name"]),
    ],
)
def test_what_is_no_archive_of_images_is_refused(data: bytes, store: Store) -> None:
    with pytest.raises(InvalidError):
        loaded(store, data)
    assert store.images.all() == []


def test_a_blob_that_is_not_what_its_name_says_is_refused(store: Store, other: Store) -> None:
    make(store, "app")
    evil = saved(store, "app").replace(b'"os": "linux"', b'"os": "linus"')
    with pytest.raises(InvalidError, match="holds something else"):
        loaded(other, evil)
    assert (other.images.all(), other.layers.all()) == ([], [])


@pytest.mark.skipif(shutil.which("skopeo") is None, reason="another program's opinion: skopeo")
def test_others_read_ours_and_we_read_theirs(store: Store, other: Store, tmp_path: Path) -> None:
    image = make(store, "app:1")
    ours = tmp_path / "ours.tar"
    ours.write_bytes(saved(store, "app:1"))
    source = f"docker-archive:{ours}:app:1"
    for kind, name in (("docker-archive", "theirs:1"), ("oci-archive", "theirs:2")):
        target = tmp_path / f"{kind}.tar"
        copy = ["skopeo", "--insecure-policy", "copy", "-q", source, f"{kind}:{target}:{name}"]
        subprocess.run(copy, check=True, capture_output=True)
        with open(target, "rb") as file:
            assert archive.load(other, file) == [name]
    # skopeo rewrites the config on its way to OCI, the layers stay.
    assert other.images.resolve("theirs:1").id == image.id
    assert other.images.resolve("theirs:2").diff_ids == image.diff_ids


def test_a_tar_is_imported_as_an_image(store: Store) -> None:
    data = gzip.compress(folder("bin") + member("bin/x") + END)
    wanted = {"os": "linux", "architecture": "amd64", "config": {"Cmd": ["x"]}}
    image = import_tar(store, io.BytesIO(data), wanted, message="from a test")
    assert image.config["config"] == {"Cmd": ["x"]}
    assert image.config["history"][0]["comment"] == "from a test"
    assert (store.layers.path(image.diff_ids[0]) / "bin/x").read_bytes() == b"evil"
