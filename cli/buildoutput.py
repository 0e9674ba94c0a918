"""`--output`: what was built as files, beside or instead of an image of the engine."""

from __future__ import annotations

import os
import sys

from ..host.errors import InvalidError, UnsupportedError
from ..host.light import TYPE_CHECKING, Any, Iterable, NamedTuple
from .flags import UsageError
from .units import parse_bool

if TYPE_CHECKING:
    from ..client.client import Client

Json = dict[str, Any]
_KINDS = ("local", "tar", "oci", "docker", "image", "registry")
# Said of what is so anyhow.
_HARMLESS = {"oci-mediatypes": "true", "unpack": "false", "store": "true", "push": "false"}


class Output(NamedTuple):
    """One of them. `kind` is one of `_KINDS`; `to` a folder or file, "-" for stdout.

    `unpacked`: an OCI layout as a folder, not as a tar.
    """

    kind: str
    to: str
    name: str
    unpacked: bool = False


def parse(items: list[str]) -> list[Output]:
    """Read `--output`s: FOLDER, `-`, or fields. Raises UsageError, UnsupportedError."""
    found = [_one(item) for item in items]
    if any(one.to == "-" for one in found) and sys.stdout.isatty():
        raise UsageError("a tar is not written to a terminal: give --output type=tar,dest=FILE")
    return found


def _one(item: str) -> Output:
    if item == "-":
        return Output("tar", "-", "")
    if "=" not in item:
        return Output("local", item, "")
    fields: dict[str, str] = {}
    for part in item.split(","):
        key, equals, value = part.partition("=")
        if not equals:
            raise UsageError(f"invalid field '{part}' of --output {item}: write key=value")
        fields[key.strip().lower()] = value
    kind = fields.pop("type", "")
    to, name = fields.pop("dest", ""), fields.pop("name", "")
    if kind == "image" and _truth(fields, "push"):
        kind = "registry"
    unpacked = kind == "oci" and "tar" in fields and not _truth(fields, "tar")
    fields = {key: value for key, value in fields.items() if _HARMLESS.get(key) != value}
    if kind not in _KINDS:
        raise UnsupportedError(
            f"--output type={kind} is not supported: use {', '.join(_KINDS)}; `bay save` and"
            " `bay push` take an image further"
        )
    if fields:
        raise UnsupportedError(f"--output {item}: {', '.join(fields)} is not supported")
    if (kind == "local" or unpacked) and not to:
        raise UsageError(f"--output type={kind} needs dest=FOLDER")
    return Output(kind, to or ("-" if kind in ("tar", "oci") else ""), name, unpacked)


def _truth(fields: dict[str, str], name: str) -> bool:
    """A field that is true or false, taken out."""
    text = fields.pop(name, "false")
    try:
        return parse_bool(text)
    except ValueError:
        raise UsageError(f"invalid field {name}={text} of --output: write true or false") from None


def makes_image(outputs: list[Output]) -> bool:
    """Whether the image is to stay: it was asked for, or nothing else was."""
    kept = ("docker", "image", "registry")
    return not outputs or any(one.kind in kept and not one.to for one in outputs)


def pushed(outputs: list[Output], tags: list[str]) -> list[str]:
    """The names under which the image is to be pushed. Raises UsageError when there is none."""
    if not any(one.kind == "registry" for one in outputs):
        return []
    from .commands.pull import split_reference

    names = [one.name for one in outputs if one.kind == "registry" and one.name] or tags
    if not names:
        raise UsageError("a name is needed to push an image: give --tag")
    return [name if split_reference(name)[1] else f"{name}:latest" for name in names]


def untagged(client: Client) -> set[str]:
    """The ids of images without a name."""
    rows = client.get("/images/json", filters={"dangling": ["true"]})
    return {str(row["Id"]) for row in rows}


def write(client: Client, outputs: list[Output], image: str, names: list[str]) -> None:
    """Write what is asked for. Raises InvalidError for what cannot be written."""
    for one in outputs:
        if one.kind in ("local", "tar"):
            with client.open("GET", f"/bay/images/{image}/archive") as answer:
                _write(one, answer.chunks())
        elif one.to:
            wanted = [one.name] if one.name else names or [image]
            with client.open("GET", "/images/get", {"names": ",".join(wanted)}) as answer:
                _write(one, answer.chunks())


def _write(one: Output, pieces: Iterable[bytes]) -> None:
    if one.kind == "local" or one.unpacked:
        from .copying import Place, unpack

        try:
            os.makedirs(one.to, exist_ok=True)
            unpack(pieces, Place(os.path.realpath(one.to), "", True), False)
        except OSError as error:
            raise InvalidError(f"--output {one.to}: {error.strerror}") from None
        return
    try:
        if one.to == "-":
            for piece in pieces:
                sys.stdout.buffer.write(piece)
            sys.stdout.buffer.flush()
            return
        with open(one.to, "wb") as file:
            for piece in pieces:
                file.write(piece)
    except BrokenPipeError:
        raise
    except OSError as error:
        raise InvalidError(f"--output {one.to}: {error.strerror}") from None
