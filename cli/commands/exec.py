"""`bay exec`: another process in a running container."""

from __future__ import annotations

from ...client.errors import UnreachableError, from_response
from ...host.errors import BayError, NotFoundError
from ...host.light import TYPE_CHECKING, Any
from ..app import App
from ..command import Command
from ..flags import Parsed, many, switch, text
from ..foreground import Streams, check_terminal, detach_keys, pump, start_error, terminal_size

if TYPE_CHECKING:
    from ...client.session import Session

Json = dict[str, Any]
# What engines other than ours say of a path they do not know.
_UNKNOWN_PATH = ("page not found", "not found")


def run_exec(app: App, parsed: Parsed) -> int:
    """Run a command in a container; its exit code."""
    detach = parsed["detach"]
    stdin = parsed["interactive"] and not detach
    form = Streams(parsed["tty"], stdin, detach_keys(app, parsed["detach-keys"], parsed["tty"]))
    check_terminal(form.tty, form.stdin)
    body = _config(parsed, form)
    container = parsed.args[0]
    try:
        made = _at_once(app, container, body)
    except NotFoundError as error:
        if str(error).lower() not in _UNKNOWN_PATH:
            raise
        made = _in_steps(app, container, body)
    if made is None:
        return 0
    session, path = made

    def resize(rows: int, columns: int) -> None:
        app.client.post(f"{path}/resize", h=rows, w=columns)

    if pump(session, form, resize):
        return 0
    code = session.exit_code
    return _ended(app, path) if code is None else code


def _ended(app: App, path: str) -> int:
    """The exit code of an exec whose streams have ended.

    Raises UnreachableError for one that runs on: it was the connection that ended.
    """
    import time

    limit = time.monotonic() + 1  # the end of the process may come a moment after its output's
    while (found := app.client.get(f"{path}/json")).get("Running"):
        if time.monotonic() > limit:
            raise UnreachableError("the connection to the engine was lost; the command runs on")
        time.sleep(0.05)
    return int(found.get("ExitCode") or 0)


def _config(parsed: Parsed, form: Streams) -> Json:
    """Docker's `ExecConfig`, and what belongs to its start."""
    env: list[str] = []
    if parsed["env"] or parsed["env-file"]:
        from ..envfile import environment

        env = environment(parsed["env"], parsed["env-file"])
    size = terminal_size() if form.tty else (0, 0)
    return {
        "AttachStdin": form.stdin,
        "AttachStdout": not parsed["detach"],
        "AttachStderr": not parsed["detach"],
        "Tty": form.tty,
        "Cmd": parsed.args[1:],
        "Env": env,
        "User": parsed["user"],
        "WorkingDir": parsed["workdir"],
        "Privileged": parsed["privileged"],
        "DetachKeys": parsed["detach-keys"],
        "Detach": parsed["detach"],
        **({"ConsoleSize": list(size)} if all(size) else {}),
    }


def _at_once(app: App, container: str, body: Json) -> tuple[Session, str] | None:
    """By one request, which only our engine knows: the streams and the exec's path."""
    path = f"/bay/containers/{container}/exec"
    if body["Detach"]:
        if said := app.client.post(path, body).get("Error"):
            raise start_error(from_response(400, said.encode()))
        return None
    session = app.client.hijack(path, body, body["Tty"])
    return session, f"/exec/{session.exec_id}"


def _in_steps(app: App, container: str, body: Json) -> tuple[Session, str] | None:
    """As Docker's command does."""
    made = app.client.post(f"/containers/{container}/exec", body)
    path = f"/exec/{made['Id']}"
    kept = ("Detach", "Tty", "ConsoleSize")
    start = {key: body[key] for key in kept if key in body}
    try:
        if body["Detach"]:
            app.client.post(f"{path}/start", start)
            return None
        return app.client.hijack(f"{path}/start", start, body["Tty"]), path
    except BayError as error:
        raise start_error(error) from error


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
