"""What a client asks of a build."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from ...host.errors import BayError, InvalidError, UnsupportedError
from ...storage.reference import parse as parse_reference
from ..registry.manifests import Platform
from ..types import Json
from .named import Named


@dataclass(frozen=True)
class Request:
    """One build. `local` is a folder of this host that is the context, None when it is sent.

    `shown` is what errors call the Dockerfile, where that is not its name in the context;
    `text` is the Dockerfile when it is none of the context's; `secrets` their contents by id;
    `ssh` agents' sockets by id; `auths` registry credentials by host; `host` the part of a
    HostConfig that every step's container gets; `cancel_id` is what a client cancels it by.
    `contexts` are named ones, by `named.key_of`; `uncached` the stages (names or numbers) of which
    every step is done anew.
    """

    dockerfile: str = "Dockerfile"
    shown: str = ""
    text: str | None = None
    tags: Sequence[str] = ()
    build_args: Mapping[str, str | None] = field(default_factory=dict)
    labels: Mapping[str, str] = field(default_factory=dict)
    target: str = ""
    no_cache: bool = False
    pull: bool = False
    network: str = "default"
    remote: str = ""
    local: Path | None = None
    platform: str = ""
    host: Json = field(default_factory=dict)
    secrets: Mapping[str, bytes] = field(default_factory=dict)
    ssh: Mapping[str, str] = field(default_factory=dict)
    auths: Mapping[str, Json] = field(default_factory=dict)
    cancel_id: str = ""
    contexts: Mapping[str, Named] = field(default_factory=dict)
    uncached: Sequence[str] = ()
    quiet: bool = False
    details: bool = False

    def check(self) -> None:
        """Raise InvalidError or UnsupportedError for what cannot be done, before any work."""
        for tag in self.tags:
            if parse_reference(tag).digest:
                raise InvalidError(f"invalid tag {tag!r}: a name with a digest cannot be given")
        check_platform(self.platform, "--platform")

    def epoch(self) -> int | None:
        """SOURCE_DATE_EPOCH in seconds, None when it is not set. Raises InvalidError."""
        text = self.build_args.get("SOURCE_DATE_EPOCH")
        if not text:
            return None
        if not text.isdecimal():
            raise InvalidError(f"invalid SOURCE_DATE_EPOCH {text!r}: give seconds since 1970")
        return int(text)


def check_platform(text: str, what: str) -> None:
    """Raise UnsupportedError unless this machine is of the platform `text` (empty: any)."""
    if not text:
        return
    wanted = Platform.parse(text)
    if wanted.rank(Platform.host()) == 0:
        raise UnsupportedError(
            f"cannot build for {what} {text}: this engine builds for {Platform.host()} only, "
            "it emulates no other machine"
        )


class BuildFailedError(BayError):
    """A step failed. `code` is its command's exit code, 1 for every other reason.

    `line` and `column` say where in the Dockerfile.
    """

    def __init__(self, message: str, code: int = 1, line: int = 0, column: int = 0) -> None:
        super().__init__(message)
        self.code = code
        self.line = line
        self.column = column
