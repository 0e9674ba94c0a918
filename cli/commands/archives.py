"""Images and containers as tar archives: save, load, import, export; and push."""

from __future__ import annotations

import os
import sys

from ...host.errors import InvalidError
from ...host.light import Any, BinaryIO, Iterator
from .. import platform
from ..app import App
from ..auth import auth_header, encode
from ..command import Command
from ..flags import Parsed, UsageError, many, switch, text
from ..progress import drain, show_progress
from .pull import full_name, split_reference

_CHUNK = 1 << 20


def to_file(app: App, target: str, path: str, params: dict[str, Any] | None = None) -> None:
    """GET `target` into the file `path`, or to stdout; a file only appears when it is whole."""
    if not path and sys.stdout.isatty():
        raise UsageError("cowardly refusing to write to a terminal: use the -o flag or redirect")
    with app.client.open("GET", target, params) as answer:
        if not path:
            sys.stdout.flush()
            for data in answer.chunks():
                sys.stdout.buffer.write(data)
            return
        temporary = f"{path}.{os.getpid()}.part"
        # A device or a pipe can't be replaced by a rename; and it never was half a file.
        plain = not os.path.exists(path) or os.path.isfile(path)
        try:
            with open(temporary if plain else path, "wb") as file:
                for data in answer.chunks():
                    file.write(data)
            if plain:
                os.replace(temporary, path)
        except OSError as error:
            raise InvalidError(f"cannot write {path}: {error.strerror}") from error
        finally:
            if plain and os.path.exists(temporary):
                os.unlink(temporary)


def pieces(file: BinaryIO) -> Iterator[bytes]:
    """The file in pieces, to be sent as it is read."""
    return iter(lambda: file.read(_CHUNK), b"")


def open_input(path: str) -> BinaryIO:
    """The file to send, or stdin for an empty path. Raises InvalidError."""
    if not path:
        return sys.stdin.buffer
    try:
        return open(path, "rb")
    except OSError as error:
        raise InvalidError(f"open {path}: {error.strerror}") from error


def run_save(app: App, parsed: Parsed) -> None:
    """Write images as a tar archive."""
    for name in parsed.args:
        platform.check(app, name, parsed["platform"])
    to_file(app, "/images/get", parsed["output"], {"names": tuple(parsed.args)})


def run_export(app: App, parsed: Parsed) -> None:
    """Write a container's files as a tar archive."""
    to_file(app, f"/containers/{parsed.args[0]}/export", parsed["output"])


def run_load(app: App, parsed: Parsed) -> None:
    """Load images from a tar archive and print their names."""
    if not parsed["input"] and sys.stdin.isatty():
        raise UsageError("requested load from stdin, but stdin is empty")
    platform.check_machine(app, parsed["platform"])
    quiet = parsed["quiet"] or not sys.stdout.isatty()
    with open_input(parsed["input"]) as file:
        messages = app.client.stream(
            "POST",
            "/images/load",
            {"quiet": quiet},
            pieces(file),
            {"Content-Type": "application/x-tar"},
        )
        show_progress(messages, sys.stdout)


def run_import(app: App, parsed: Parsed) -> None:
    """Make an image of a tar archive of files, and print its id."""
    source = parsed.args[0]
    repository, tag = split_reference(parsed.args[1]) if len(parsed.args) > 1 else ("", "")
    remote = source.startswith(("http://", "https://"))
    params = {
        "fromSrc": source if remote else "-",
        "repo": repository or None,
        "tag": tag or None,
        "message": parsed["message"] or None,
        "changes": tuple(parsed["change"]),
        "platform": parsed["platform"] or None,
    }
    if remote:
        show_progress(app.client.stream("POST", "/images/create", params), sys.stdout)
        return
    with open_input("" if source == "-" else source) as file:
        headers = {"Content-Type": "application/x-tar"}
        messages = app.client.stream("POST", "/images/create", params, pieces(file), headers)
        show_progress(messages, sys.stdout)


def run_push(app: App, parsed: Parsed) -> None:
    """Upload an image to its registry."""
    reference = parsed.args[0]
    name, tag = split_reference(reference)
    if parsed["all-tags"] and tag:
        raise InvalidError("tag can't be used with --all-tags/-a")
    if not tag and not parsed["all-tags"]:
        tag = "latest"
        if not parsed["quiet"]:
            app.out("Using default tag: latest")
    if not parsed["all-tags"]:
        platform.check(app, f"{name}:{tag}", parsed["platform"])
    push(app, f"{name}:{tag}" if tag else name, quiet=parsed["quiet"])
    if parsed["quiet"]:
        app.out(full_name(reference))


def push(app: App, reference: str, *, quiet: bool = False) -> None:
    """Upload an image by its name and tag; by the name alone, all its tags."""
    name, tag = split_reference(reference)
    # Docker's API insists on the header for a push, if only of an empty object.
    headers = auth_header(app.config, reference) or {"X-Registry-Auth": encode({})}
    messages = app.client.stream(
        "POST", f"/images/{name}/push", {"tag": tag or None}, None, headers
    )
    if quiet:
        drain(messages)
        return
    where = full_name(name).rpartition(":")[0]
    app.out(f"The push refers to repository [{where}]")
    show_progress(_without_heading(messages), sys.stdout)


def _without_heading(messages: Iterator[dict[str, Any]]) -> Iterator[dict[str, Any]]:
    """The messages without the engine's own first line, which we have printed."""
    for message in messages:
        if not str(message.get("status", "")).startswith("The push refers to"):
            yield message


SAVE = Command(
    "save [OPTIONS] IMAGE [IMAGE...]",
    "Write one or more images as a tar archive (to stdout)",
    run_save,
    flags=(text("output", "Write to this file", "o"), platform.PLATFORM),
    least=1,
    most=None,
)
EXPORT = Command(
    "export [OPTIONS] CONTAINER",
    "Write a container's files as a tar archive (to stdout)",
    run_export,
    flags=(text("output", "Write to this file", "o"),),
    least=1,
    most=1,
)
LOAD = Command(
    "load [OPTIONS]",
    "Load images from a tar archive (from stdin)",
    run_load,
    flags=(
        text("input", "Read this file", "i"),
        platform.LOADED,
        switch("quiet", "Don't show the progress", "q"),
    ),
)
IMPORT = Command(
    "import [OPTIONS] file|URL|- [REPOSITORY[:TAG]]",
    "Make an image of a tar archive of files",
    run_import,
    flags=(
        many("change", "Apply a Dockerfile instruction to the image", "c"),
        text("message", "What it is", "m"),
        text("platform", "Platform of the image: os/arch[/variant]"),
    ),
    least=1,
    most=2,
)
PUSH = Command(
    "push [OPTIONS] NAME[:TAG]",
    "Upload an image to a registry",
    run_push,
    flags=(
        switch("all-tags", "Upload every tag of the repository", "a"),
        switch("disable-content-trust", "Ignored: images are not signed", default=True),
        platform.PLATFORM,
        switch("quiet", "Only print the image's name", "q"),
    ),
    least=1,
    most=1,
)
