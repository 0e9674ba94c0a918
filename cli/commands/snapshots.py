"""`bay snapshot`: copies of what a container wrote, to come back to or to go on from."""

from __future__ import annotations

from typing import Any

from ...host import clock
from ..app import App
from ..command import Command
from ..flags import Parsed, switch, text
from ..listing import FORMAT, Listing
from ..table import CYAN, DIM
from ..units import human_size
from .lifecycle import each
from .ps import local_time

Json = dict[str, Any]

# As `bay diff` has them.
_LETTERS = {"added": "A", "changed": "C", "removed": "D"}
LISTING = Listing(
    headers={
        "Container": "CONTAINER",
        "Name": "NAME",
        "ID": "SNAPSHOT ID",
        "CreatedAt": "CREATED AT",
        "Size": "SIZE",
        "Comment": "COMMENT",
        "Image": "IMAGE",
    },
    columns=("Container", "Name", "CreatedAt", "Size", "Comment"),
    styles={"Name": CYAN, "ID": DIM},
)


def run_create(app: App, parsed: Parsed) -> None:
    """Take a snapshot and print its name."""
    container, *name = parsed.args
    body = {
        "Name": name[0] if name else "",
        "Comment": parsed["message"],
        "Pause": parsed["pause"],
    }
    made = app.client.post(f"/bay/containers/{container.strip('/')}/snapshots", body)
    app.out(made["Name"])


def run_ls(app: App, parsed: Parsed) -> None:
    """Print the snapshots of a container, or of all."""
    path = f"/bay/containers/{parsed.args[0].strip('/')}/snapshots" if parsed.args else None
    found: list[Json] = app.client.get(path or "/bay/snapshots")
    if parsed["quiet"]:
        for one in found:
            app.out(one["Name"] if parsed.args else f"{one['ContainerName']} {one['Name']}")
        return
    LISTING.show([snapshot_row(one) for one in found], parsed["format"])


def snapshot_row(one: Json) -> Json:
    """One snapshot as a row."""
    return {
        "Container": one["ContainerName"] or one["Container"][:12],
        "Name": one["Name"],
        "ID": one["Id"][:12],
        "CreatedAt": local_time(clock.to_ns(one["Created"]) // 1_000_000_000),
        "Size": human_size(one["Size"]),
        "Comment": one["Comment"],
        "Image": one["Image"],
    }


def run_rollback(app: App, parsed: Parsed) -> None:
    """Go back and print the container; or only what that would lose and bring back."""
    container, snapshot = parsed.args
    if parsed["dry-run"]:
        _preview(app, f"/bay/containers/{container.strip('/')}/snapshots/{snapshot}/changes")
        return
    app.client.post(f"/bay/containers/{container.strip('/')}/snapshots/{snapshot}/rollback")
    app.out(container)


def _preview(app: App, path: str) -> None:
    found: Json = app.client.get(path)
    for one in found["Changes"]:
        was = one["Change"] == "removed"
        size = human_size(one["SizeBefore" if was else "Size"])
        held = f" ({one['Held']} in it)" if one.get("Held") else ""
        app.out(f"{_LETTERS[one['Change']]} {size:>9} {one['Path']}{held}")
    counts = f"{found['Added']} added, {found['Changed']} changed, {found['Removed']} removed"
    if found["Changes"]:
        app.out("")
    app.out(f"Since {found['Snapshot']['Name']}: {counts}")
    lost, back = human_size(found["SizeLost"]), human_size(found["SizeBack"])
    app.out(f"Would lose {lost}, bring back {back}")


def run_branch(app: App, parsed: Parsed) -> None:
    """Create a container from a snapshot and print its id."""
    container, snapshot, *name = parsed.args
    made = app.client.post(
        f"/bay/containers/{container.strip('/')}/snapshots/{snapshot}/branch",
        {"Name": name[0] if name else ""},
    )
    for warning in made["Warnings"]:
        app.err(f"WARNING: {warning}")
    app.out(made["Id"])


def run_rm(app: App, parsed: Parsed) -> int:
    """Remove each snapshot and print its name."""
    container, *names = parsed.args

    def act(name: str) -> None:
        app.client.delete(f"/bay/containers/{container.strip('/')}/snapshots/{name}")

    return each(app, names, act)


CREATE = Command(
    "snapshot create [OPTIONS] CONTAINER [NAME]",
    "Keep a copy of what a container wrote",
    run_create,
    flags=(
        text("message", "What it is for", "m"),
        switch("pause", "Pause a running container meanwhile", "p", default=True),
    ),
    least=1,
    most=2,
)
LS = Command(
    "snapshot ls [OPTIONS] [CONTAINER]",
    "List snapshots",
    run_ls,
    flags=(FORMAT, switch("quiet", "Only names", "q")),
    most=1,
)
ROLLBACK = Command(
    "snapshot rollback [OPTIONS] CONTAINER SNAPSHOT",
    "Give a stopped container the files it had; what it wrote since is lost",
    run_rollback,
    flags=(switch("dry-run", "Only list what would be lost (A, C) and come back (D), with sizes"),),
    least=2,
    most=2,
)
BRANCH = Command(
    "snapshot branch CONTAINER SNAPSHOT [NAME]",
    "Create a container that goes on from a snapshot",
    run_branch,
    least=2,
    most=3,
)
RM = Command(
    "snapshot rm CONTAINER SNAPSHOT [SNAPSHOT...]",
    "Remove one or more snapshots",
    run_rm,
    least=2,
    most=None,
)
