"""`bay doctor`: whether this host has what containers need, and how to get the rest."""

from __future__ import annotations

import os
from pathlib import Path

from ..app import App
from ..command import Command
from ..flags import Parsed, text
from ..table import GREEN, RED, YELLOW, is_styled, paint

DEFAULT_ROOT = "/var/lib/bay"


def run_doctor(app: App, parsed: Parsed) -> int:
    """Print what was found; 1 when something is missing."""
    from ...host import probe

    root = parsed["root"] or os.environ.get("BAY_ROOT") or DEFAULT_ROOT
    distribution = probe.distribution()
    found = probe.findings(Path(root))
    styled = is_styled()
    for one in found:
        mark = "ok" if one.ok else "missing"
        mark = paint(f"{mark:<8}", GREEN if one.ok else RED) if styled else f"{mark:<8}"
        app.out(f"{mark}{one.name}: {one.found}")
        if one.ok:
            continue
        app.out(f"        {one.why}")
        cure = one.command(distribution)
        if cure:
            app.out(f"        cure: {cure}")
    for warning in warnings(app):
        mark = paint(f"{'note':<8}", YELLOW) if styled else f"{'note':<8}"
        app.out(f"{mark}the running engine: {warning}")
    missing = sum(not one.ok for one in found)
    app.out(f"\n{missing} of {len(found)} missing." if missing else "\nAll is there.")
    return 1 if missing else 0


def warnings(app: App) -> list[str]:
    """What the engine warns of, when one runs here: it sees the firewall as it is now."""
    import socket

    if app.host.kind != "unix":
        return []
    with socket.socket(socket.AF_UNIX) as probe:
        try:
            probe.connect(app.host.path)
        except OSError:
            return []  # none runs, and this is no reason to start one
    found = app.client.get("/info").get("Warnings") or []
    return [str(one).removeprefix("WARNING: ") for one in found]


DOCTOR = Command(
    "doctor [OPTIONS]",
    "Check whether this host has what containers need",
    run_doctor,
    flags=(text("root", "The engine's root folder to check (/var/lib/bay)"),),
)
