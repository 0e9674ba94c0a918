"""`bay engine`: run the engine here, or see to the one that runs."""

from __future__ import annotations

import contextlib
import os
import select

from ...client.client import Client
from ...client.errors import NotAllowedError, UnreachableError
from ...client.hosts import run_root as default_run_root
from ...host.errors import BayError, InvalidError, NotFoundError
from ...host.light import Any
from ..app import App
from ..command import Command
from ..flags import Parsed, UsageError, many, switch, text
from .prune import confirm

Json = dict[str, Any]

STOP_TIMEOUT = 30  # seconds
PURGE_TIMEOUT = 600
DEFAULT_ROOT = "/var/lib/bay"


def run_engine(app: App, parsed: Parsed) -> int:
    """Without an action: be the engine, in the foreground."""
    actions = {
        "status": _status,
        "stop": _stop,
        "logs": _logs,
        "purge": _purge,
        "dial-stdio": _dial,
    }
    if not parsed.args:
        return _foreground(parsed)
    if parsed.args[0] not in actions:
        raise UsageError(f"unknown action: {parsed.args[0]}: it is one of {', '.join(actions)}")
    return actions[parsed.args[0]](app, parsed)


def _foreground(parsed: Parsed) -> int:
    from ...api.main import main

    argv: list[str] = []
    for name in ("root", "run-root", "runtime", "ip", "tlscacert", "tlscert", "tlskey"):
        if parsed[name]:
            argv += [f"--{name}", parsed[name]]
    for address in parsed["host"]:
        argv += ["--host", address]
    if parsed["tlsverify"]:
        argv.append("--tlsverify")
    if parsed["debug"]:
        argv.append("--debug")
    return main(argv)


def _logs(app: App, parsed: Parsed) -> int:
    """Print what the engine that a client started has logged; the others log elsewhere."""
    path = os.path.join(parsed["run-root"] or default_run_root(), "engine.log")
    try:
        with open(path, encoding="utf-8", errors="replace") as file:
            for line in file:
                app.out(line.rstrip("\n"))
    except FileNotFoundError:
        raise NotFoundError(
            f"no log at {path}: an engine of systemd's logs to the journal (journalctl -u bay), one"
            " in the foreground to its terminal"
        ) from None
    except OSError as error:
        raise InvalidError(f"cannot read {path}: {error.strerror}") from None
    return 0


def _dial(app: App, parsed: Parsed) -> int:
    from ..dialstdio import dial

    return dial(app)


def _silent(app: App, parsed: Parsed) -> Client:
    """A client that doesn't start an engine: asking after one mustn't make one."""
    if parsed["run-root"]:
        from ...client.hosts import Host

        return Client(Host("unix", os.path.join(parsed["run-root"], "bay.sock")), autostart=False)
    return Client(app.host, autostart=False)


def _status(app: App, parsed: Parsed) -> int:
    """Print the engine's facts; 3 when none runs (as systemctl has it)."""
    client = _silent(app, parsed)
    try:
        found = client.get("/bay/engine")
        info = client.get("/info")
    except NotAllowedError:
        raise
    except UnreachableError as error:
        app.out(f"not running: {error}")
        return 3
    app.out(f"running at {client.host}")
    for name in ("pid", "version", "started", "runtime", "root", "run_root"):
        app.out(f"  {name.replace('_', ' ') + ':':<12}{found[name]}")
    for address in found.get("addresses") or []:
        app.out(f"  {'also at:':<12}{address}")
    app.out(f"  {'containers:':<12}{info['ContainersRunning']} of {info['Containers']} running")
    return 0


def _stop(app: App, parsed: Parsed) -> int:
    """End the engine and wait until it has; its containers run on."""
    client = _silent(app, parsed)
    try:
        found = client.get("/bay/engine")
    except NotAllowedError:
        raise
    except UnreachableError:
        app.err("no engine runs")
        return 0
    _end(client, found)
    app.out("stopped; containers run on")
    return 0


