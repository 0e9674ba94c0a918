"""`bay search`: images of a registry by a word."""

from __future__ import annotations

from typing import Any

from ..app import App
from ..auth import auth_header
from ..command import Command
from ..flags import Parsed, switch, whole
from ..listing import FORMAT, Listing, filter_flag, parse_filters
from ..table import CYAN
from .ps import ellipsis

Json = dict[str, Any]

LISTING = Listing(
    headers={
        "Name": "NAME",
        "Description": "DESCRIPTION",
        "StarCount": "STARS",
        "IsOfficial": "OFFICIAL",
        "IsAutomated": "AUTOMATED",
    },
    columns=("Name", "Description", "StarCount", "IsOfficial"),
    styles={"Name": CYAN},
)


def run_search(app: App, parsed: Parsed) -> None:
    """Ask the engine and print what was found, the most stars first."""
    term = parsed.args[0]
    found: list[Json] = app.client.call(
        "GET",
        "/images/search",
        {
            "term": term,
            "limit": parsed.chosen("limit"),
            "filters": parse_filters(parsed["filter"]),
        },
        headers=auth_header(app.config, term),
    )
    found.sort(key=lambda one: -one["star_count"])
    LISTING.show([_row(one, parsed["no-trunc"]) for one in found], parsed["format"])


def _row(one: Json, whole_text: bool) -> Json:
    about = " ".join(one["description"].split())
    return {
        "Name": one["name"],
        "Description": about if whole_text else ellipsis(about, 45),
        "StarCount": one["star_count"],
        "IsOfficial": "[OK]" if one["is_official"] else "",
        "IsAutomated": "[OK]" if one["is_automated"] else "",
    }


SEARCH = Command(
    "search [OPTIONS] TERM",
    "Search a registry for images: Docker Hub, or HOST/TERM",
    run_search,
    flags=(
        filter_flag("Filter by is-official=true, stars=3"),
        FORMAT,
        whole("limit", "At most so many results (25, up to 100)", default=None),
        switch("no-trunc", "Don't shorten descriptions"),
    ),
    least=1,
    most=1,
)
