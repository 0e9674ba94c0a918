"""Names of images: `debian`, `ghcr.io/a/b:1.2`, `localhost:5000/x@sha256:…`.

The grammar is the OCI distribution's reference grammar with Docker Hub's shorthands: a name
without a registry is at docker.io, and one without a slash is in its `library/`.
"""

from __future__ import annotations

import functools
import re
from dataclasses import dataclass, replace

from ..host.errors import InvalidError
from . import digests

DEFAULT_DOMAIN = "docker.io"
DEFAULT_TAG = "latest"
_LEGACY_DOMAIN = "index.docker.io"
_MAX_NAME = 255

_LABEL = r"(?:[a-zA-Z0-9]|[a-zA-Z0-9][a-zA-Z0-9-]*[a-zA-Z0-9])"
_HOST = rf"(?:{_LABEL}(?:\.{_LABEL})*|\[[a-fA-F0-9:]+\])"
_DOMAIN = re.compile(rf"{_HOST}(?::[0-9]+)?")
_COMPONENT = r"[a-z0-9]+(?:(?:\.|_|__|-+)[a-z0-9]+)*"
_PATH = re.compile(rf"{_COMPONENT}(?:/{_COMPONENT})*")
_TAG = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.-]{0,127}")
_HEX64 = re.compile(r"[a-f0-9]{64}")
_BAD = "invalid reference format"


@dataclass(frozen=True)
class Reference:
    """A parsed name: registry `domain`, repository `path`, and tag, digest, both or neither."""

    domain: str
    path: str
    tag: str | None = None
    digest: str | None = None

    @property
    def repository(self) -> str:
        """Registry and path, in full: `docker.io/library/debian`."""
        return f"{self.domain}/{self.path}"

    @property
    def familiar_name(self) -> str:
        """The repository as Docker shows it: `debian`, `user/app`, `ghcr.io/a/b`."""
        if self.domain != DEFAULT_DOMAIN:
            return self.repository
        rest = self.path.removeprefix("library/")
        # docker.io/library/a/b cannot lose its prefix: a/b is another repository.
        return self.path if "/" in rest else rest

    def familiar(self) -> str:
        """The name as Docker shows it, with its tag and digest: `debian:latest`."""
        return self.familiar_name + self._suffix()

    def full(self) -> str:
        """The name with nothing implied: `docker.io/library/debian:latest`."""
        return self.repository + self._suffix()

    def with_default_tag(self) -> Reference:
        """Itself, with the tag `latest` when it has neither tag nor digest."""
        return self if self.tag or self.digest else replace(self, tag=DEFAULT_TAG)

    def _suffix(self) -> str:
        return (f":{self.tag}" if self.tag else "") + (f"@{self.digest}" if self.digest else "")

    def __str__(self) -> str:
        return self.familiar()


@functools.lru_cache(maxsize=1024)
def parse(text: str) -> Reference:
    """Parse a name as the user wrote it; raises InvalidError in Docker's words."""
    if _HEX64.fullmatch(text):
        raise InvalidError(
            f"invalid repository name ({text}), cannot specify 64-byte hexadecimal strings"
        )
    rest, at, digest = text.partition("@")
    if at and not digests.is_digest(digest):
        raise InvalidError(_BAD)
    # A colon after the last slash is the tag's; one before it is a port's.
    slash = rest.rfind("/")
    colon = rest.find(":", slash + 1)
    name, tag = (rest[:colon], rest[colon + 1 :]) if colon >= 0 else (rest, None)
    if tag is not None and not _TAG.fullmatch(tag):
        raise InvalidError(_BAD)
    domain, path = _split_domain(name)
    if path != path.lower() and _PATH.fullmatch(path.lower()):
        raise InvalidError(f"{_BAD}: repository name ({path}) must be lowercase")
    if not _DOMAIN.fullmatch(domain) or not _PATH.fullmatch(path):
        raise InvalidError(_BAD)
    if len(f"{domain}/{path}") > _MAX_NAME:
        raise InvalidError(f"repository name must not be more than {_MAX_NAME} characters")
    return Reference(domain, path, tag, digest if at else None)


def _split_domain(name: str) -> tuple[str, str]:
    """(domain, path) by Docker's rule: the first part is a host if it looks like one."""
    first, slash, rest = name.partition("/")
    is_host = "." in first or ":" in first or first == "localhost" or first != first.lower()
    domain, path = (first, rest) if slash and is_host else (DEFAULT_DOMAIN, name)
    if domain == _LEGACY_DOMAIN:
        domain = DEFAULT_DOMAIN
    if domain == DEFAULT_DOMAIN and "/" not in path:
        path = f"library/{path}"
    return domain, path
