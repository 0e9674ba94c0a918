"""`bay cp`: files into a container and out of it."""

from __future__ import annotations

import base64
import json
import os
import posixpath
import sys

from ...client.errors import from_response
from ...host.errors import InvalidError, NotFoundError
from ...host.light import Any
from ..app import App
from ..command import Command
from ..copying import Place, pack, unpack
from ..flags import Parsed, UsageError, switch
from .archives import pieces

Json = dict[str, Any]

# Go's os.FileMode bits, in which the API tells the kind of a file.
_GO_DIR = 1 << 31
_GO_LINK = 1 << 27
_MAX_LINKS = 40
_TAR = {"Content-Type": "application/x-tar"}


def split_place(text: str) -> tuple[str, str]:
    """(container, path) of `container:path`; the container is empty for a path of this machine."""
    if text.startswith(("/", ".")) or ":" not in text:
        return "", text
    container, _, path = text.partition(":")
    return container, path


def run_cp(app: App, parsed: Parsed) -> None:
    """Copy in the direction the arguments tell."""
    source, target = parsed.args
    from_container, from_path = split_place(source)
    to_container, to_path = split_place(target)
    if from_container and to_container:
        raise UsageError("copying between containers is not supported")
    if not (from_container or to_container):
        raise UsageError("must specify at least one container source")
    if not from_path or not to_path:
        raise UsageError("source and destination paths may not be empty")
    if from_container:
        _out(app, parsed, from_container, from_path, to_path)
    else:
        _in(app, parsed, from_path, to_container, to_path)


# -- out of a container ----------------------------------------------------------------------------


def stat_of(app: App, container: str, path: str) -> Json:
    """What is at a path in a container. Raises NotFoundError."""
    target = f"/containers/{container}/archive"
    try:
        with app.client.open("HEAD", target, {"path": path}) as answer:
            header = answer.headers["x-docker-container-path-stat"]
    except NotFoundError as error:
        # An answer to HEAD has no body to say it in.
        if str(error).startswith("the engine answered"):
            app.client.get(f"/containers/{container}/json")  # tells when it is the container
            said = f"Could not find the file {path} in container {container}"
            raise from_response(error.status, said.encode()) from None
        raise
    found: Json = json.loads(base64.b64decode(header))
    return found


def _followed(app: App, container: str, path: str) -> tuple[str, Json]:
    """(path, what is there), links followed. The link's target need not exist."""
    for _ in range(_MAX_LINKS):
        found = stat_of(app, container, path)
        if not found["mode"] & _GO_LINK:
            return path, found
        path = posixpath.join(posixpath.dirname(path.rstrip("/")) or "/", found["linkTarget"])
    raise InvalidError(f"too many links at {path} in container {container}")


def _out(app: App, parsed: Parsed, container: str, path: str, target: str) -> None:
    contents_only = path == "." or path.endswith("/.")
    # Paths in a container are relative to its root.
    path = posixpath.join("/", path)
    if contents_only:
        path = path[:-1].rstrip("/") or "/"
    if parsed["follow-link"] or contents_only:
        path, found = _followed(app, container, path)
    else:
        found = stat_of(app, container, path)
    params = {"path": path}
    with app.client.open("GET", f"/containers/{container}/archive", params) as answer:
        if target == "-":
            sys.stdout.flush()
            for data in answer.chunks():
                sys.stdout.buffer.write(data)
            return
        is_folder = bool(found["mode"] & _GO_DIR)
        keep_name = _check_local(target, is_folder, contents_only or path == "/")
        try:
            unpack(answer.chunks(), Place.at(target, keep_name), parsed["archive"])
        except OSError as error:
            raise InvalidError(f"cannot write {error.filename}: {error.strerror}") from error
    _report(parsed, f"Successfully copied {container}:{path} to {os.path.abspath(target)}", app)


