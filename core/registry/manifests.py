"""Manifests and indexes: what their JSON says, and which platform of an index is ours.

OCI image specification 1.1 and Docker's "Image Manifest Version 2, Schema 2".
"""

from __future__ import annotations

import hashlib
import json
import platform as host_platform
import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from ...host.errors import BayError, InvalidError, NotFoundError
from ..types import Json

OCI_MANIFEST = "application/vnd.oci.image.manifest.v1+json"
OCI_INDEX = "application/vnd.oci.image.index.v1+json"
DOCKER_MANIFEST = "application/vnd.docker.distribution.manifest.v2+json"
DOCKER_INDEX = "application/vnd.docker.distribution.manifest.list.v2+json"
# All four, always: a registry asked for less answers in a form that is long dead, or with 404.
ACCEPT = ", ".join((OCI_MANIFEST, DOCKER_MANIFEST, OCI_INDEX, DOCKER_INDEX))
INDEXES = (OCI_INDEX, DOCKER_INDEX)
OCI_CONFIG = "application/vnd.oci.image.config.v1+json"
DOCKER_CONFIG = "application/vnd.docker.container.image.v1+json"
OCI_LAYER = "application/vnd.oci.image.layer.v1.tar"
DOCKER_LAYER = "application/vnd.docker.image.rootfs.diff.tar.gzip"
# The specification's own limit, which registries share.
LIMIT = 4 << 20
# The specification: sizes are int64.
_MOST = (1 << 63) - 1
_DIGEST = re.compile(r"sha(256:[0-9a-f]{64}|512:[0-9a-f]{128})")
_PART = re.compile(r"[a-z0-9_][a-z0-9_.-]*")
# uname's machine -> GOARCH and its variant.
_MACHINES = {
    "x86_64": ("amd64", ""),
    "aarch64": ("arm64", "v8"),
    "armv7l": ("arm", "v7"),
    "armv6l": ("arm", "v6"),
    "i686": ("386", ""),
    "i386": ("386", ""),
}
_ARCHITECTURES = {
    "x86_64": ("amd64", ""),
    "x86-64": ("amd64", ""),
    "aarch64": ("arm64", ""),
    "armhf": ("arm", "v7"),
    "armel": ("arm", "v6"),
    "i386": ("386", ""),
}
# What an architecture means that comes without (containerd, platforms/database.go).
_VARIANTS = {"arm64": "v8", "arm": "v7"}


# Go's names, of which one alone is a platform (containerd, platforms/database.go).
_SYSTEM = re.compile(
    "aix|android|darwin|dragonfly|freebsd|hurd|illumos|ios|js|linux|nacl|netbsd|openbsd|plan9|"
    "solaris|windows|zos"
)
_ARCHITECTURE = re.compile("386|amd64|arm|arm64|loong64|mips(64)?(le)?|ppc64(le)?|riscv64|s390x")
_ARM = re.compile(r"v([5-8])")


def _normal(architecture: str, variant: str) -> tuple[str, str]:
    """Both as an index has them: `aarch64` is arm64/v8, `arm` arm/v7, `arm/6` arm/v6."""
    architecture, implied = _ARCHITECTURES.get(architecture, (architecture, ""))
    variant = variant or implied or _VARIANTS.get(architecture, "")
    if architecture in _VARIANTS and variant.isdigit():
        variant = f"v{variant}"
    return architecture, "" if (architecture, variant) == ("amd64", "v1") else variant


@dataclass(frozen=True)
class Platform:
    """An operating system, an architecture in Go's spelling, and its variant ("v8") or ""."""

    os: str
    architecture: str
    variant: str = ""

    def __str__(self) -> str:
        return "/".join(filter(None, (self.os, self.architecture, self.variant)))

    @classmethod
    def host(cls) -> Platform:
        """This machine's."""
        machine = host_platform.machine()
        return cls("linux", *_MACHINES.get(machine, (machine, "")))

    @classmethod
    def parse(cls, text: str | None) -> Platform:
        """Read "linux/arm64/v8", "arm64" or "linux"; the host's where it says nothing."""
        host = cls.host()
        if not text:
            return host
        if "," in text:
            raise InvalidError(f'"{text}" names several platforms: an image here has one')
        parts = text.lower().split("/")
        if len(parts) > 3 or not all(
            re.fullmatch(r"[a-z0-9_][a-z0-9_.-]*", part) for part in parts
        ):
            raise InvalidError(f'"{text}" is an invalid OS or platform: use os/architecture')
        if len(parts) == 1:
            if _SYSTEM.fullmatch(parts[0]):
                return cls(parts[0], host.architecture, host.variant)
            if not _ARCHITECTURE.fullmatch(_normal(parts[0], "")[0]):
                raise InvalidError(
                    f'"{text}": unknown operating system or architecture: invalid argument'
                )
            parts.insert(0, "linux")
        return cls(parts[0], *_normal(parts[1], parts[2] if len(parts) > 2 else ""))

    @classmethod
    def of(cls, json: Json | None) -> Platform:
        """The platform object of an index's entry, or an image's configuration."""
        found = json or {}
        architecture = str(found.get("architecture") or "")
        variant = str(found.get("variant") or "")
        if architecture == "arm" and not variant:
            # Configurations often leave it out, of v5 and v6 too: it fits each.
            return cls(str(found.get("os") or ""), architecture)
        return cls(str(found.get("os") or ""), *_normal(architecture, variant))

    def rank(self, offered: Platform) -> int:
        """How well `offered` serves: 0 not at all, more is better.

        Of 32-bit Arm, a lower variant runs on a higher one; 386 code is never taken for amd64.
        """
        if (offered.os, offered.architecture) != (self.os, self.architecture):
            return 0
        if offered.variant == self.variant:
            return 100
        if not offered.variant or not self.variant:
            return 50
        own, other = (_ARM.fullmatch(one.variant) for one in (self, offered))
        if self.architecture == "arm" and own and other and int(other[1]) < int(own[1]):
            return 10 + int(other[1])
        # amd64/v2 and v3 need a processor we did not ask about.
        return 0


