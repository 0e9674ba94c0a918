"""`bay layers`: what each layer of an image holds, and what it costs."""

from __future__ import annotations

import stat
from typing import Any

from ..app import App
from ..command import Command
from ..flags import Parsed, switch, text
from ..listing import FORMAT, Listing
from ..table import DIM, YELLOW
from ..units import human_size
from .ps import ellipsis

Json = dict[str, Any]

LISTING = Listing(
    headers={
        "Index": "LAYER",
        "ID": "DIFF ID",
        "Size": "SIZE",
        "Compressed": "COMPRESSED",
        "Added": "ADDED",
        "Changed": "CHANGED",
        "Removed": "REMOVED",
        "Wasted": "WASTED",
        "CreatedBy": "CREATED BY",
    },
    columns=("Index", "Size", "Added", "Changed", "Removed", "Wasted", "CreatedBy"),
    styles={"ID": DIM, "Wasted": YELLOW},
)
TREE_LISTING = Listing(
    headers={
        "Change": "CHANGE",
        "Mode": "MODE",
        "Owner": "UID:GID",
        "Size": "SIZE",
        "Wasted": "WASTED",
        "Path": "PATH",
    },
    columns=("Change", "Mode", "Owner", "Size", "Wasted", "Path"),
)
_TYPES = {
    "file": stat.S_IFREG,
    "directory": stat.S_IFDIR,
    "symlink": stat.S_IFLNK,
    "char": stat.S_IFCHR,
    "block": stat.S_IFBLK,
    "fifo": stat.S_IFIFO,
    "socket": stat.S_IFSOCK,
}


def run_layers(app: App, parsed: Parsed) -> None:
    """Print the layers of an image, or a folder of one of them."""
    image = parsed.args[0]
    if parsed["layer"]:
        path = f"/bay/images/{image}/layers/{parsed['layer']}/tree"
        found = app.client.call("GET", path, {"path": parsed["path"]})
        TREE_LISTING.show([_tree_row(one) for one in found["Entries"]], parsed["format"])
        return
    found = app.client.get(f"/bay/images/{image}/layers")
    whole = parsed["no-trunc"]
    rows = [_row(one, whole) for one in found["Layers"] if parsed["all"] or not one["Empty"]]
    LISTING.show(rows, parsed["format"])
    if not parsed["format"] and found["Wasted"]:
        app.out(
            f"\nWasted: {human_size(found['WastedBytes'])} of {human_size(found['Size'])}"
            f" ({100 - 100 * found['Efficiency']:.1f}%), in files that higher layers replace or"
            " remove:"
        )
        for one in found["Wasted"][: None if whole else 10]:
            app.out(f"  {human_size(one['Bytes']):>9}  {one['Path']}")


def _row(one: Json, whole: bool) -> Json:
    by = " ".join(one["CreatedBy"].split())
    packed = one["CompressedSize"]
    return {
        "Index": one["Index"],
        "ID": one["DiffId"] if whole else one["DiffId"].removeprefix("sha256:")[:12],
        "Size": human_size(one["Size"]),
        "Compressed": "N/A" if packed is None else human_size(packed),
        "Added": one["Added"],
        "Changed": one["Changed"],
        "Removed": one["Removed"],
        "Wasted": human_size(one["WastedBytes"]),
        "CreatedBy": by if whole else ellipsis(by, 45),
    }


def _tree_row(one: Json) -> Json:
    link = f" -> {one['Target']}" if one["Target"] else ""
    return {
        "Change": one["Change"],
        "Mode": stat.filemode(_TYPES.get(one["Type"], 0) | one["Mode"]),
        "Owner": f"{one['Uid']}:{one['Gid']}",
        "Size": human_size(one["Size"]),
        "Wasted": human_size(one["WastedBytes"]),
        "Path": one["Path"] + ("/" if one["Type"] == "directory" else "") + link,
    }


LAYERS = Command(
    "layers [OPTIONS] IMAGE",
    "Show what each layer of an image adds, changes, removes and wastes",
    run_layers,
    flags=(
        switch("all", "Steps that made no layer too", "a"),
        FORMAT,
        text("layer", "List the files of this layer: its number or its DiffID", "l"),
        switch("no-trunc", "Don't shorten ids, commands and the list of waste"),
        text("path", "The folder to list of a layer", "p", default="/"),
    ),
    least=1,
    most=1,
)