def _end(client: Client, found: Json, action: str = "stop", timeout: float = STOP_TIMEOUT) -> None:
    """Tell the engine to end; for one of this machine, wait until its process has.

    Raises BayError when it still runs after `timeout` seconds.
    """
    process = None
    if client.host.kind == "unix":
        # Not in another pid namespace (a socket mounted into a container): its word has to do.
        with contextlib.suppress(OSError):
            process = os.pidfd_open(found["pid"])
    try:
        client.post(f"/bay/engine/{action}")
        if process is not None and not select.select([process], [], [], timeout)[0]:
            raise BayError(
                f"the engine (process {found['pid']}) hasn't ended after {timeout:.0f} s"
            )
    finally:
        if process is not None:
            os.close(process)


def _purge(app: App, parsed: Parsed) -> int:
    """Remove every container, network, image and volume, end the engine, delete its folders.

    The engine does it, since it knows what it made; it is started for that if none runs.
    """
    client = _purged(app, parsed)
    found = client.get("/bay/engine")
    if parsed["root"] and os.path.realpath(parsed["root"]) != os.path.realpath(found["root"]):
        raise InvalidError(
            f"the engine at {client.host} has its state in {found['root']}, not in"
            f" {parsed['root']}: nothing was removed"
        )
    question = (
        "This will remove every container, image, volume and network of the engine at"
        f" {client.host}, and delete {found['root']}."
    )
    if not confirm(app, question, parsed["force"]):
        return 1
    _end(client, found, "purge", PURGE_TIMEOUT)
    app.out(f"removed all of {found['root']}")
    return 0


def _purged(app: App, parsed: Parsed) -> Client:
    """The client of the engine to purge, which is started when none runs."""
    root, run_root = parsed["root"], parsed["run-root"]
    if root:
        os.environ["BAY_ROOT"] = os.path.abspath(root)  # of an engine that is started
    if not run_root:
        return app.client
    client = _silent(app, parsed)
    try:
        client.get("/_ping")
        return client
    except NotAllowedError:
        raise
    except UnreachableError:
        # With a folder for this boot alone it would be the default's state that is removed.
        if not os.environ.get("BAY_ROOT"):
            raise InvalidError(
                f"no engine runs in {run_root}: name the folder of its state, too"
                f" (bay engine purge --run-root {run_root} --root DIR)"
            ) from None
    path = os.path.join(os.path.abspath(run_root), "bay.sock")
    return Client(client.host._replace(path=path, local=True))


def _address(given: str) -> str:
    import ipaddress

    try:
        return str(ipaddress.ip_address(given))
    except ValueError:
        raise ValueError("not an IP address") from None


ENGINE = Command(
    "engine [OPTIONS] [status|stop|logs|purge|dial-stdio]",
    "Run the engine in the foreground, or see to the one that runs",
    run_engine,
    flags=(
        switch("debug", "Log more"),
        switch("force", "Purge without asking", "f"),
        text("root", f"Folder of all state ({DEFAULT_ROOT})"),
        text("run-root", f"Folder of the socket and of this boot's things ({default_run_root()})"),
        text("runtime", "OCI runtime to use: crun or runc"),
        text("ip", "Address to publish ports on that name none (0.0.0.0)", convert=_address),
        many("host", "Listen here too: unix:///path, or tcp://address:port with TLS", "H"),
        switch("tlsverify", "On tcp, serve clients with a certificate of the CA, and only them"),
        text("tlscacert", "CA of the clients' certificates (PEM)"),
        text("tlscert", "The engine's certificate (PEM)"),
        text("tlskey", "Key of the engine's certificate (PEM)"),
    ),
    most=1,
)

# What docker runs at the far end of ssh://, by the name `docker`: a link to `bay` serves for it.
DIAL = Command(
    "system dial-stdio", "Proxy the stdio stream to the engine's connection", _dial, most=0
)