@dataclass(frozen=True)
class Descriptor:
    """A reference to content: its media type, digest and size in bytes."""

    media_type: str
    digest: str
    size: int

    @classmethod
    def of(cls, json: Any) -> Descriptor:
        """Read a descriptor object; InvalidError when it is none."""
        try:
            found = cls(str(json.get("mediaType") or ""), json["digest"], json["size"])
        except (KeyError, TypeError, AttributeError) as error:
            raise InvalidError("the manifest holds a malformed descriptor") from error
        # A boolean is an integer to Python.
        sized = type(found.size) is int and 0 <= found.size <= _MOST
        if not sized or not is_digest(found.digest):
            raise InvalidError("the manifest holds a malformed descriptor")
        return found

    @property
    def short(self) -> str:
        """The twelve digits that Docker shows for a layer."""
        return self.digest.partition(":")[2][:12]


@dataclass(frozen=True)
class Manifest:
    """One manifest or index as served: its bytes, the digest of them, its type and its JSON."""

    raw: bytes
    digest: str
    media_type: str
    json: Json

    @classmethod
    def read(cls, raw: bytes, media_type: str, *, expected: str | None = None) -> Manifest:
        """Check the bytes and read them; BayError unless their digest is `expected`."""
        algorithm = expected.partition(":")[0] if expected else "sha256"
        digest = f"{algorithm}:{hashlib.new(algorithm, raw).hexdigest()}"
        if expected and digest != expected:
            raise BayError(f"manifest verification failed for digest {expected}: it has {digest}")
        try:
            data = json.loads(raw)
        except (ValueError, RecursionError) as error:
            raise BayError("the registry answered a manifest that is no JSON") from error
        if not isinstance(data, dict):
            raise BayError("the registry answered a manifest that is no object")
        kind = str(data.get("mediaType") or media_type.partition(";")[0].strip())
        if data.get("schemaVersion") == 1:
            raise BayError(
                "this image is in Docker's schema 1, which no engine reads any more:"
                " its publisher has to build or push it anew"
            )
        return cls(raw, digest, kind, data)

    @property
    def is_index(self) -> bool:
        """Whether it lists manifests of several platforms."""
        return self.media_type in INDEXES or (
            "manifests" in self.json and "config" not in self.json
        )

    @property
    def config(self) -> Descriptor:
        """The image's configuration."""
        return Descriptor.of(self.json.get("config"))

    @property
    def layers(self) -> list[Descriptor]:
        """The layers, the lowest first."""
        layers = self.json.get("layers")
        if not isinstance(layers, list):
            raise InvalidError("the manifest has no layers")
        return [Descriptor.of(layer) for layer in layers]

    def pick(self, wanted: Platform) -> Descriptor:
        """The entry of this index for `wanted`; NotFoundError in Docker's words when none is."""
        listed = self.json.get("manifests") or []
        if not isinstance(listed, list) or not all(map(_is_entry, listed)):
            raise InvalidError("the registry answered a malformed index")
        entries: Sequence[Json] = [
            entry
            for entry in listed
            # Attestations stand in the index as a platform of their own, "unknown/unknown".
            if (entry.get("platform") or {}).get("os") != "unknown"
        ]
        ranked = [(wanted.rank(Platform.of(entry.get("platform"))), entry) for entry in entries]
        best = max(ranked, key=lambda pair: pair[0], default=(0, None))
        if best[0]:
            return Descriptor.of(best[1])
        if len(entries) == 1 and not entries[0].get("platform"):
            return Descriptor.of(entries[0])
        offered = ", ".join(str(Platform.of(entry.get("platform"))) for entry in entries)
        raise NotFoundError(
            f"no matching manifest for {wanted} in the manifest list entries"
            + (f" (it has {offered})" if offered else "")
        )


def _is_entry(entry: object) -> bool:
    return isinstance(entry, dict) and isinstance(entry.get("platform") or {}, dict)


def is_digest(text: object) -> bool:
    """Whether `text` is a digest of an algorithm we check: sha256 or sha512."""
    return isinstance(text, str) and _DIGEST.fullmatch(text) is not None
