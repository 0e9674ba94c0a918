"""`--build-context name=…`: what is told of it, and what has to be sent."""

from __future__ import annotations

import os

from ..host.errors import NotFoundError, UnsupportedError
from ..host.light import Any, Iterator
from .flags import UsageError

Json = dict[str, Any]

_IMAGE = "docker-image://"
_REMOTE = ("http://", "https://", "git://", "ssh://", "git@", "github.com/")
_REFUSED = {
    "oci-layout://": "load it and name the image: docker-image://NAME",
    "target:": "only docker bake has targets",
}


def parse(items: list[str]) -> dict[str, str]:
    """The contexts by name. Raises UsageError, UnsupportedError, NotFoundError."""
    found: dict[str, str] = {}
    for item in items:
        name, equals, value = item.partition("=")
        if not equals or not name or not value:
            raise UsageError(f"invalid --build-context {item}: write name=FOLDER, IMAGE or URL")
        for start, instead in _REFUSED.items():
            if value.startswith(start):
                raise UnsupportedError(f"--build-context {item} is not supported: {instead}")
        if not value.startswith((_IMAGE, *_REMOTE)) and not os.path.isdir(value):
            raise NotFoundError(
                f"--build-context {name}: {value} is no folder; an image is docker-image://NAME"
            )
        found[name] = value
    return found


def parameters(contexts: dict[str, str], in_place: bool) -> Json:
    """What the engine is told of each; folders that it does not see are sent, by number."""
    told: Json = {}
    for number, (name, value) in enumerate(contexts.items()):
        if value.startswith(_IMAGE):
            told[name] = {"image": value.removeprefix(_IMAGE)}
        elif value.startswith(_REMOTE):
            told[name] = {"remote": value}
        elif in_place:
            root = os.path.realpath(value)
            found = os.stat(root)
            told[name] = {"path": root, "dev": found.st_dev, "ino": found.st_ino}
        else:
            told[name] = {"sent": str(number)}
    return told


def with_folders(
    body: Iterator[bytes] | bytes, contexts: dict[str, str], told: Json
) -> Iterator[bytes] | bytes:
    """A context's tar with those folders after it that the engine does not see."""
    sent = {one["sent"]: contexts[name] for name, one in told.items() if "sent" in one}
    if not sent:
        return body
    if isinstance(body, bytes):
        raise UnsupportedError(
            "--build-context with a folder needs an engine of this machine, or a folder as the"
            " main context"
        )
    return _joined(body, sent)


def _joined(body: Iterator[bytes], sent: dict[str, str]) -> Iterator[bytes]:
    from .buildcontext import SENT, pack

    end = bytes(1024)
    last = b""
    for piece in body:
        # The end of the archive, which comes after the folders now.
        if last:
            yield last
        last = piece
    if last != end:
        raise UnsupportedError("--build-context with a folder: the main context must be a folder")
    for number, folder in sent.items():
        root = os.path.realpath(folder)
        yield from pack(root, "", [], prefix=f"{SENT}/{number}/", end=b"")
    yield end
