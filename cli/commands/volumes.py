"""`bay volume`: ls, create, rm."""

from __future__ import annotations

from ...host.light import Any
from .. import refused
from ..app import App
from ..command import Command
from ..envfile import labels
from ..flags import Parsed, UsageError, many, switch, text
from ..listing import FORMAT, Listing, Row, filter_flag, join_labels, label_getter, parse_filters
from ..table import CYAN
from ..units import human_size
from .lifecycle import each

Json = dict[str, Any]

LISTING = Listing(
    headers={
        "Driver": "DRIVER",
        "Name": "VOLUME NAME",
        "Scope": "SCOPE",
        "Mountpoint": "MOUNTPOINT",
        "Labels": "LABELS",
        "Links": "LINKS",
        "Size": "SIZE",
    },
    columns=("Driver", "Name"),
    styles={"Name": CYAN},
    raw=(("name", "Name"), ("driver", "Driver")),
)


def run_ls(app: App, parsed: Parsed) -> None:
    """Print the list of volumes."""
    found = app.client.get("/volumes", filters=parse_filters(parsed["filter"]))
    volumes = sorted(found.get("Volumes") or [], key=lambda one: str(one["Name"]))
    if parsed["quiet"] and not parsed["format"]:
        for one in volumes:
            app.out(one["Name"])
        return
    form = parsed["format"] or app.config.form("volumesFormat")
    LISTING.show([volume_row(one) for one in volumes], form)


def volume_row(one: Json) -> Row:
    """The fields of one volume."""
    usage = one.get("UsageData") or {}
    size, links = usage.get("Size", -1), usage.get("RefCount", -1)
    return {
        "Driver": one["Driver"],
        "Name": one["Name"],
        "Scope": one.get("Scope", "local"),
        "Mountpoint": one["Mountpoint"],
        "Labels": join_labels(one.get("Labels")),
        "Label": label_getter(one.get("Labels")),
        "Links": str(links) if links >= 0 else "N/A",
        "Size": human_size(size) if size >= 0 else "N/A",
    }


def run_create(app: App, parsed: Parsed) -> None:
    """Make a volume and print its name."""
    options = [one.partition("=") for one in parsed["opt"]]
    if any(not equals for _, equals, _ in options):
        raise UsageError('invalid argument for "-o, --opt" flag: write NAME=VALUE')
    made = app.client.post(
        "/volumes/create",
        {
            "Name": parsed.args[0] if parsed.args else "",
            "Driver": parsed["driver"],
            "DriverOpts": {name: value for name, _, value in options},
            "Labels": labels(parsed["label"]),
        },
    )
    app.out(made["Name"])


def run_rm(app: App, parsed: Parsed) -> int:
    """Remove volumes."""
    force = parsed["force"] or None
    return each(app, parsed.args, lambda name: app.client.delete(f"/volumes/{name}", force=force))


# Flags of Swarm's volumes, and the defaults docker has for them.
_CLUSTER = (
    ("availability", "active"),
    ("group",),
    ("limit-bytes",),
    ("required-bytes",),
    ("scope", "single"),
    ("secret",),
    ("sharing", "none"),
    ("topology-preferred",),
    ("topology-required",),
    ("type", "block"),
)

LS = Command(
    "volume ls [OPTIONS]",
    "List volumes",
    run_ls,
    flags=(
        filter_flag("Only what matches, for example dangling=true"),
        FORMAT,
        switch("cluster", "Only Swarm's volumes: there are none", hidden=True),
        switch("quiet", "Only names", "q"),
    ),
)
CREATE = Command(
    "volume create [OPTIONS] [VOLUME]",
    "Create a volume",
    run_create,
    flags=(
        text("driver", "Volume driver", "d", default="local"),
        many("label", "Label the volume: NAME=VALUE"),
        many("opt", "Option of the driver: NAME=VALUE", "o", kind="map"),
        *(refused.value(name, refused.SWARM, *usual) for name, *usual in _CLUSTER),
    ),
    most=1,
)
RM = Command(
    "volume rm [OPTIONS] VOLUME [VOLUME...]",
    "Remove one or more volumes",
    run_rm,
    flags=(switch("force", "No failure if it doesn't exist", "f"),),
    least=1,
    most=None,
)
