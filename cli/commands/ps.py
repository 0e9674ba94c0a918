"""`bay ps`: the list of containers."""

from __future__ import annotations

import time

from ...host.light import Any, Callable
from ..app import App
from ..command import Command
from ..flags import Parsed, switch, whole
from ..listing import FORMAT, Listing, Row, filter_flag, join_labels, label_getter, parse_filters
from ..table import CYAN, DIM
from ..units import human_ago, human_size

Json = dict[str, Any]

LISTING = Listing(
    headers={
        "ID": "CONTAINER ID",
        "Image": "IMAGE",
        "Command": "COMMAND",
        "CreatedAt": "CREATED AT",
        "RunningFor": "CREATED",
        "Status": "STATUS",
        "State": "STATE",
        "Ports": "PORTS",
        "Names": "NAMES",
        "Size": "SIZE",
        "Labels": "LABELS",
        "Mounts": "MOUNTS",
        "LocalVolumes": "LOCAL VOLUMES",
        "Networks": "NETWORKS",
        "Platform": "PLATFORM",
    },
    columns=("ID", "Image", "Command", "RunningFor", "Status", "Ports", "Names"),
    styles={"ID": DIM, "Status": "state", "Image": CYAN},
    raw=(
        ("container_id", "ID"),
        ("image", "Image"),
        ("command", "Command"),
        ("created_at", "CreatedAt"),
        ("state", "State"),
        ("status", "Status"),
        ("names", "Names"),
        ("labels", "Labels"),
        ("ports", "Ports"),
        ("size", "Size"),
    ),
)


def run_ps(app: App, parsed: Parsed) -> None:
    """Ask for the list and print it."""
    last = 1 if parsed["latest"] else parsed["last"]
    form = parsed["format"] or app.config.form("psFormat")
    size = parsed["size"] or ".Size" in form or "{{json .}}" in form
    found = app.client.get(
        "/containers/json",
        all=(parsed["all"] or last > 0) or None,
        limit=last if last > 0 else None,
        size=size or None,
        filters=parse_filters(parsed["filter"]),
    )
    if parsed["quiet"] and not parsed["format"]:
        for one in found:
            app.out(one["Id"] if parsed["no-trunc"] else one["Id"][:12])
        return
    columns = [*LISTING.columns, "Size"] if parsed["size"] else LISTING.columns
    short = not parsed["no-trunc"]
    # A table has half of the fields, and those that it lacks are the slower half.
    wanted = columns if form in ("", "table") else FIELDS
    rows = [{name: FIELDS[name](one, short) for name in wanted} for one in found]
    LISTING.show(rows, form, columns)


def _mounts(one: Json, short: bool) -> str:
    names = [mount.get("Name") or mount["Source"] for mount in one.get("Mounts", [])]
    return ",".join(ellipsis(name, 15) if short else name for name in names)


def _networks(one: Json, _short: bool) -> str:
    return ",".join((one.get("NetworkSettings") or {}).get("Networks") or {})


# What each field is of a container's summary, whether cut short or whole.
FIELDS: dict[str, Callable[[Json, bool], Any]] = {
    "ID": lambda one, short: one["Id"][:12] if short else one["Id"],
    "Image": lambda one, short: _image(one, short),
    "Command": lambda one, short: f'"{ellipsis(one["Command"], 20) if short else one["Command"]}"',
    "CreatedAt": lambda one, _: local_time(one["Created"]),
    "RunningFor": lambda one, _: human_ago(time.time() - one["Created"]),
    "Status": lambda one, _: one["Status"],
    "State": lambda one, _: one["State"],
    "Ports": lambda one, _: ports_cell(one.get("Ports") or []),
    "Names": lambda one, short: ",".join(
        [name.lstrip("/") for name in one["Names"] if not short or name.count("/") == 1]
    ),
    "Size": lambda one, _: _size(one),
    "Labels": lambda one, _: join_labels(one.get("Labels")),
    "Label": lambda one, _: label_getter(one.get("Labels")),
    "Mounts": _mounts,
    "LocalVolumes": lambda one, _: str(
        sum(mount.get("Driver") == "local" for mount in one.get("Mounts", []))
    ),
    "Networks": _networks,
    "Platform": lambda one, _: (one.get("ImageManifestDescriptor") or {}).get("platform"),
}


def container_row(one: Json, short: bool) -> Row:
    """All fields of one container summary."""
    return {name: field(one, short) for name, field in FIELDS.items()}


def _image(one: Json, short: bool) -> str:
    image: str = one["Image"]
    if not image:
        return "<no image>"
    if short and image == one.get("ImageID"):
        return image.removeprefix("sha256:")[:12]
    return image.partition("@")[0] if short else image


def _size(one: Json) -> str:
    written = human_size(one.get("SizeRw") or 0)
    total = one.get("SizeRootFs") or 0
    return f"{written} (virtual {human_size(total)})" if total > 0 else written


def ellipsis(text: str, limit: int) -> str:
    """`text` cut to `limit` characters, the last one then being an ellipsis."""
    return text if len(text) <= limit else text[: limit - 1] + "…"


def local_time(seconds: float) -> str:
    """A time in the local zone, as Go prints one: 2006-01-02 15:04:05 -0700 MST."""
    return time.strftime("%F %T %z %Z", time.localtime(seconds))


def ports_cell(ports: list[Json]) -> str:
    """Published and exposed ports, ranges joined: `0.0.0.0:80-81->80-81/tcp, 53/udp`."""
    if not ports:
        return ""
    spans: list[list[Any]] = []
    order = sorted(
        ports,
        key=lambda p: (p["PrivatePort"], p.get("IP", ""), p.get("PublicPort", 0), p["Type"]),
    )
    for port in order:
        address, public, kind = port.get("IP", ""), port.get("PublicPort", 0), port["Type"]
        private = port["PrivatePort"]
        for span in spans:
            gap = private - span[3]
            # Docker joins published ports only where inside and outside are the same.
            joins = span[5] == span[3] and public == private if public else not span[5]
            if span[:2] == [address, kind] and gap == 1 and joins:
                span[3], span[5] = private, public
                break
        else:
            spans.append([address, kind, private, private, public, public])
    return ", ".join(_span(*span) for span in spans)


def _span(address: str, kind: str, first: int, last: int, public: int, public_last: int) -> str:
    private = f"{first}" if first == last else f"{first}-{last}"
    if not public:
        return f"{private}/{kind}"
    outside = f"{public}" if public == public_last else f"{public}-{public_last}"
    host = f"[{address}]" if ":" in address else address
    return f"{host}:{outside}->{private}/{kind}" if host else f"{outside}->{private}/{kind}"


PS = Command(
    "ps [OPTIONS]",
    "List containers",
    run_ps,
    flags=(
        switch("all", "Show all containers, not only those that run", "a"),
        filter_flag("Show only what matches, for example status=exited"),
        FORMAT,
        whole("last", "Show the last n created containers, in any state", "n", default=-1),
        switch("latest", "Show the container created last, in any state", "l"),
        switch("no-trunc", "Don't shorten ids and commands"),
        switch("quiet", "Only ids", "q"),
        switch("size", "Show the size of the files each container wrote", "s"),
    ),
)
