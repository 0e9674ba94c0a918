"""`bay start`: start containers that exist."""

from __future__ import annotations

from ...host.errors import BayError
from .. import refused
from ..app import App
from ..command import Command
from ..flags import Parsed, UsageError, switch, text
from ..foreground import (
    ExitWaiter,
    SignalProxy,
    Streams,
    check_terminal,
    detach_keys,
    pump,
)
from .lifecycle import each


def run_start(app: App, parsed: Parsed) -> int:
    """Start each; with --attach stay with the one named, and give its exit code."""
    if not (parsed["attach"] or parsed["interactive"]):
        failed: list[str] = []
        code = each(app, parsed.args, lambda name: _start(app, failed, name))
        if failed:
            app.err(f"Error: failed to start containers: {', '.join(failed)}")
        return code
    if len(parsed.args) > 1:
        raise UsageError("you cannot start and attach multiple containers at once")
    found = app.client.get(f"/containers/{parsed.args[0]}/json")
    path = f"/containers/{found['Id']}"
    config = found["Config"]
    stdin = parsed["interactive"] and config["OpenStdin"]
    form = Streams(config["Tty"], stdin, detach_keys(app, parsed["detach-keys"], config["Tty"]))
    check_terminal(form.tty, form.stdin)
    session = app.client.hijack(
        f"{path}/attach", tty=form.tty, stream=True, stdin=stdin, stdout=True, stderr=True
    )
    removed = (found.get("HostConfig") or {}).get("AutoRemove")
    waiter = ExitWaiter(app.client, found["Id"], "removed" if removed else "next-exit")

    def resize(rows: int, columns: int) -> None:
        app.client.post(f"{path}/resize", h=rows, w=columns)

    def started() -> None:
        app.client.post(f"{path}/start")

    if form.raw:
        if pump(session, form, resize, started):
            waiter.close()
            return 0
        return waiter.result()
    with SignalProxy(app.client, found["Id"]):
        pump(session, form, resize, started)
        return waiter.result()


def _start(app: App, failed: list[str], name: str) -> None:
    try:
        app.client.post(f"/containers/{name}/start")
    except BayError:
        failed.append(name)
        raise


START = Command(
    "start [OPTIONS] CONTAINER [CONTAINER...]",
    "Start one or more stopped containers",
    run_start,
    flags=(
        switch("attach", "Attach stdout and stderr, and pass signals on", "a"),
        text("detach-keys", "Keys that leave the container running (ctrl-p,ctrl-q)"),
        switch("interactive", "Attach stdin", "i"),
        refused.value("checkpoint", refused.CHECKPOINTS),
        refused.value("checkpoint-dir", refused.CHECKPOINTS),
    ),
    least=1,
    most=None,
)
