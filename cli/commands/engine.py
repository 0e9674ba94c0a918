"""`bay engine`: run the engine here, or ask and tell the one that runs."""

from __future__ import annotations

import os
import select
import time
from typing import Any

from ...client.client import Client
from ...client.errors import UnreachableError
from ..app import App
from ..command import Command
from ..flags import Parsed, UsageError, switch, text

Json = dict[str, Any]


def run_engine(app: App, parsed: Parsed) -> int:
    """Without an action: be the engine, in the foreground."""
    if not parsed.args:
        return _foreground(parsed)
    action = parsed.args[0]
    if action == "dial-stdio":
        from ..dialstdio import dial

        return dial(app)
    found = {"status": _status, "stop": _stop, "purge": _purge}.get(action)
    if found is None:
        raise UsageError(f"unknown action: {action}")
    return found(app, parsed)


def _running(app: App) -> Json | None:
    """What the engine says of itself; None when none runs. Starts none."""
    client = Client(app.host, autostart=False)
    try:
        return dict(client.get("/bay/engine"))
    except UnreachableError:
        return None


def _status(app: App, parsed: Parsed) -> int:
    told = _running(app)
    if told is None:
        app.out(f"No engine runs at {app.host}.")
        return 1
    for name in ("pid", "version", "runtime", "started", "root", "run_root"):
        app.out(f"{name.replace('_', ' ') + ':':<10}{told[name]}")
    return 0


def _stop(app: App, parsed: Parsed) -> int:
    told = _running(app)
    if told is None:
        app.out(f"No engine runs at {app.host}.")
        return 0
    app.client.post("/bay/engine/stop")
    _await_end(app, told["pid"])
    return 0


def _purge(app: App, parsed: Parsed) -> int:
    """Everything away; an engine is started for it if none runs, as containers may."""
    from .prune import confirm

    told = dict(app.client.get("/bay/engine"))
    question = (
        f"This will remove every container, image, network and volume of the engine at"
        f" {told['root']}, and stop it."
    )
    if not confirm(app, question, parsed["force"]):
        return 1
    app.client.post("/bay/engine/purge")
    _await_end(app, told["pid"])
    return 0


def _await_end(app: App, pid: int) -> None:
    """Until the engine is gone: by its process on this host, else by its silence."""
    if app.host.kind == "unix":
        try:
            fd = os.pidfd_open(pid)
        except ProcessLookupError:
            return
        try:
            select.select([fd], [], [])
        finally:
            os.close(fd)
        return
    while _running(app) is not None:
        time.sleep(0.1)


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
        switch("force", "purge: don't ask", "f"),
        text("root", "Folder of all state", default=os.environ.get("BAY_ROOT", "")),
        text("run-root", "Folder of the socket and of what a reboot ends"),
        text("runtime", "OCI runtime to use: crun or runc"),
    ),
    most=1,
)
