"""`bay run` and `bay create`."""

from __future__ import annotations

import sys

from ...host.errors import BayError, NotFoundError
from ...host.light import Any
from ..app import App
from ..command import Command
from ..flags import Parsed, UsageError
from ..foreground import (
    ExitWaiter,
    SignalProxy,
    Streams,
    check_cidfile,
    check_terminal,
    detach_keys,
    pump,
    start_error,
    terminal_size,
    write_cidfile,
)
from ..runflags import CREATE_FLAGS, RUN_FLAGS
from ..runspec import build, streams

Json = dict[str, Any]


def create(app: App, parsed: Parsed, body: Json) -> str:
    """Create the container, pulling its image when it is missing; its id.

    Warnings go to stderr. Raises BayError.
    """
    image = parsed.args[0]
    check_cidfile(parsed["cidfile"])
    out = None if parsed["quiet"] else sys.stderr
    if parsed["pull"] == "always":
        from .pull import pull

        pull(app, image, platform=parsed["platform"], quiet=out is None, out=out)
    try:
        made = _create(app, parsed, body)
    except NotFoundError as error:
        missing = "no such image" in str(error).lower() or "specified platform" in str(error)
        if parsed["pull"] != "missing" or not missing:
            raise
        from .pull import pull, split_reference

        name, tag = split_reference(image)
        app.err(f"Unable to find image '{image if tag else f'{name}:latest'}' locally")
        pull(app, image, platform=parsed["platform"], quiet=out is None, out=out)
        made = _create(app, parsed, body)
    for warning in made.get("Warnings") or []:
        app.err(f"WARNING: {warning}")
    container: str = made["Id"]
    if parsed["use-api-socket"]:
        from ..apisocket import hand_on

        hand_on(app, container)
    if parsed["cidfile"]:
        write_cidfile(parsed["cidfile"], container)
    return container


def _create(app: App, parsed: Parsed, body: Json) -> Json:
    made: Json = app.client.post(
        "/containers/create",
        body,
        name=parsed["name"] or None,
        platform=parsed["platform"] or None,
    )
    return made


def run_create(app: App, parsed: Parsed) -> None:
    """Create a container and print its id."""
    app.out(create(app, parsed, _body(app, parsed)))


def _body(app: App, parsed: Parsed) -> Json:
    body = build(parsed)
    if parsed["use-api-socket"]:
        from ..apisocket import prepare

        prepare(app, body)
    return body


def run_run(app: App, parsed: Parsed) -> int:
    """Create a container, start it, and stay with it unless it is detached; its exit code."""
    body = _body(app, parsed)
    stdin, stdout, stderr = streams(parsed)
    if parsed["detach"] and parsed["attach"]:
        raise UsageError("conflicting options: cannot specify both --attach and --detach")
    form = Streams(parsed["tty"], stdin, detach_keys(app, parsed["detach-keys"], parsed["tty"]))
    if not parsed["detach"]:
        check_terminal(form.tty, form.stdin)
        body["HostConfig"]["ConsoleSize"] = list(terminal_size())
    container = create(app, parsed, body)
    if not (stdin or stdout or stderr):
        _start(app, container)
        app.out(container)
        return 0
    return _foreground(app, parsed, container, form, stdout, stderr)


def _foreground(
    app: App, parsed: Parsed, container: str, form: Streams, stdout: bool, stderr: bool
) -> int:
    path = f"/containers/{container}"
    session = app.client.hijack(
        f"{path}/attach",
        tty=form.tty,
        stream=True,
        stdin=form.stdin,
        stdout=stdout,
        stderr=stderr,
        detachKeys=parsed["detach-keys"] or None,
    )
    waiter = ExitWaiter(app.client, container, "removed" if parsed["rm"] else "next-exit")

    def resize(rows: int, columns: int) -> None:
        app.client.post(f"{path}/resize", h=rows, w=columns)

    def started() -> None:
        _start(app, container)

    if parsed["sig-proxy"] and not form.raw:
        with SignalProxy(app.client, container):
            detached = pump(session, form, resize, started)
            return waiter.result()
    detached = pump(session, form, resize, started)
    if detached:
        waiter.close()
        return 0
    return waiter.result()


def _start(app: App, container: str) -> None:
    """Start it; an error carries the exit code Docker has for it."""
    try:
        app.client.post(f"/containers/{container}/start")
    except BayError as error:
        raise start_error(error) from error


RUN = Command(
    "run [OPTIONS] IMAGE [COMMAND] [ARG...]",
    "Create and run a new container from an image",
    run_run,
    flags=RUN_FLAGS,
    least=1,
    most=None,
    interspersed=False,
    failure=125,
)

CREATE = Command(
    "create [OPTIONS] IMAGE [COMMAND] [ARG...]",
    "Create a new container",
    run_create,
    flags=CREATE_FLAGS,
    least=1,
    most=None,
    interspersed=False,
)
