"""The context of `bay build`: named to an engine of this machine, else sent as a tar."""

from __future__ import annotations

import os
import stat
import sys

from ..host.errors import InvalidError, NotFoundError
from ..host.light import TYPE_CHECKING, Any, Iterator, NamedTuple

# tarfile and its like are imported where something is sent: a context that is only named, the
# usual one, needs none of them, and they double the time of a start.
if TYPE_CHECKING:
    from ..host.ignore import Ignore

Json = dict[str, Any]
_BLOCK = 1 << 18
_REMOTE = ("http://", "https://", "git://", "ssh://", "github.com/", "git@")
# Not to meet a name of the user's.
_OUTSIDE = ".dockerfile.bay"
# Below it the folders of --build-context, when they are sent along (core/build/contexts.py).
SENT = ".bayplan-contexts"


class Sending(NamedTuple):
    """A context: what of it goes in the request's parameters, and its body."""

    parameters: Json
    body: Iterator[bytes] | bytes


def prepare(path: str, dockerfile: str, in_place: bool) -> Sending:
    """The context `path` ("-", a folder, a URL or a repository) with its Dockerfile.

    `in_place`: the engine sees the same files as this process, so that a folder is only named.
    Raises InvalidError, NotFoundError.
    """
    if path == "-":
        return _from_stdin(dockerfile)
    if path.startswith(_REMOTE):
        if dockerfile == "-":
            raise InvalidError("Dockerfile from stdin is not supported with a remote context")
        return Sending({"remote": path, "dockerfile": dockerfile or None}, b"")
    return _from_folder(path, dockerfile, in_place)


def _from_stdin(dockerfile: str) -> Sending:
    if dockerfile == "-":
        raise InvalidError(
            "invalid argument: can't use stdin for both build context and dockerfile"
        )
    head = sys.stdin.buffer.read(512)
    packed = head[:2] == b"\x1f\x8b" or head[:3] == b"BZh" or head[:6] == b"\xfd7zXZ\0"
    packed = packed or head[:4] == b"\x28\xb5\x2f\xfd"
    if packed or head[257:262] == b"ustar":
        return Sending({"dockerfile": dockerfile or None}, _rest(head))
    if dockerfile:
        raise InvalidError(
            "ambiguous Dockerfile source: both stdin and flag correspond to Dockerfiles"
        )
    text = head + sys.stdin.buffer.read()
    return Sending({"dockerfile": "Dockerfile"}, _single("Dockerfile", text) + bytes(1024))


def _rest(head: bytes) -> Iterator[bytes]:
    yield head
    while data := sys.stdin.buffer.read(_BLOCK):
        yield data


def _single(name: str, data: bytes) -> bytes:
    import tarfile

    entry = tarfile.TarInfo(name)
    entry.size, entry.mode = len(data), 0o600
    return entry.tobuf(tarfile.PAX_FORMAT) + data + bytes(-len(data) % tarfile.BLOCKSIZE)


def _from_folder(path: str, dockerfile: str, in_place: bool) -> Sending:
    if not os.path.isdir(path):
        if not os.path.exists(path):
            raise NotFoundError(f"unable to prepare context: path {path!r} not found")
        raise InvalidError(f"unable to prepare context: context must be a directory: {path}")
    root = os.path.realpath(path)
    extra: list[tuple[str, bytes]] = []
    name = dockerfile
    if dockerfile == "-":
        extra.append((_OUTSIDE, sys.stdin.buffer.read()))
        name = _OUTSIDE
    elif dockerfile:
        name = _place(root, path, dockerfile, extra)
    if in_place and not extra:
        found = os.stat(root)
        local = {"path": root, "dev": found.st_dev, "ino": found.st_ino}
        return Sending({"dockerfile": name or None, "bay-local": local}, b"")
    parameters = {"dockerfile": name or None, "bay-dockerfile": dockerfile if extra else None}
    return Sending(parameters, pack(root, name or "Dockerfile", extra))


def _place(root: str, path: str, dockerfile: str, extra: list[tuple[str, bytes]]) -> str:
    """The Dockerfile's name in the context; one from elsewhere is sent along."""
    given = dockerfile
    if not os.path.exists(given) and not os.path.isabs(given):
        given = os.path.join(path, dockerfile)
    real = os.path.realpath(given)
    inside = os.path.relpath(real, root)
    if not inside.startswith("../"):
        return inside
    try:
        with open(real, "rb") as file:
            extra.append((_OUTSIDE, file.read()))
        ignore = real + ".dockerignore"
        if os.path.exists(ignore):
            with open(ignore, "rb") as file:
                extra.append((f"{_OUTSIDE}.dockerignore", file.read()))
    except OSError as error:
        raise NotFoundError(
            f"unable to prepare context: unable to evaluate symlinks in Dockerfile path: "
            f"{dockerfile}: {error.strerror}"
        ) from None
    return _OUTSIDE


def pack(
    root: str,
    dockerfile: str,
    extra: list[tuple[str, bytes]],
    prefix: str = "",
    end: bytes = bytes(1024),
) -> Iterator[bytes]:
    """The folder as a tar without what its ignore file names, owned by root, plus `extra`.

    `prefix` stands before every name, `end` ends the archive.
    """
    import io
    import tarfile

    from .copying import content

    ignore = _ignore(root, dockerfile, extra)
    kept = {dockerfile, ".dockerignore", f"{dockerfile}.dockerignore"}
    buffer = tarfile.TarFile(fileobj=io.BytesIO(), mode="w", format=tarfile.PAX_FORMAT)
    for full, name in _walk(root, "", ignore, ignore.top, kept):
        try:
            entry = buffer.gettarinfo(full, prefix + name)
            if entry is None:
                continue
            entry.uid = entry.gid = 0
            entry.uname = entry.gname = ""
            yield entry.tobuf(tarfile.PAX_FORMAT)
            if entry.isreg():
                yield from content(full, entry.size)
        except PermissionError:
            raise InvalidError(
                f"error checking context: no permission to read from {full!r}"
            ) from None
    for name, data in extra:
        yield _single(prefix + name, data)
    if end:
        yield end


def _ignore(root: str, dockerfile: str, extra: list[tuple[str, bytes]]) -> Ignore:
    from ..host.ignore import Ignore

    sent = dict(extra).get(f"{dockerfile}.dockerignore")
    if sent is not None:
        return Ignore(sent.decode("utf-8-sig", "replace").splitlines())
    for name in (f"{dockerfile}.dockerignore", ".dockerignore"):
        try:
            with open(os.path.join(root, name), encoding="utf-8-sig", errors="replace") as file:
                return Ignore(file.read().splitlines())
        except FileNotFoundError:
            continue
    return Ignore()


def _walk(
    root: str, folder: str, ignore: Ignore, above: tuple[bool, ...], kept: set[str]
) -> Iterator[tuple[str, str]]:
    """(path, name) of all that is sent, sorted."""
    with os.scandir(os.path.join(root, folder)) as listing:
        names = sorted(entry.name for entry in listing)
    for one in names:
        name = f"{folder}/{one}" if folder else one
        full = os.path.join(root, name)
        skip, state = ignore.look(name, above) if ignore else (False, above)
        try:
            is_folder = stat.S_ISDIR(os.lstat(full).st_mode)
        except FileNotFoundError:
            continue
        # The engine needs these although nothing may copy them.
        needed = name in kept
        if is_folder:
            holds = any(one.startswith(name + "/") for one in kept)
            if not skip:
                yield full, name
            if not skip or holds or ignore.may_except(name):
                yield from _walk(root, name, ignore, state, kept)
        elif not skip or needed:
            yield full, name
