"""`bay system df`: where the disk goes."""

from __future__ import annotations

from ...host.light import Any
from ..app import App
from ..command import Command
from ..flags import Parsed, switch
from ..listing import FORMAT, Listing, Row
from ..units import human_size
from .builder import LISTING as CACHE_LISTING
from .builder import cache_row
from .imagelist import LISTING as IMAGE_LISTING
from .imagelist import image_rows
from .prune import PREVIEW as LEFT_LISTING
from .prune import preview_row
from .ps import LISTING as CONTAINER_LISTING
from .ps import container_row
from .snapshots import LISTING as SNAPSHOT_LISTING
from .snapshots import snapshot_row
from .volumes import LISTING as VOLUME_LISTING
from .volumes import volume_row

Json = dict[str, Any]

LISTING = Listing(
    headers={
        "Type": "TYPE",
        "TotalCount": "TOTAL",
        "Active": "ACTIVE",
        "Size": "SIZE",
        "Reclaimable": "RECLAIMABLE",
    },
    columns=("Type", "TotalCount", "Active", "Size", "Reclaimable"),
    raw=(
        ("type", "Type"),
        ("total", "TotalCount"),
        ("active", "Active"),
        ("size", "Size"),
        ("reclaimable", "Reclaimable"),
    ),
)


def run_df(app: App, parsed: Parsed) -> None:
    """Print the space that images, containers and volumes take."""
    found: Json = app.client.get("/system/df")
    if parsed["verbose"] and not parsed["format"]:
        _verbose(app, found)
        return
    rows = [_images(found), _containers(found), _volumes(found), _cache(found)]
    saved = found.get("Snapshots") or []
    if saved:
        size = sum(one["Size"] for one in saved)
        rows.append(_row("Snapshots", len(saved), 0, size, size))
    left = found.get("Leftovers") or []
    if left:
        size = sum(one["Size"] for one in left)
        rows.append(_row("Leftovers", len(left), 0, size, size))
    LISTING.show(rows, parsed["format"])


def _row(kind: str, count: int, active: int, size: int, free: int) -> Row:
    share = f" ({free * 100 // size}%)" if size > 0 else ""
    return {
        "Type": kind,
        "TotalCount": str(count),
        "Active": str(active),
        "Size": human_size(size, 4),
        "Reclaimable": human_size(free, 4) + share,
    }


def _images(found: Json) -> Row:
    images = found.get("Images") or []
    total = found.get("LayersSize") or 0
    used = sum(
        one["Size"] - max(one.get("SharedSize", 0), 0)
        for one in images
        if one.get("Containers", 0) > 0
    )
    active = sum(one.get("Containers", 0) > 0 for one in images)
    # Layers that an image in use shares with others stay; what is counted used is its own part.
    return _row("Images", len(images), active, total, total - used if active else total)


def _containers(found: Json) -> Row:
    containers = found.get("Containers") or []
    active = [one for one in containers if one["State"] in ("running", "paused", "restarting")]
    size = sum(one.get("SizeRw") or 0 for one in containers)
    used = sum(one.get("SizeRw") or 0 for one in active)
    return _row("Containers", len(containers), len(active), size, size - used)


def _volumes(found: Json) -> Row:
    usages = [one.get("UsageData") or {} for one in found.get("Volumes") or []]
    size = sum(max(one.get("Size", 0), 0) for one in usages)
    active = [one for one in usages if one.get("RefCount", 0) > 0]
    used = sum(max(one.get("Size", 0), 0) for one in active)
    return _row("Local Volumes", len(usages), len(active), size, size - used)


def _cache(found: Json) -> Row:
    cache = found.get("BuildCache") or []
    size = sum(one.get("Size", 0) for one in cache if not one.get("Shared"))
    used = sum(one.get("Size", 0) for one in cache if one.get("InUse") and not one.get("Shared"))
    active = sum(bool(one.get("InUse")) for one in cache)
    row = _row("Build Cache", len(cache), active, size, size - used)
    return row | {"Reclaimable": human_size(size - used, 4)}  # docker gives no share here


def _verbose(app: App, found: Json) -> None:
    """A list of everything, with sizes."""
    app.out("Images space usage:\n")
    images = [next(image_rows(one, True, False)) for one in found.get("Images") or []]
    columns = [*IMAGE_LISTING.columns, "SharedSize", "UniqueSize", "Containers"]
    IMAGE_LISTING.show(images, "", columns)
    app.out("\nContainers space usage:\n")
    containers = [
        {**container_row(one, True), "Size": human_size(one.get("SizeRw") or 0)}
        for one in found.get("Containers") or []
    ]
    columns = ["ID", "Image", "Command", "LocalVolumes", "Size", "RunningFor", "Status", "Names"]
    CONTAINER_LISTING.show(containers, "", columns)
    app.out("\nLocal Volumes space usage:\n")
    volumes = [volume_row(one) for one in found.get("Volumes") or []]
    VOLUME_LISTING.show(volumes, "", ["Name", "Links", "Size"])
    cache = found.get("BuildCache") or []
    size = sum(one.get("Size", 0) for one in cache if not one.get("Shared"))
    app.out(f"\nBuild cache usage: {human_size(size)}\n")
    CACHE_LISTING.show([cache_row(one) for one in cache], "")
    saved = found.get("Snapshots") or []
    if saved:
        app.out("\nSnapshots space usage:\n")
        SNAPSHOT_LISTING.show([snapshot_row(one) for one in saved], "")
    left = found.get("Leftovers") or []
    if left:
        app.out("\nLayers of no image and downloads cut short (bay image prune --leftovers):\n")
        LEFT_LISTING.show([preview_row(one) for one in left], "", ["Kind", "ID", "Size"])


DF = Command(
    "system df [OPTIONS]",
    "Show where the disk space goes",
    run_df,
    flags=(FORMAT, switch("verbose", "List each image, container and volume", "v")),
)