def _check_local(target: str, is_folder: bool, contents_only: bool) -> bool:
    """Whether the source keeps its name below `target`. Raises InvalidError where it can't go."""
    asserts_folder = target.endswith(("/", "/.")) or target in (".", "..")
    if os.path.isdir(target):
        return not contents_only
    if os.path.lexists(target):
        if is_folder:
            raise InvalidError(f"cannot copy directory: {target} is a file")
        if asserts_folder:
            raise InvalidError(f"not a directory: {target}")
        return False
    if asserts_folder and not is_folder:
        raise InvalidError(f"no such directory: {target}")
    above = os.path.dirname(os.path.normpath(target)) or "."
    if not os.path.isdir(above):
        raise InvalidError(f'invalid output path: directory "{above}" does not exist')
    return False


def _report(parsed: Parsed, text: str, app: App) -> None:
    if not parsed["quiet"] and sys.stderr.isatty():
        app.err(text)


# -- into a container ------------------------------------------------------------------------------


def _in(app: App, parsed: Parsed, source: str, container: str, target: str) -> None:
    path = posixpath.join("/", target)
    asserts_folder = target.endswith(("/", "/.")) or target == "."
    there: Json | None = None
    try:
        path, there = _followed(app, container, path)
    except NotFoundError as error:
        if "no such container" in str(error).lower():
            raise
    is_folder_there = bool(there and there["mode"] & _GO_DIR)
    if source == "-":
        if not is_folder_there:
            raise InvalidError(f'destination "{container}:{target}" must be a directory')
        _put(app, parsed, container, path, pieces(sys.stdin.buffer))
        return
    contents_only = source.endswith("/.") or source == "."
    full = os.path.abspath(source)
    if parsed["follow-link"] or contents_only:
        full = os.path.realpath(full)
    if not os.path.lexists(full):
        raise InvalidError(f"lstat {full}: no such file or directory")
    is_folder = os.path.isdir(full) and not os.path.islink(full)
    folder, name = _target(path, there is not None, is_folder_there, is_folder, asserts_folder)
    if is_folder_there:
        name = "." if contents_only else os.path.basename(source.rstrip("/")) or "."
        if name in (".", "..") and not contents_only:
            name = os.path.basename(full)
    try:
        _put(app, parsed, container, folder, pack(full, name))
    except OSError as error:
        raise InvalidError(f"cannot read {error.filename}: {error.strerror}") from error
    _report(parsed, f"Successfully copied {full} to {container}:{target}", app)


def _target(
    path: str, exists: bool, is_folder_there: bool, is_folder: bool, asserts_folder: bool
) -> tuple[str, str]:
    """(folder to unpack in, name to give) in the container. Raises InvalidError."""
    if is_folder_there:
        return path, ""
    if exists and is_folder:
        raise InvalidError(f"cannot copy directory: {path} is a file in the container")
    if asserts_folder and not is_folder:
        raise InvalidError(f"no such directory: {path} in the container")
    trimmed = path.rstrip("/").removesuffix("/.")
    return posixpath.dirname(trimmed) or "/", posixpath.basename(trimmed)


def _put(app: App, parsed: Parsed, container: str, folder: str, body: Any) -> None:
    params = {
        "path": folder,
        "noOverwriteDirNonDir": True,
        "copyUIDGID": parsed["archive"] or None,
    }
    with app.client.open("PUT", f"/containers/{container}/archive", params, body, _TAR) as answer:
        answer.read()


CP = Command(
    "cp [OPTIONS] CONTAINER:SRC_PATH DEST_PATH|-\n\tbay cp [OPTIONS] SRC_PATH|-"
    " CONTAINER:DEST_PATH",
    "Copy files between a container and this machine\n\n"
    "A - as the source reads a tar archive from stdin, as the destination writes one to stdout.",
    run_cp,
    flags=(
        switch("archive", "Keep owners: out of a container, ids; into one, those of its user", "a"),
        switch("follow-link", "Copy what a link at the source leads to", "L"),
        switch("quiet", "Don't say when it is done", "q"),
    ),
    least=2,
    most=2,
)
