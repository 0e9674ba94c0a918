"""`bay events`: what happens in the engine, as it happens."""

from __future__ import annotations

import time

from ...host.light import Any
from ..app import App
from ..command import Command
from ..flags import Parsed, text
from ..listing import filter_flag, parse_filters
from ..when import parse_when

Json = dict[str, Any]


def run_events(app: App, parsed: Parsed) -> None:
    """Print events until `--until`, or for ever."""
    form = parsed["format"]
    show = _shower(form)
    params = {
        "since": parse_when(parsed["since"]),
        "until": parse_when(parsed["until"]),
        "filters": parse_filters(parsed["filter"]),
    }
    for event in app.client.stream("GET", "/events", params):
        print(show(event), flush=True)


def _shower(form: str) -> Any:
    """The function that makes a line of an event."""
    if form == "json":
        import json

        return lambda event: json.dumps(event, ensure_ascii=False, separators=(",", ":"))
    if form:
        from ..template import Template

        return Template(form).render
    return line_of


def line_of(event: Json) -> str:
    """An event as a line: time, type, action, id, and its attributes sorted."""
    actor = event.get("Actor") or {}
    attributes = ", ".join(f"{k}={v}" for k, v in sorted((actor.get("Attributes") or {}).items()))
    words = [stamp(event), event.get("Type", ""), event.get("Action", ""), actor.get("ID", "")]
    return " ".join(words) + (f" ({attributes})" if attributes else "")


def stamp(event: Json) -> str:
    """An event's time with nanoseconds, in the local zone (RFC 3339)."""
    ns = event.get("timeNano") or event.get("time", 0) * 1_000_000_000
    local = time.localtime(ns // 1_000_000_000)
    offset = time.strftime("%z", local)
    zone = "Z" if offset == "+0000" else f"{offset[:3]}:{offset[3:]}"
    return time.strftime("%FT%T", local) + f".{ns % 1_000_000_000:09d}{zone}"


EVENTS = Command(
    "events [OPTIONS]",
    "Show what happens in the engine, as it happens",
    run_events,
    flags=(
        filter_flag("Only what matches, for example type=container"),
        text("format", "Format output: 'json' or 'TEMPLATE' (a Go template)"),
        text("since", "From this time on"),
        text("until", "Up to this time"),
    ),
)
