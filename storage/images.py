"""Images: configs, the names they go by, and the layers they are made of.

An image's id is the digest of its config (as with Docker's graph drivers); a name is a full
reference in the table of names; `repo@sha256:…` digests are the manifests it came by.
"""

from __future__ import annotations

import json
import re
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

from ..host.errors import InvalidError, NotFoundError
from . import digests, reference
from .db import Database
from .layers import Layers

Json = dict[str, Any]

_SCHEMA = """
CREATE TABLE images (
    id TEXT PRIMARY KEY, config BLOB NOT NULL, manifest BLOB, manifest_digest TEXT,
    size INT NOT NULL, created TEXT NOT NULL, stored INT NOT NULL
);
CREATE TABLE image_layers (
    image TEXT NOT NULL REFERENCES images ON DELETE CASCADE, position INT NOT NULL,
    diff_id TEXT NOT NULL, PRIMARY KEY (image, position)
);
CREATE INDEX image_layers_diff_id ON image_layers (diff_id);
CREATE TABLE image_names (
    name TEXT PRIMARY KEY, image TEXT NOT NULL REFERENCES images ON DELETE CASCADE,
    tagged INT NOT NULL
);
CREATE INDEX image_names_image ON image_names (image);
CREATE TABLE image_digests (
    repository TEXT NOT NULL, digest TEXT NOT NULL,
    image TEXT NOT NULL REFERENCES images ON DELETE CASCADE, PRIMARY KEY (repository, digest)
);
CREATE INDEX image_digests_image ON image_digests (image);
"""
_PARENTS = """
CREATE TABLE image_parents (
    image TEXT PRIMARY KEY REFERENCES images ON DELETE CASCADE, parent TEXT NOT NULL
);
"""
_COLUMNS = "id, config, manifest_digest, size, created, stored"
_ID_PREFIX = re.compile(r"(?:sha256:)?([a-f0-9]{1,64})")
_ZERO_TIME = "0001-01-01T00:00:00Z"


@dataclass(frozen=True)
class Image:
    """An image. `config` is the OCI image config; `size` the bytes of its unpacked layers.

    `created` is what the config says (RFC 3339), `stored` when it came here (ns); `manifest` is
    the digest of the manifest it came by.
    """

    id: str
    config: Json
    diff_ids: tuple[str, ...]
    size: int
    created: str
    manifest: str | None
    stored: int


@dataclass(frozen=True)
class Removed:
    """What went: layers that nobody else used; bytes, those of downloads cut short included."""

    layers: tuple[str, ...]
    size: int


