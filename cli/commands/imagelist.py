"""`bay images`: the list of images."""

from __future__ import annotations

import time

from ...host.light import Any, Iterator
from ..app import App
from ..command import Command
from ..flags import Parsed, switch
from ..listing import FORMAT, Listing, Row, filter_flag, parse_filters
from ..table import CYAN, DIM
from ..units import human_ago, human_size
from .ps import local_time

Json = dict[str, Any]
NONE = "<none>"

LISTING = Listing(
    headers={
        "Repository": "REPOSITORY",
        "Tag": "TAG",
        "Digest": "DIGEST",
        "ID": "IMAGE ID",
        "CreatedSince": "CREATED",
        "CreatedAt": "CREATED AT",
        "Size": "SIZE",
        "Containers": "CONTAINERS",
        "VirtualSize": "SIZE",
        "SharedSize": "SHARED SIZE",
        "UniqueSize": "UNIQUE SIZE",
    },
    columns=("Repository", "Tag", "ID", "CreatedSince", "Size"),
    styles={"Repository": CYAN, "ID": DIM},
    raw=(
        ("repository", "Repository"),
        ("tag", "Tag"),
        ("digest", "Digest"),
        ("image_id", "ID"),
        ("created_at", "CreatedAt"),
        ("virtual_size", "Size"),
    ),
)


def run_images(app: App, parsed: Parsed) -> None:
    """Ask for the list and print it."""
    filters = parse_filters(parsed["filter"]) or {}
    if parsed.args:
        filters.setdefault("reference", []).append(parsed.args[0])
    found = app.client.get(
        "/images/json",
        all=parsed["all"] or None,
        digests=parsed["digests"] or None,
        filters=filters or None,
        manifests=parsed["tree"] or None,
    )
    if parsed["tree"]:
        from .imagetree import show_tree

        show_tree(app, parsed, found)
        return
    short = not parsed["no-trunc"]
    form = parsed["format"]
    if parsed["quiet"] and not form:
        for one in found:
            # A line for each name, as Docker has it.
            for _ in names_of(one, False):
                app.out(_id(one["Id"], short))
        return
    digests = parsed["digests"] or "Digest" in form
    rows = [row for one in found for row in image_rows(one, short, digests)]
    columns = list(LISTING.columns)
    if parsed["digests"]:
        columns.insert(2, "Digest")
    LISTING.show(rows, form or app.config.form("imagesFormat"), columns)


def image_rows(one: Json, short: bool, digests: bool) -> Iterator[Row]:
    """The rows of one image: one for each of its names, or one nameless."""
    for repository, tag, digest in names_of(one, digests):
        created = one["Created"]
        size = one.get("Size") or 0
        shared = one.get("SharedSize", -1)
        containers = one.get("Containers", -1)
        yield {
            "Repository": repository,
            "Tag": tag,
            "Digest": digest,
            "ID": _id(one["Id"], short),
            "CreatedSince": human_ago(time.time() - created) if created > 0 else "N/A",
            "CreatedAt": local_time(created),
            "Size": human_size(size),
            "Containers": str(containers) if containers >= 0 else "N/A",
            "VirtualSize": human_size(size, 4),
            "SharedSize": human_size(shared) if shared >= 0 else "N/A",
            "UniqueSize": human_size(size - shared) if shared >= 0 else "N/A",
        }


def names_of(one: Json, digests: bool) -> list[tuple[str, str, str]]:
    """The (repository, tag, digest) of an image, each `<none>` where there is none.

    With `digests`, a name is listed with the digest its repository has for the image.
    """
    by_repository: dict[str, list[str]] = {}
    for text in one.get("RepoDigests") or []:
        repository, _, digest = text.partition("@")
        if repository != NONE:
            by_repository.setdefault(repository, []).append(digest)
    rows: list[tuple[str, str, str]] = []
    named: set[str] = set()
    for text in one.get("RepoTags") or []:
        repository, _, tag = text.rpartition(":")
        if repository == NONE:
            continue
        named.add(repository)
        found = by_repository.get(repository, []) if digests else []
        rows += [(repository, tag, digest) for digest in found or [NONE]]
    for repository, found in by_repository.items():
        if repository not in named:
            rows += [(repository, NONE, digest) for digest in (found if digests else found[:1])]
    return rows or [(NONE, NONE, NONE)]


def _id(text: str, short: bool) -> str:
    return text.removeprefix("sha256:")[:12] if short else text


IMAGES = Command(
    "images [OPTIONS] [REPOSITORY[:TAG]]",
    "List images",
    run_images,
    flags=(
        switch("all", "Show all images, intermediate ones too", "a"),
        switch("digests", "Show digests"),
        filter_flag("Show only what matches, for example dangling=true"),
        FORMAT,
        switch("no-trunc", "Don't shorten ids"),
        switch("quiet", "Only ids", "q"),
        switch("tree", "Show each image with its names, its platform and whether it is in use"),
    ),
    most=1,
)
