"""`bay attach`: the streams of a container that runs."""

from __future__ import annotations

from ...host.errors import ConflictError
from ..app import App
from ..command import Command
from ..flags import Parsed, switch, text
from ..foreground import (
    ExitWaiter,
    SignalProxy,
    Streams,
    check_terminal,
    detach_keys,
    pump,
)


def run_attach(app: App, parsed: Parsed) -> int:
    """Attach until the container exits or the user detaches; the container's exit code."""
    found = app.client.get(f"/containers/{parsed.args[0]}/json")
    state = found["State"]
    for bad, advice in (("Paused", "unpause it first"), ("Restarting", "wait for it to run")):
        if state[bad]:
            raise ConflictError(f"You cannot attach to a {bad.lower()} container, {advice}")
    if not state["Running"]:
        raise ConflictError("You cannot attach to a stopped container, start it first")
    path, config = f"/containers/{found['Id']}", found["Config"]
    stdin = config["OpenStdin"] and not parsed["no-stdin"]
    form = Streams(config["Tty"], stdin, detach_keys(app, parsed["detach-keys"], config["Tty"]))
    check_terminal(form.tty, form.stdin)
    waiter = ExitWaiter(app.client, found["Id"], "not-running")
    session = app.client.hijack(
        f"{path}/attach",
        tty=form.tty,
        stream=True,
        stdin=stdin,
        stdout=True,
        stderr=True,
        detachKeys=parsed["detach-keys"] or None,
    )

    def resize(rows: int, columns: int) -> None:
        app.client.post(f"{path}/resize", h=rows, w=columns)

    if parsed["sig-proxy"] and not form.raw:
        with SignalProxy(app.client, found["Id"]):
            pump(session, form, resize)
            return waiter.result()
    if pump(session, form, resize):
        app.err("read escape sequence")
        waiter.close()
        return 0
    return waiter.result()


ATTACH = Command(
    "attach [OPTIONS] CONTAINER",
    "Attach local stdin, stdout and stderr to a running container",
    run_attach,
    flags=(
        text("detach-keys", "Keys that leave the container running (ctrl-p,ctrl-q)"),
        switch("no-stdin", "Don't attach stdin"),
        switch("sig-proxy", "Pass signals on to the process", default=True),
    ),
    least=1,
    most=1,
)
