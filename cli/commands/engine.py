"""`bay engine`: run the engine here, or ask and tell the one that runs."""

from __future__ import annotations

import os

from ..app import App
from ..command import Command
from ..flags import Parsed, UsageError, switch, text


def run_engine(app: App, parsed: Parsed) -> int:
    """Without an action: be the engine, in the foreground."""
    if not parsed.args:
        return _foreground(parsed)
    action = parsed.args[0]
    if action == "dial-stdio":
        from ..dialstdio import dial

        return dial(app)
    raise UsageError(f"unknown action: {action}")


def _foreground(parsed: Parsed) -> int:
    from ...api.main import main

    argv: list[str] = []
    for name in ("root", "run-root", "runtime"):
        if parsed[name]:
            argv += [f"--{name}", parsed[name]]
    if parsed["debug"]:
        argv.append("--debug")
    code: int = main(argv)
    return code


ENGINE = Command(
    "engine [OPTIONS] [status|stop|purge|dial-stdio]",
    "Run the engine in the foreground, or see to the one that runs",
    run_engine,
    flags=(
        switch("debug", "Log more"),
        text("root", "Folder of all state", default=os.environ.get("BAY_ROOT", "")),
        text("run-root", "Folder of the socket and of what a reboot ends"),
        text("runtime", "OCI runtime to use: crun or runc"),
    ),
    most=1,
)
