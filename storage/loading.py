"""Reading an archive of images as it flows by: `docker save`'s of any age, or an OCI layout.

Layers come before the files that say what they are, so each is unpacked when it is met, under
the digest it turns out to have. An image is taken when all its layers are here: its config names
them by digest, whatever the archive's file names say.
"""

from __future__ import annotations

import json
import platform
from collections.abc import Callable, Iterator
from typing import Any

from ..host.errors import InvalidError
from . import digests, reference
from . import tarheader as tar
from .images import Image, parse_config
from .inflate import Readable, Source, inflate, is_compressed
from .store import Store
from .tarstream import TarStream

# Annotations of our own archives: the manifest an image was pulled by, and its `repo@digest`s.
ORIGIN_MANIFEST = "io.bayplan.origin.manifest"
ORIGIN_DIGESTS = "io.bayplan.origin.digests"

_CONTAINERD_NAME = "io.containerd.image.name"
_OCI_NAME = "org.opencontainers.image.ref.name"
_MAX_JSON = 4 << 20
_MAX_JSON_TOTAL = 64 << 20
_ARCHITECTURES = {"x86_64": "amd64", "aarch64": "arm64", "armv7l": "arm", "i686": "386"}
_INDEXES = (digests.OCI_INDEX, digests.DOCKER_LIST)

Json = dict[str, Any]


def load(
    store: Store,
    archive: Readable,
    on_progress: Callable[[int], None] | None = None,
    on_image: Callable[[Image], None] | None = None,
) -> list[str]:
    """Take all images of the archive, which may be compressed; their names, or ids without one.

    `on_progress` gets the bytes read so far. Raises InvalidError for a damaged archive or one
    without images; then no image was taken.
    """
    found = _Contents(store)
    try:
        with store.layers.lease():
            found.read(archive, on_progress)
            return _take(store, found.images(), on_image)
    finally:
        store.images.release(found.made)


class _Contents:
    """What an archive held: small files by name, and the layers made from it."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._total = 0
        self.files: dict[str, bytes] = {}
        self.made: list[str] = []

    def read(self, archive: Readable, on_progress: Callable[[int], None] | None) -> None:
        source = Source(archive)
        stream = TarStream(inflate(source))
        for entry in stream:
            if entry.kind != tar.REGULAR:
                continue  # a link to a layer told before
            name = entry.name.decode("utf-8", "surrogateescape").removeprefix("./").lstrip("/")
            self._member(name, entry.size, stream)
            if on_progress is not None:
                on_progress(source.count)

    def _member(self, name: str, size: int, stream: TarStream) -> None:
        if self._is_known(name):
            return
        pieces = stream.payload()
        head = b""
        while len(head) < tar.BLOCK and (piece := next(pieces, None)) is not None:
            head += piece
        if _looks_like_layer(head):
            whole = _chain(head, pieces)
            self.made.append(self._store.layers.apply(None, whole).diff_id)
        elif size <= _MAX_JSON:
            self._total += size
            if self._total > _MAX_JSON_TOTAL:
                raise InvalidError("the archive has too many files that are no layers")
            self.files[name] = b"".join(_chain(head, pieces))

    def _is_known(self, name: str) -> bool:
        """Whether it is a layer that is here, by the digest in its name."""
        digest = "sha256:" + name.removeprefix("blobs/sha256/")
        if not digests.is_digest(digest):
            return False
        layers = self._store.layers
        return layers.has(digest) or layers.by_blob(digest) is not None

    def images(self) -> list[_Found]:
        """The images it lists. Raises InvalidError."""
        try:
            return list(self.docker() if "manifest.json" in self.files else self.layout())
        except (AttributeError, TypeError) as error:  # a list where an object should be, and so on
            raise InvalidError("the archive is damaged: what lists its images is malformed") from (
                error
            )

    def docker(self) -> Iterator[_Found]:
        """The images that `manifest.json` lists."""
        origins = {}
        if "index.json" in self.files:
            for found in self.layout():
                origins[digests.of(found.config)] = found
        for item in _list(_parse("manifest.json", self.files["manifest.json"])):
            config = self.files.get(str(item.get("Config")))
            if config is None:
                raise InvalidError(f"the archive lacks the config {item.get('Config')!r}")
            names = [str(name) for name in item.get("RepoTags") or []]
            origin = origins.get(digests.of(config))
            yield _Found(config, names, origin.manifest if origin else None,
                         origin.digests if origin else [])  # fmt: skip

    def layout(self) -> Iterator[_Found]:
        """The images that the OCI layout's `index.json` lists."""
        if "index.json" not in self.files:
            raise InvalidError(
                "this is no archive of images: it has no manifest.json, no index.json"
            )
        index = _parse("index.json", self.files["index.json"])
        for item in _list(index.get("manifests")):
            manifest = self._manifest(item)
            if manifest is None:
                continue
            parsed = _parse(str(item.get("digest")), manifest)
            config = self._blob(str((parsed.get("config") or {}).get("digest")))
            if config is None:
                continue
            notes = item.get("annotations") or {}
            origin = self._blob(str(notes.get(ORIGIN_MANIFEST)))
            cited = str(notes.get(ORIGIN_DIGESTS, "")).split(",") if origin else []
            yield _Found(config, _names(notes), origin or manifest, cited)

    def _manifest(self, item: Json, depth: int = 0) -> bytes | None:
        """The manifest a descriptor leads to, through indexes, for this kind of machine."""
        data = self._blob(str(item.get("digest")))
        if data is None or depth > 3:
            return None
        parsed = _parse(str(item.get("digest")), data)
        if item.get("mediaType") not in _INDEXES and "manifests" not in parsed:
            return data
        for inner in _list(parsed.get("manifests")):
            if _is_ours(inner.get("platform")) and (found := self._manifest(inner, depth + 1)):
                return found
        return None

    def _blob(self, digest: str) -> bytes | None:
        if not digests.is_digest(digest):
            return None
        data = self.files.get(f"blobs/{digest.replace(':', '/', 1)}")
        if data is not None and digests.of(data) != digest:
            raise InvalidError(f"the archive is damaged: {digest} holds something else")
        return data


