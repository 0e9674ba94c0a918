"""A layer's tar compressed into a file, to be sent: gzip, which every client and registry reads."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from pathlib import Path

from isal import isal_zlib

from ..storage.layers import BlobInfo
from .registry.cancel import Cancel
from .registry.manifests import DOCKER_LAYER

# ISA-L's level 1 makes 121 MB of what zlib's 6 makes 108 of, in a seventh of the time.
_LEVEL = 1
_GZIP = 31


def pack(tar: Iterable[bytes], file: Path, cancel: Cancel) -> BlobInfo:
    """Compress `tar` into `file`; what the blob is. The same tar gives the same blob."""
    digest = hashlib.sha256()
    size = 0
    squeeze = isal_zlib.compressobj(level=_LEVEL, wbits=_GZIP)
    with open(file, "xb", buffering=1 << 20) as out:

        def put(data: bytes) -> None:
            nonlocal size
            digest.update(data)
            size += len(data)
            out.write(data)

        for chunk in tar:
            cancel.check()
            put(squeeze.compress(chunk))
        put(squeeze.flush())
    return BlobInfo(f"sha256:{digest.hexdigest()}", size, DOCKER_LAYER)
