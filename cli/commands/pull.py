"""`bay pull`: images from a registry."""

from __future__ import annotations

import sys

from ...host.errors import InvalidError
from ...host.light import TextIO
from ..app import App
from ..auth import auth_header
from ..command import Command
from ..flags import Parsed, switch, text
from ..progress import drain, show_progress


def split_reference(reference: str) -> tuple[str, str]:
    """(name, tag or digest) of a reference; the second is empty when there is none."""
    name, at, digest = reference.partition("@")
    if at:
        return name, digest
    head, slash, last = reference.rpartition("/")
    base, _, tag = last.partition(":")
    return head + slash + base, tag


def pull(
    app: App,
    reference: str,
    *,
    platform: str = "",
    quiet: bool = False,
    all_tags: bool = False,
    out: TextIO | None = None,
) -> None:
    """Pull `reference`, showing the progress on `out` (stdout) unless `quiet`."""
    name, tag = split_reference(reference)
    if not tag and not all_tags:
        tag = "latest"
    messages = app.client.stream(
        "POST",
        "/images/create",
        {"fromImage": name, "tag": tag or None, "platform": platform or None},
        headers=auth_header(app.config, reference),
    )
    if quiet:
        drain(messages)
    else:
        show_progress(messages, out or sys.stdout)


def full_name(reference: str) -> str:
    """The reference with its registry and tag: docker.io/library/debian:latest."""
    name, tag = split_reference(reference)
    first, slash, _ = name.partition("/")
    if not slash:
        name = f"docker.io/library/{name}"
    elif not ("." in first or ":" in first or first == "localhost"):
        name = f"docker.io/{name}"
    separator = "@" if ":" in tag else ":"
    return f"{name}{separator}{tag or 'latest'}"


def run_pull(app: App, parsed: Parsed) -> None:
    """Pull one image, or with --all-tags all of a repository."""
    reference = parsed.args[0]
    name, tag = split_reference(reference)
    if parsed["all-tags"] and tag:
        raise InvalidError("tag can't be used with --all-tags/-a")
    if not tag and not parsed["all-tags"]:
        reference = f"{name}:latest"
        if not parsed["quiet"]:
            app.out("Using default tag: latest")
    pull(
        app,
        reference,
        platform=parsed["platform"],
        quiet=parsed["quiet"],
        all_tags=parsed["all-tags"],
    )
    app.out(name if parsed["all-tags"] else full_name(reference))


PULL = Command(
    "pull [OPTIONS] NAME[:TAG|@DIGEST]",
    "Download an image from a registry",
    run_pull,
    flags=(
        switch("all-tags", "Download every tag of the repository", "a"),
        switch("disable-content-trust", "Ignored: signatures are not checked", default=True),
        text("platform", "Platform to take of a multi-platform image: os/arch[/variant]"),
        switch("quiet", "Only print the image's name", "q"),
    ),
    least=1,
    most=1,
)
