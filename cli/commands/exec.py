"""`bay exec`: another process in a running container."""

from __future__ import annotations

from ...host.errors import BayError
from ..app import App
from ..command import Command
from ..envfile import environment
from ..flags import Parsed, many, switch, text
from ..foreground import Streams, check_terminal, detach_keys, pump, start_error, terminal_size


def run_exec(app: App, parsed: Parsed) -> int:
    """Run a command in a container; its exit code."""
    container, *command = parsed.args
    stdin = parsed["interactive"] and not parsed["detach"]
    form = Streams(parsed["tty"], stdin, detach_keys(app, parsed["detach-keys"]))
    check_terminal(form.tty, form.stdin)
    size = list(terminal_size()) if form.tty else None
    made = app.client.post(
        f"/containers/{container}/exec",
        {
            "AttachStdin": stdin,
            "AttachStdout": not parsed["detach"],
            "AttachStderr": not parsed["detach"],
            "Tty": form.tty,
            "Cmd": command,
            "Env": environment(parsed["env"], parsed["env-file"]),
            "User": parsed["user"],
            "WorkingDir": parsed["workdir"],
            "Privileged": parsed["privileged"],
            "DetachKeys": parsed["detach-keys"],
            **({"ConsoleSize": size} if size and all(size) else {}),
        },
    )
    path = f"/exec/{made['Id']}"
    body = {"Detach": parsed["detach"], "Tty": form.tty}
    if size and all(size):
        body["ConsoleSize"] = size
    try:
        if parsed["detach"]:
            app.client.post(f"{path}/start", body)
            return 0
        session = app.client.hijack(f"{path}/start", body, form.tty)
    except BayError as error:
        raise start_error(error) from error

    def resize(rows: int, columns: int) -> None:
        app.client.post(f"{path}/resize", h=rows, w=columns)

    if pump(session, form, resize):
        return 0
    code = app.client.get(f"{path}/json")["ExitCode"]
    return int(code or 0)


EXEC = Command(
    "exec [OPTIONS] CONTAINER COMMAND [ARG...]",
    "Execute a command in a running container",
    run_exec,
    flags=(
        switch("detach", "Run in the background", "d"),
        text("detach-keys", "Keys that leave the process running (ctrl-p,ctrl-q)"),
        many("env", "Set an environment variable: NAME=VALUE, or NAME to pass ours on", "e"),
        many("env-file", "Read environment variables from a file"),
        switch("interactive", "Keep stdin open", "i"),
        switch("privileged", "Give the process every right of the engine"),
        switch("tty", "Give the process a terminal", "t"),
        text("user", "User to run as: <name|uid>[:<group|gid>]", "u"),
        text("workdir", "Working directory in the container", "w"),
    ),
    least=2,
    most=None,
    interspersed=False,
)