class _Found:
    """An image of the archive: its config, names, and the manifest it came by."""

    def __init__(self, config: bytes, names: list[str], manifest: bytes | None, cited: list[str]):
        self.config = config
        self.names = names
        self.manifest = manifest
        self.digests = cited


def _take(
    store: Store, checked: list[_Found], on_image: Callable[[Image], None] | None
) -> list[str]:
    if not checked:
        raise InvalidError("the archive holds no image for this kind of machine")
    for found in checked:
        for diff_id in parse_config(found.config)[1]:
            if not store.layers.has(diff_id):
                raise InvalidError(f"the archive lacks the layer {diff_id}")
        for name in found.names:
            reference.parse(name)
    loaded: list[str] = []
    taken: list[Image] = []
    with store.db.transaction():
        for found in checked:
            image = _put(store, found)
            names = [reference.parse(name).with_default_tag() for name in found.names]
            loaded += [name.familiar() for name in names] or [image.id]
            taken.append(image)
    # Not before: what is told is not taken back.
    if on_image is not None:
        for image in taken:
            on_image(image)
    return list(dict.fromkeys(loaded))


def _put(store: Store, found: _Found) -> Image:
    manifest = found.manifest
    if manifest is not None and _config_of(manifest) != digests.of(found.config):
        manifest = None
    cited = [reference.parse(text) for text in found.digests if text] if manifest else []
    own = [ref for ref in cited if manifest is not None and ref.digest == digests.of(manifest)]
    image = store.images.put(found.config, manifest=manifest if own else None)
    for ref in own:
        store.images.add_digest(ref.repository, ref.digest or "", image.id)
    for name in found.names:
        store.images.tag(name, image.id)
    return image


def _config_of(manifest: bytes) -> Any:
    parsed = _parse("its manifest", manifest)
    config = parsed.get("config") if isinstance(parsed, dict) else None
    return config.get("digest") if isinstance(config, dict) else None


def _names(notes: Json) -> list[str]:
    """The name an OCI layout gives: containerd's annotation, or the standard one if it is whole."""
    for key in (_CONTAINERD_NAME, _OCI_NAME):
        name = str(notes.get(key, ""))
        if "/" in name or ":" in name:
            try:
                return [reference.parse(name).with_default_tag().familiar()]
            except InvalidError:
                continue
    return []


def _is_ours(wanted: Any) -> bool:
    if not isinstance(wanted, dict):
        return True
    machine = platform.machine()
    ours = _ARCHITECTURES.get(machine, machine)
    return wanted.get("os") == "linux" and wanted.get("architecture") == ours


def _looks_like_layer(head: bytes) -> bool:
    if is_compressed(head) or head[257:262] == b"ustar" or head.startswith(tar.ZERO_BLOCK):
        return True
    try:
        # A V7 tar has no magic; its header has a checksum.
        return len(head) >= tar.BLOCK and bool(tar.parse(head[: tar.BLOCK]).name)
    except InvalidError:
        return False


def _chain(head: bytes, pieces: Iterator[memoryview]) -> Iterator[bytes]:
    yield head
    for piece in pieces:
        yield bytes(piece)


def _parse(name: str, data: bytes) -> Any:
    try:
        return json.loads(data)
    except (ValueError, RecursionError) as error:
        raise InvalidError(f"the archive is damaged: {name} is no JSON: {error}") from error


def _list(value: Any) -> list[Json]:
    return [item for item in value if isinstance(item, dict)] if isinstance(value, list) else []
