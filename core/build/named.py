"""Contexts with names, `--build-context name=…`: for FROM, COPY --from and mounts."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from ...host.errors import InvalidError
from ...storage.reference import parse as parse_reference


@dataclass(frozen=True)
class Named:
    """One of them; one field says what it is: a `folder` of this host, the place of one that was
    sent in the main context (`sent`), an `image`, or a `remote` archive or repository.
    """

    folder: Path | None = None
    sent: str = ""
    image: str = ""
    remote: str = ""


def key_of(name: str) -> str:
    """What a name is looked up by: `alpine`, `alpine:latest` and its full name are the same."""
    try:
        return parse_reference(name).with_default_tag().familiar().removesuffix(":latest")
    except InvalidError:
        return name.lower()
