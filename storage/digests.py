"""Content digests and the media types of what they name.

Digests follow the OCI image specification, descriptor.md: `algorithm:encoded`.
"""

from __future__ import annotations

import hashlib
import re

from ..host.errors import InvalidError

_LENGTHS = {"sha256": 64, "sha384": 96, "sha512": 128}
_SHAPE = re.compile(r"([a-z0-9]+):([a-f0-9]+)")

DOCKER_MANIFEST = "application/vnd.docker.distribution.manifest.v2+json"
DOCKER_LIST = "application/vnd.docker.distribution.manifest.list.v2+json"
DOCKER_CONFIG = "application/vnd.docker.container.image.v1+json"
DOCKER_LAYER = "application/vnd.docker.image.rootfs.diff.tar.gzip"
OCI_MANIFEST = "application/vnd.oci.image.manifest.v1+json"
OCI_INDEX = "application/vnd.oci.image.index.v1+json"
OCI_CONFIG = "application/vnd.oci.image.config.v1+json"
OCI_LAYER = "application/vnd.oci.image.layer.v1.tar"
OCI_LAYER_GZIP = "application/vnd.oci.image.layer.v1.tar+gzip"
OCI_LAYER_ZSTD = "application/vnd.oci.image.layer.v1.tar+zstd"


def of(data: bytes) -> str:
    """The sha256 digest of `data`, as `sha256:<64 hex>`."""
    return "sha256:" + hashlib.sha256(data).hexdigest()


def split(digest: str) -> tuple[str, str]:
    """(algorithm, hex) of a digest; raises InvalidError when it is not one this engine knows."""
    match = _SHAPE.fullmatch(digest)
    if match is None or _LENGTHS.get(match[1]) != len(match[2]):
        raise InvalidError(f"invalid digest: {digest[:200]!r} is not sha256:<64 hex digits>")
    return match[1], match[2]


def is_digest(text: str) -> bool:
    """Whether `text` is a whole, well-formed digest."""
    match = _SHAPE.fullmatch(text)
    return match is not None and _LENGTHS.get(match[1]) == len(match[2])