class ImageStore:
    """The tables of images. Thread-safe."""

    def __init__(self, db: Database, layers: Layers, release: Callable[[Iterable[str]], Removed]):
        """`release` frees those of the given layers that nobody uses (gc.py)."""
        self._db = db
        self._layers = layers
        self.release = release
        db.migrate("images", [_SCHEMA, _PARENTS])

    def put(
        self, config: bytes, *, manifest: bytes | None = None, manifest_digest: str | None = None
    ) -> Image:
        """Keep an image whose layers are all here; putting it again is fine.

        `manifest` is kept, bytes as they are, when given. Raises InvalidError for a config that
        is none, or that names layers which are not here.
        """
        parsed, diff_ids = parse_config(config)
        missing = [diff_id for diff_id in diff_ids if not self._layers.has(diff_id)]
        if missing:
            raise InvalidError(f"the image's layer {missing[0]} is not here")
        self._layers.settle_links(diff_ids)
        if manifest is not None and manifest_digest is None:
            manifest_digest = digests.of(manifest)
        image = digests.of(config)
        with self._db.transaction():
            size = sum(self._layers.info(diff_id).size for diff_id in diff_ids)
            self._db.execute(
                "INSERT INTO images VALUES (?,?,?,?,?,?,?) ON CONFLICT (id) DO UPDATE SET"
                " manifest=coalesce(excluded.manifest, manifest),"
                " manifest_digest=coalesce(excluded.manifest_digest, manifest_digest)",
                image,
                config,
                manifest,
                manifest_digest,
                size,
                str(parsed.get("created") or _ZERO_TIME),
                time.time_ns(),
            )
            for position, diff_id in enumerate(diff_ids):
                self._db.execute(
                    "INSERT OR REPLACE INTO image_layers VALUES (?,?,?)", image, position, diff_id
                )
        return self.get(image)

    def get(self, image: str) -> Image:
        """The image of that id; raises NotFoundError."""
        rows = self._db.execute(f"SELECT {_COLUMNS} FROM images WHERE id=?", image)
        if not rows:
            raise NotFoundError(f"No such image: {image}")
        return _image(*rows[0])

    def has(self, image: str) -> bool:
        """Whether the image of that id is here."""
        return bool(self._db.execute("SELECT 1 FROM images WHERE id=?", image))

    def all(self) -> list[Image]:
        """All images, the newest first."""
        rows = self._db.execute(f"SELECT {_COLUMNS} FROM images")
        return sorted((_image(*row) for row in rows), key=lambda i: i.created, reverse=True)

    def config(self, image: str) -> bytes:
        """The config's bytes, whose digest is the id; raises NotFoundError."""
        rows = self._db.execute("SELECT config FROM images WHERE id=?", image)
        if not rows:
            raise NotFoundError(f"No such image: {image}")
        return bytes(rows[0][0])

    def manifest(self, image: str) -> bytes | None:
        """The manifest's bytes, as it came; None when the image came without."""
        rows = self._db.execute("SELECT manifest FROM images WHERE id=?", image)
        return bytes(rows[0][0]) if rows and rows[0][0] is not None else None

    def set_parent(self, image: str, parent: str) -> None:
        """Note the image that `image` was made from on this host."""
        self._db.execute("INSERT OR REPLACE INTO image_parents VALUES (?,?)", image, parent)

    def parent(self, image: str) -> str:
        """The id of the image it was made from here; empty for one that came from elsewhere."""
        rows = self._db.execute("SELECT parent FROM image_parents WHERE image=?", image)
        return rows[0][0] if rows else ""

    def has_children(self, image: str) -> bool:
        """Whether another image was made from it here."""
        return bool(self._db.execute("SELECT 1 FROM image_parents WHERE parent=? LIMIT 1", image))

    def parents(self) -> set[str]:
        """The ids of all images, here or gone, that others were made from here."""
        return {row[0] for row in self._db.execute("SELECT DISTINCT parent FROM image_parents")}

    def resolve(self, text: str) -> Image:
        """The image meant by a name, a name@digest, an id or the beginning of one.

        Raises NotFoundError in Docker's words, InvalidError when an id's beginning fits several.
        """
        image = self._by_name(text) or self._by_id(text)
        if image is None:
            raise NotFoundError(f"No such image: {_shown(text)}")
        return self.get(image)

    def _by_name(self, text: str) -> str | None:
        try:
            ref = reference.parse(text)
        except InvalidError:
            return None
        if ref.digest:
            rows = self._db.execute(
                "SELECT image FROM image_digests WHERE repository=? AND digest=?",
                ref.repository,
                ref.digest,
            )
        else:
            rows = self._db.execute(
                "SELECT image FROM image_names WHERE name=?", ref.with_default_tag().full()
            )
        return rows[0][0] if rows else None

    def _by_id(self, text: str) -> str | None:
        match = _ID_PREFIX.fullmatch(text)
        if match is None:
            return None
        low = "sha256:" + match[1]
        # A range, not LIKE: it uses the index. `g` follows the last hex digit.
        rows = self._db.execute(
            "SELECT id FROM images WHERE id>=? AND id<? LIMIT 2", low, low + "g"
        )
        if len(rows) > 1:
            raise InvalidError(f"image id {text} is ambiguous: give more of its digits")
        return rows[0][0] if rows else None

    def tag(self, name: str, image: str) -> None:
        """Give the image a name (a tag, `latest` where none is given), taking it from another.

        Raises InvalidError for a bad name, NotFoundError for an unknown image.
        """
        ref = reference.parse(name)
        if ref.digest:
            raise InvalidError("refusing to create a tag with a digest reference")
        with self._db.transaction():
            self.get(image)
            self._db.execute(
                "INSERT OR REPLACE INTO image_names VALUES (?,?,?)",
                ref.with_default_tag().full(),
                image,
                time.time_ns(),
            )

    def untag(self, name: str) -> None:
        """Take a name, or a name@digest, from its image; raises NotFoundError."""
        ref = reference.parse(name)
        with self._db.transaction():
            if self._by_name(name) is None:
                raise NotFoundError(f"No such image: {_shown(name)}")
            if ref.digest:
                self._db.execute(
                    "DELETE FROM image_digests WHERE repository=? AND digest=?",
                    ref.repository,
                    ref.digest,
                )
            else:
                full = ref.with_default_tag().full()
                self._db.execute("DELETE FROM image_names WHERE name=?", full)

    def names(self, image: str) -> list[str]:
        """The image's names as Docker shows them (`debian:latest`), sorted."""
        rows = self._db.execute("SELECT name FROM image_names WHERE image=?", image)
        return sorted(reference.parse(name).familiar() for (name,) in rows)

    def tags(self, repository: str) -> dict[str, str]:
        """The full names in a full repository (`docker.io/library/debian`), and their images."""
        low = repository + ":"
        rows = self._db.execute(
            "SELECT name, image FROM image_names WHERE name>=? AND name<? ORDER BY name",
            low,
            repository + ";",  # the next character
        )
        return dict(rows)

    def tagged(self, image: str) -> int:
        """When the image last got a name, in ns; 0 when it has none."""
        rows = self._db.execute("SELECT max(tagged) FROM image_names WHERE image=?", image)
        return rows[0][0] or 0

    def digests(self, image: str) -> list[str]:
        """The manifests it came by, as Docker shows them: `debian@sha256:…`, sorted."""
        rows = self._db.execute("SELECT repository, digest FROM image_digests WHERE image=?", image)
        return sorted(reference.parse(f"{repo}@{digest}").familiar() for repo, digest in rows)

    def add_digest(self, repository: str, digest: str, image: str) -> None:
        """Remember that the repository has this image under the manifest `digest`."""
        digests.split(digest)
        self._db.execute(
            "INSERT OR REPLACE INTO image_digests VALUES (?,?,?)",
            reference.parse(repository).repository,
            digest,
            image,
        )

    def remove(self, image: str) -> Removed:
        """Remove the image with its names, and the layers only it had.

        The caller has made sure that no container needs the image; snapshots hold their layers
        anyway. Raises NotFoundError.
        """
        diff_ids = self.get(image).diff_ids
        with self._db.transaction():
            self._db.execute("DELETE FROM images WHERE id=?", image)
        return self.release(diff_ids)

    def forget_broken(self, gone: Iterable[str]) -> list[str]:
        """At open: remove the images that miss one of the layers `gone`; their ids."""
        broken: list[str] = []
        with self._db.transaction():
            for diff_id in gone:
                rows = self._db.execute(
                    "SELECT DISTINCT image FROM image_layers WHERE diff_id=?", diff_id
                )
                for (image,) in rows:
                    self._db.execute("DELETE FROM images WHERE id=?", image)
                    broken.append(image)
        return broken


def parse_config(config: bytes) -> tuple[Json, list[str]]:
    """An image config and its DiffIDs; raises InvalidError when it is not one."""
    try:
        parsed = json.loads(config)
        diff_ids = parsed["rootfs"].get("diff_ids") or []
        for diff_id in diff_ids:
            digests.split(diff_id)
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise InvalidError(f"invalid image configuration: {error}") from error
    return parsed, diff_ids


def _image(
    image: str, config: bytes, manifest: str | None, size: int, created: str, stored: int
) -> Image:
    parsed, diff_ids = parse_config(config)
    return Image(image, parsed, tuple(diff_ids), size, created, manifest, stored)


def _shown(text: str) -> str:
    """A name in an error, with its implied tag, as Docker shows it."""
    try:
        return reference.parse(text).with_default_tag().familiar()
    except InvalidError:
        return text
