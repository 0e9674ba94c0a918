"""Verbs on images that exist: rmi, tag, history, and making one of a container (commit)."""

from __future__ import annotations

import time

from ...host.errors import NotFoundError
from ...host.light import Any
from .. import platform
from ..app import App
from ..command import Command
from ..errors import engine_sentence
from ..flags import Parsed, many, switch, text
from ..listing import FORMAT, Listing
from ..units import human_ago, human_size
from .ps import ellipsis
from .pull import split_reference

Json = dict[str, Any]

HISTORY_LISTING = Listing(
    headers={
        "ID": "IMAGE",
        "CreatedSince": "CREATED",
        "CreatedAt": "CREATED AT",
        "CreatedBy": "CREATED BY",
        "Size": "SIZE",
        "Comment": "COMMENT",
    },
    columns=("ID", "CreatedSince", "CreatedBy", "Size", "Comment"),
)


def run_rmi(app: App, parsed: Parsed) -> int:
    """Remove each image and print what went."""
    code = 0
    for name in parsed.args:
        try:
            platform.check(app, name, parsed["platform"])
            gone = app.client.delete(
                f"/images/{name}",
                force=parsed["force"] or None,
                noprune=parsed["no-prune"] or None,
            )
        except NotFoundError as error:
            app.err(engine_sentence(error))
            code = code or (0 if parsed["force"] else 1)
            continue
        for one in gone:
            for what, value in one.items():
                app.out(f"{what}: {value}")
    return code


def run_tag(app: App, parsed: Parsed) -> None:
    """Give an image another name."""
    source, target = parsed.args
    repository, tag = split_reference(target)
    app.client.post(f"/images/{source}/tag", repo=repository, tag=tag or None)


def run_history(app: App, parsed: Parsed) -> None:
    """Print the steps that made an image."""
    platform.check(app, parsed.args[0], parsed["platform"])
    found = app.client.get(f"/images/{parsed.args[0]}/history")
    short, human = not parsed["no-trunc"], parsed["human"]
    if parsed["quiet"]:
        for one in found:
            app.out(_id(one["Id"], short))
        return
    HISTORY_LISTING.show([_history_row(one, short, human) for one in found], parsed["format"])


def _history_row(one: Json, short: bool, human: bool) -> Json:
    created = one["Created"]
    at = time.strftime("%Y-%m-%dT%H:%M:%S%z", time.localtime(created))
    at = f"{at[:-2]}:{at[-2:]}".replace("+00:00", "Z")
    by = " ".join(one["CreatedBy"].split())
    since = human_ago(time.time() - created) if created > 0 else "N/A"
    return {
        "ID": _id(one["Id"], short),
        "CreatedSince": since if human else at,
        "CreatedAt": at,
        "CreatedBy": ellipsis(by, 45) if short else by,
        "Size": human_size(one["Size"]) if human else str(one["Size"]),
        "Comment": one.get("Comment", ""),
    }


def _id(text: str, short: bool) -> str:
    return text.removeprefix("sha256:")[:12] if short else text


def run_commit(app: App, parsed: Parsed) -> None:
    """Make an image of a container's files and print its id."""
    repository, tag = split_reference(parsed.args[1]) if len(parsed.args) > 1 else ("", "")
    made = app.client.post(
        "/commit",
        {},
        container=parsed.args[0],
        repo=repository or None,
        tag=tag or None,
        comment=parsed["message"] or None,
        author=parsed["author"] or None,
        pause=parsed["pause"],
        changes=tuple(parsed["change"]),
    )
    app.out(made["Id"])


RMI = Command(
    "rmi [OPTIONS] IMAGE [IMAGE...]",
    "Remove one or more images",
    run_rmi,
    flags=(
        switch("force", "Remove it although containers were made of it", "f"),
        switch("no-prune", "Keep parents that have no name"),
        platform.PLATFORM,
    ),
    least=1,
    most=None,
)
TAG = Command(
    "tag SOURCE_IMAGE[:TAG] TARGET_IMAGE[:TAG]",
    "Give an image another name",
    run_tag,
    least=2,
    most=2,
)
HISTORY = Command(
    "history [OPTIONS] IMAGE",
    "Show the steps that made an image",
    run_history,
    flags=(
        FORMAT,
        switch("human", "Sizes and dates for people", "H", default=True),
        switch("no-trunc", "Don't shorten ids and commands"),
        platform.PLATFORM,
        switch("quiet", "Only ids", "q"),
    ),
    least=1,
    most=1,
)
COMMIT = Command(
    "commit [OPTIONS] CONTAINER [REPOSITORY[:TAG]]",
    "Make an image of a container's files",
    run_commit,
    flags=(
        text("author", "Who made it", "a"),
        many("change", "Apply a Dockerfile instruction to the image", "c"),
        text("message", "What changed", "m"),
        switch("pause", "Pause the container meanwhile", "p", default=True),
    ),
    least=1,
    most=2,
)
