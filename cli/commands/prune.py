"""`prune` of containers, images, volumes, networks, and of all of them (`bay system prune`)."""

from __future__ import annotations

import sys

from ...host.light import Any
from ..app import App
from ..command import Command
from ..flags import Flag, Parsed, switch
from ..listing import Listing, filter_flag, parse_filters
from ..units import human_size

Json = dict[str, Any]

_FILTER = filter_flag("Only what matches, for example until=24h or label=x", short="")
_FORCE = switch("force", "Don't ask", "f")
_DRY = switch("dry-run", "Only list what would go, and the space that would come back")

PREVIEW = Listing(
    headers={"Kind": "TYPE", "ID": "ID", "Name": "NAME", "Size": "SIZE"},
    columns=("Kind", "ID", "Name", "Size"),
)


def confirm(app: App, question: str, sure: bool) -> bool:
    """Ask on the terminal unless `sure`; anything but y is no."""
    if sure:
        return True
    sys.stdout.write(f"WARNING! {question}\nAre you sure you want to continue? [y/N] ")
    sys.stdout.flush()
    answer = sys.stdin.readline().strip().lower()
    if not sys.stdin.isatty():
        app.out()
    return answer in ("y", "yes")


def prune(app: App, kind: str, filters: dict[str, list[str]] | None) -> int:
    """Prune one kind (containers, images, networks, volumes), say what went; bytes freed."""
    found: Json = app.client.post(f"/{kind}/prune", filters=filters) or {}
    gone = found.get(f"{kind.capitalize()}Deleted") or []
    if gone:
        app.out(f"Deleted {kind.capitalize()}:")
        for one in gone:
            app.out(_line(one))
        app.out()
    return int(found.get("SpaceReclaimed") or 0)


def preview(app: App, kinds: str, everything: bool, filters: dict[str, list[str]] | None) -> None:
    """Say what a prune would remove."""
    found = app.client.get("/bay/prune", kinds=kinds, all=everything or None, filters=filters)
    rows = [preview_row(one) for one in found["Items"]]
    if rows:
        PREVIEW.show(rows)
        app.out()
    app.out(f"Total reclaimable space: {human_size(found['SpaceReclaimed'])}")


def preview_row(one: Json) -> Json:
    """One thing that would go, as a row."""
    key, name = one["Id"], one["Name"]
    if one["Kind"] == "download":
        key = key.partition("-")[2] or key  # sha256-…, the file's name
    if one["Kind"] == "tag":
        key = ""  # only the name goes
    elif name == key:
        name = name[:12]
    return {
        "Kind": one["Kind"],
        "ID": key.removeprefix("sha256:")[:12],
        "Name": name,
        "Size": human_size(one["Size"]),
    }


def _line(one: Any) -> str:
    """An image's entry says whether a name or the image itself went; the others are names."""
    if not isinstance(one, dict):
        return str(one)
    return "\n".join(f"{what.lower()}: {value}" for what, value in one.items())


def _leftovers(app: App, parsed: Parsed) -> None:
    if parsed["dry-run"]:
        preview(app, "leftovers", False, None)
        return
    text = "This will remove all layers of no image and all downloads that were cut short."
    if confirm(app, text, parsed["force"]):
        freed = app.client.post("/bay/leftovers/prune")["SpaceReclaimed"]
        app.out(f"Total reclaimed space: {human_size(freed)}")


def _verb(noun: str, kind: str, question: str, summary: str, *more: Flag) -> Command:
    """`bay <noun> prune`."""

    def run(app: App, parsed: Parsed) -> None:
        filters = parse_filters(parsed["filter"]) or {}
        wide = bool(parsed.values.get("all"))
        if wide and kind == "images":
            filters["dangling"] = ["false"]
        if wide and kind == "volumes":
            filters["all"] = ["true"]
        if parsed.values.get("leftovers"):
            _leftovers(app, parsed)
            return
        if parsed["dry-run"]:
            preview(app, kind, False, filters or None)
            return
        text = _WIDE.get(kind, question) if wide else question
        if not confirm(app, text, parsed["force"]):
            return
        freed = prune(app, kind, filters or None)
        if kind != "networks":
            app.out(f"Total reclaimed space: {human_size(freed)}")

    return Command(f"{noun} prune [OPTIONS]", summary, run, flags=(*more, _DRY, _FILTER, _FORCE))


_WIDE = {
    "images": "This will remove all images without at least one container associated to them.",
    "volumes": "This will remove all local volumes not used by at least one container.",
}

CONTAINER = _verb(
    "container",
    "containers",
    "This will remove all stopped containers.",
    "Remove all stopped containers",
)
IMAGE = _verb(
    "image",
    "images",
    "This will remove all dangling images.",
    "Remove images that nothing uses",
    switch("all", "All that no container uses, not only those without a name", "a"),
    switch("leftovers", "Only layers of no image and downloads that were cut short"),
)
NETWORK = _verb(
    "network",
    "networks",
    "This will remove all custom networks not used by at least one container.",
    "Remove networks that nothing uses",
)
VOLUME = _verb(
    "volume",
    "volumes",
    "This will remove anonymous local volumes not used by at least one container.",
    "Remove volumes that nothing uses",
    switch("all", "Those with a name too", "a"),
)


def run_system(app: App, parsed: Parsed) -> None:
    """Prune everything that nothing uses."""
    what = ["all stopped containers", "all networks not used by at least one container"]
    if parsed["volumes"]:
        what.append("all anonymous volumes not used by at least one container")
    what.append(
        "all images without at least one container associated to them"
        if parsed["all"]
        else "all dangling images"
    )
    what.append("all build cache" if parsed["all"] else "unused build cache")
    filters = parse_filters(parsed["filter"]) or {}
    if parsed["dry-run"]:
        kinds = "containers,networks,images,build-cache"
        kinds += ",volumes" if parsed["volumes"] else ""
        preview(app, kinds, parsed["all"], filters or None)
        return
    question = "This will remove:\n" + "".join(f"  - {one}\n" for one in what)
    if not confirm(app, question, parsed["force"]):
        return
    freed = prune(app, "containers", filters or None)
    # A network has no `until` of volumes and the like: each kind gets what it understands.
    freed += prune(app, "networks", filters or None)
    if parsed["volumes"]:
        of_volumes = {name: values for name, values in filters.items() if name != "until"}
        freed += prune(app, "volumes", of_volumes or None)
    of_images = {**filters, "dangling": ["false"]} if parsed["all"] else filters
    freed += prune(app, "images", of_images or None)
    until = {"until": filters["until"]} if "until" in filters else None
    cache: Json = app.client.post("/build/prune", all=parsed["all"] or None, filters=until) or {}
    if cache.get("CachesDeleted"):
        app.out("Deleted build cache objects:")
        for one in cache["CachesDeleted"]:
            app.out(one)
        app.out()
    freed += int(cache.get("SpaceReclaimed") or 0)
    app.out(f"Total reclaimed space: {human_size(freed)}")


SYSTEM = Command(
    "system prune [OPTIONS]",
    "Remove everything that nothing uses",
    run_system,
    flags=(
        switch("all", "All images no container uses, not only those without a name", "a"),
        _DRY,
        _FILTER,
        _FORCE,
        switch("volumes", "Anonymous volumes too"),
    ),
)
