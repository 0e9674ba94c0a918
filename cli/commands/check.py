"""`bay system check`: is what is stored still what was stored."""

from __future__ import annotations

import sys
from typing import Any

from ..app import App
from ..command import Command
from ..flags import Parsed, switch
from ..units import human_size

Json = dict[str, Any]


def run_check(app: App, parsed: Parsed) -> int:
    """Print each problem; 0 when there is none, or all were repaired."""
    body = {"Repair": parsed["repair"]}
    progress = _Progress(parsed["quiet"])
    summary: Json = {}
    for event in app.client.stream("POST", "/bay/system/check", None, body):
        ((kind, found),) = event.items()
        if kind == "Progress":
            progress.show(found)
            continue
        progress.clear()
        if kind == "Summary":
            summary = found
        elif kind == "Problem":
            app.out(_problem(found))
        elif kind == "Repaired":
            app.out(f"repaired {found['Id']} from {found['From']}")
        elif kind == "Failed":
            app.err(found["Detail"])
    if not summary:
        app.err("the check was interrupted")
        return 1
    left = summary["Problems"] - summary["Repaired"]
    if not parsed["quiet"]:
        app.out(
            f"Checked {summary['Images']} images, {summary['Layers']} layers,"
            f" {summary['Files']} files, {human_size(summary['Bytes'])}: {_verdict(summary)}"
        )
    if left and not parsed["repair"] and not parsed["quiet"]:
        app.err("bay system check --repair pulls damaged layers again")
    return 1 if left else 0


def _verdict(summary: Json) -> str:
    problems, repaired = summary["Problems"], summary["Repaired"]
    if not problems:
        return "no problem"
    text = f"{problems} problem{'s' if problems > 1 else ''}"
    return f"{text}, {repaired} repaired" if repaired else text


def _problem(found: Json) -> str:
    place = f" {found['Path']}" if found["Path"] else ""
    images = f" (in {', '.join(found['Images'])})" if found["Images"] else ""
    return f"{found['Kind']} {found['Id']}{place}: {found['Detail']}{images}"


class _Progress:
    """A line on the terminal that is written over."""

    def __init__(self, quiet: bool) -> None:
        self._on = not quiet and sys.stderr.isatty()
        self._shown = False

    def show(self, found: Json) -> None:
        if self._on:
            text = f"{found['Done']}/{found['Total']} {human_size(found['Bytes'])}"
            sys.stderr.write(f"\r\033[Kchecking {text} {found['Current'][:19]}")
            sys.stderr.flush()
            self._shown = True

    def clear(self) -> None:
        if self._shown:
            sys.stderr.write("\r\033[K")
            sys.stderr.flush()
            self._shown = False


CHECK = Command(
    "system check [OPTIONS]",
    "Read back every image and layer and compare it with its digest",
    run_check,
    flags=(
        switch("quiet", "Only problems", "q"),
        switch("repair", "Pull damaged layers again"),
    ),
)
