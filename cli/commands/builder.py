"""`bay builder`: the build cache."""

from __future__ import annotations

import time

from ...host import clock
from ...host.light import Any
from ..app import App
from ..command import Command
from ..flags import Parsed, size, switch
from ..listing import FORMAT, Listing, Row, filter_flag, parse_filters
from ..units import human_ago, human_size
from .prune import confirm

Json = dict[str, Any]

LISTING = Listing(
    headers={
        "ID": "ID",
        "CacheType": "TYPE",
        "Size": "SIZE",
        "CreatedSince": "CREATED",
        "LastUsedSince": "LAST USED",
        "UsageCount": "USAGE",
        "Shared": "SHARED",
        "InUse": "IN USE",
        "Description": "DESCRIPTION",
    },
    columns=("ID", "CacheType", "Size", "LastUsedSince", "UsageCount", "Shared", "Description"),
)


def cache_row(one: Json) -> Row:
    """A record of the cache as a row."""
    text = " ".join(str(one.get("Description") or "").split())
    return {
        "ID": str(one["ID"])[:12],
        "CacheType": str(one["Type"]),
        "Size": human_size(one.get("Size") or 0),
        "CreatedSince": _ago(one["CreatedAt"]),
        "LastUsedSince": _ago(one["LastUsedAt"]),
        "UsageCount": str(one.get("UsageCount", 0)),
        "Shared": str(bool(one.get("Shared"))).lower(),
        "InUse": str(bool(one.get("InUse"))).lower(),
        "Description": text if len(text) <= 60 else text[:59] + "…",
    }


def _ago(moment: str) -> str:
    return human_ago(max(0.0, time.time() - clock.to_ns(moment) / 1e9))


def run_prune(app: App, parsed: Parsed) -> None:
    """Remove from the cache, or tell what would go."""
    filters = parse_filters(parsed["filter"]) or None
    keep = parsed["keep-storage"] or parsed["reserved-space"]
    parameters: Json = {
        "all": parsed["all"] or None,
        "filters": filters,
        "keep-storage": keep or None,
        "dry-run": parsed["dry-run"] or None,
    }
    what = "all build cache" if parsed["all"] else "all build cache that no image shares"
    if not parsed["dry-run"] and not confirm(app, f"This will remove {what}.", parsed["force"]):
        return
    found: Json = app.client.post("/build/prune", **parameters) or {}
    rows = [cache_row(one) for one in found.get("Records") or []]
    if rows:
        LISTING.show(rows, "")
    verb = "Would free" if parsed["dry-run"] else "Total:"
    app.out(f"{verb}\t{human_size(found.get('SpaceReclaimed') or 0)}")


def run_du(app: App, parsed: Parsed) -> None:
    """List the cache."""
    found: Json = app.client.get("/system/df", type="build-cache")
    rows = [cache_row(one) for one in found.get("BuildCache") or []]
    LISTING.show(rows, parsed["format"])


PRUNE = Command(
    "builder prune [OPTIONS]",
    "Remove build cache",
    run_prune,
    flags=(
        switch("all", "Also what images share", "a"),
        switch("dry-run", "Only show what would go"),
        filter_flag("Only what matches: until=24h, type=exec.cachemount, id=…", short=""),
        switch("force", "Don't ask", "f"),
        size("keep-storage", "Keep this much, the last used"),
        size("reserved-space", "The same as --keep-storage", hidden=True),
    ),
)
DU = Command("builder du [OPTIONS]", "List the build cache", run_du, flags=(FORMAT,))
