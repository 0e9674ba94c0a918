"""Images as one tar file: what `docker save` writes.

The archive is Docker's (`manifest.json`, image spec v1.2) and an OCI image layout (`index.json`)
at once, as since Docker 25. Layers are uncompressed, so that their names are their DiffIDs.
Unlike Docker's, it also holds the manifest an image was pulled by: `load` finds the digest again.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from ..host.errors import InvalidError
from . import digests, reference
from . import tarheader as tar
from .images import Image
from .loading import ORIGIN_DIGESTS, ORIGIN_MANIFEST, load
from .store import Store
from .tarheader import Entry
from .tarwriter import END, header, padding

__all__ = ["load", "save"]

_CONTAINERD_NAME = "io.containerd.image.name"
_OCI_NAME = "org.opencontainers.image.ref.name"


@dataclass
class _Selected:
    """An image to be saved, and the full names to save with it."""

    image: Image
    names: list[str] = field(default_factory=list)


def save(store: Store, refs: Sequence[str]) -> Iterator[bytes]:
    """The images as an archive. A name without a tag stands for all tags of its repository.

    Raises NotFoundError before the first byte, and BayError in the middle when a layer on disk
    was changed.
    """
    selected = _select(store, refs)
    return _write(store, selected)


def _select(store: Store, refs: Sequence[str]) -> list[_Selected]:
    if not refs:
        raise InvalidError("no image names were given to save")
    found: dict[str, _Selected] = {}
    for text in refs:
        for image, name in _matches(store, text):
            entry = found.setdefault(image.id, _Selected(image))
            if name is not None and name not in entry.names:
                entry.names.append(name)
    return list(found.values())


def _matches(store: Store, text: str) -> list[tuple[Image, str | None]]:
    """The images that `text` means, each with the name it goes by."""
    try:
        ref = reference.parse(text)
    except InvalidError:
        return [(store.images.resolve(text), None)]
    if ref.digest:
        return [(store.images.resolve(text), None)]
    tags = store.images.tags(ref.repository)
    if ref.tag is not None:
        tags = {name: image for name, image in tags.items() if name == ref.full()}
    if not tags:
        return [(store.images.resolve(text), None)]
    return [(store.images.get(image), name) for name, image in tags.items()]


def _write(store: Store, selected: Sequence[_Selected]) -> Iterator[bytes]:
    # The images may be removed meanwhile: what is said of them is read first, the layers stay.
    said = {
        entry.image.id: (store.images.config(entry.image.id), store.images.manifest(entry.image.id))
        for entry in selected
    }
    with store.reading(*{key for entry in selected for key in entry.image.diff_ids}):
        yield from _members(store, selected, said)


def _members(
    store: Store, selected: Sequence[_Selected], said: Mapping[str, tuple[bytes, bytes | None]]
) -> Iterator[bytes]:
    done: set[str] = set()
    docker: list[dict[str, Any]] = []
    index: list[dict[str, Any]] = []
    repositories: dict[str, dict[str, str]] = {}
    for folder in (b"blobs/", b"blobs/sha256/"):
        yield header(Entry(folder, tar.DIRECTORY, 0o755, 0, 0, 0, 0, b"", 0, 0))
    for entry in selected:
        image = entry.image
        for diff_id in image.diff_ids:
            if diff_id not in done:
                done.add(diff_id)
                yield from _layer(store, diff_id)
        config, origin = said[image.id]
        manifest = _manifest(store, image, len(config))
        for data in filter(None, (config, manifest, origin)):
            if digests.of(data) not in done:
                done.add(digests.of(data))
                yield _file(_blob_path(digests.of(data)), data)
        docker.append(_docker_entry(entry))
        index += _descriptors(store, entry, manifest, origin)
        for name in entry.names:
            ref = reference.parse(name)
            last = image.diff_ids[-1] if image.diff_ids else image.id
            tags = repositories.setdefault(ref.familiar_name, {})
            tags[ref.tag or reference.DEFAULT_TAG] = digests.split(last)[1]
    yield _json("index.json", {
        "schemaVersion": 2, "mediaType": digests.OCI_INDEX, "manifests": index,
    })  # fmt: skip
    yield _json("manifest.json", docker)
    yield _json("oci-layout", {"imageLayoutVersion": "1.0.0"})
    if repositories:
        yield _json("repositories", repositories)
    yield END


def _layer(store: Store, diff_id: str) -> Iterator[bytes]:
    size = store.layers.info(diff_id).tar_size
    yield _head(_blob_path(diff_id), size)
    yield from store.layers.tar(diff_id)
    yield padding(size)


def _manifest(store: Store, image: Image, config_size: int) -> bytes:
    """An OCI manifest of the image with uncompressed layers."""
    layers = [
        {
            "mediaType": digests.OCI_LAYER,
            "digest": diff_id,
            "size": store.layers.info(diff_id).tar_size,
        }
        for diff_id in image.diff_ids
    ]
    config = {"mediaType": digests.OCI_CONFIG, "digest": image.id, "size": config_size}
    return _dump({
        "schemaVersion": 2, "mediaType": digests.OCI_MANIFEST, "config": config, "layers": layers,
    })  # fmt: skip


def _docker_entry(entry: _Selected) -> dict[str, Any]:
    return {
        "Config": _blob_path(entry.image.id),
        "RepoTags": [reference.parse(name).familiar() for name in entry.names] or None,
        "Layers": [_blob_path(diff_id) for diff_id in entry.image.diff_ids],
    }


def _descriptors(
    store: Store, entry: _Selected, manifest: bytes, origin: bytes | None
) -> list[dict[str, Any]]:
    """The index entries of an image: one for each name, at least one."""
    found = []
    common: dict[str, str] = {}
    if origin is not None:
        common[ORIGIN_MANIFEST] = digests.of(origin)
        common[ORIGIN_DIGESTS] = ",".join(store.images.digests(entry.image.id))
    for name in entry.names or [""]:
        notes = dict(common)
        if name:
            notes[_CONTAINERD_NAME] = name
            notes[_OCI_NAME] = reference.parse(name).tag or reference.DEFAULT_TAG
        found.append(
            {
                "mediaType": digests.OCI_MANIFEST,
                "digest": digests.of(manifest),
                "size": len(manifest),
                **({"annotations": notes} if notes else {}),
            }
        )
    return found


def _blob_path(digest: str) -> str:
    algorithm, encoded = digests.split(digest)
    return f"blobs/{algorithm}/{encoded}"


def _dump(value: Any) -> bytes:
    return json.dumps(value, separators=(",", ":")).encode()


def _json(name: str, value: Any) -> bytes:
    return _file(name, _dump(value))


def _file(name: str, data: bytes) -> bytes:
    return _head(name, len(data)) + data + padding(len(data))


def _head(name: str, size: int) -> bytes:
    return header(Entry(name.encode(), tar.REGULAR, 0o644, 0, 0, size, 0, b"", 0, 0))
