"""`bay version` and `bay info`."""

from __future__ import annotations

import json
import os

from ...client.client import API_VERSION
from ...host.errors import BayError
from ...host.light import Any
from ...host.version import VERSION
from ..app import App
from ..command import Command
from ..errors import engine_sentence
from ..flags import Parsed, text
from ..units import binary_size

Json = dict[str, Any]

_FORMAT = text("format", "Format output: 'json' or 'TEMPLATE' (a Go template)", "f")

# The lines of `bay info`: what is printed, and the field it is of.
_LINES = (
    ("Containers", "Containers"),
    (" Running", "ContainersRunning"),
    (" Paused", "ContainersPaused"),
    (" Stopped", "ContainersStopped"),
    ("Images", "Images"),
    ("Server Version", "ServerVersion"),
    ("Storage Driver", "Driver"),
    ("Logging Driver", "LoggingDriver"),
    ("Cgroup Driver", "CgroupDriver"),
    ("Cgroup Version", "CgroupVersion"),
    ("Default Runtime", "DefaultRuntime"),
    ("Kernel Version", "KernelVersion"),
    ("Operating System", "OperatingSystem"),
    ("OSType", "OSType"),
    ("Architecture", "Architecture"),
    ("CPUs", "NCPU"),
    ("Total Memory", "MemTotal"),
    ("Name", "Name"),
    ("ID", "ID"),
    ("Docker Root Dir", "DockerRootDir"),
    ("HTTP Proxy", "HttpProxy"),
    ("HTTPS Proxy", "HttpsProxy"),
    ("No Proxy", "NoProxy"),
    ("Live Restore Enabled", "LiveRestoreEnabled"),
)


def show_object(app: App, value: Json, form: str) -> None:
    """Print one object as JSON or through a template."""
    if form == "json":
        app.out(json.dumps(value, ensure_ascii=False, separators=(",", ":")))
        return
    from ..template import Template

    app.out(Template(form).render(value))


def run_version(app: App, parsed: Parsed) -> int:
    """Print the versions of this client and of the engine; 1 when no engine answers."""
    server: Json | None = None
    problem: BayError | None = None
    try:
        server = app.client.get("/version")
    except BayError as error:
        problem = error
    client = _client_version(app, server is not None)
    if parsed["format"]:
        show_object(app, {"Client": client, "Server": server}, parsed["format"])
    else:
        _print_versions(app, client, server)
    if problem is not None:
        app.err(engine_sentence(problem))
    return 1 if problem else 0


def _client_version(app: App, negotiated: bool) -> Json:
    version = app.client.version if negotiated else API_VERSION
    uname = os.uname()
    return {
        "Version": VERSION,
        "ApiVersion": f"{version[0]}.{version[1]}",
        "DefaultAPIVersion": f"{API_VERSION[0]}.{API_VERSION[1]}",
        "Os": uname.sysname.lower(),
        "Arch": {"x86_64": "amd64", "aarch64": "arm64"}.get(uname.machine, uname.machine),
        "Context": app.context_name,
    }


def _print_versions(app: App, client: Json, server: Json | None) -> None:
    app.out("Client: Bayplan")
    rows = [
        ("Version", client["Version"]),
        ("API version", client["ApiVersion"]),
        ("OS/Arch", f"{client['Os']}/{client['Arch']}"),
        ("Context", client["Context"]),
    ]
    for name, value in rows:
        app.out(f" {name + ':':<18} {value}")
    if server is None:
        return
    app.out(f"\nServer: {(server.get('Platform') or {}).get('Name', '')}".rstrip())
    for part in server.get("Components") or []:
        app.out(f" {part['Name']}:")
        app.out(f"  {'Version:':<17} {part['Version']}")
        for name, value in (part.get("Details") or {}).items():
            app.out(f"  {name + ':':<17} {value}")


def run_info(app: App, parsed: Parsed) -> int:
    """Print what the engine says of itself and of its host."""
    if parsed["format"]:
        info = app.client.get("/info")
        info["ClientInfo"] = {"Context": app.context_name, "Version": VERSION}
        show_object(app, info, parsed["format"])
        return 0
    app.out(f"Client: Bayplan\n Version:    {VERSION}\n Context:    {app.context_name}\n\nServer:")
    try:
        info = app.client.get("/info")
    except BayError as error:
        app.err(f"ERROR: {engine_sentence(error)}")
        return 1
    for label, field in _LINES:
        value = info.get(field)
        if value is None or value == "":
            continue
        if field == "MemTotal":
            value = binary_size(value)
        app.out(f" {label}: {str(value).lower() if isinstance(value, bool) else value}")
        if field == "Driver":
            for name, status in info.get("DriverStatus") or []:
                app.out(f"  {name}: {status}")
    _print_lists(app, info)
    return 0


def _print_lists(app: App, info: Json) -> None:
    plugins = info.get("Plugins") or {}
    app.out(" Plugins:")
    for kind in ("Volume", "Network", "Log"):
        app.out(f"  {kind}: {' '.join(plugins.get(kind) or [])}")
    app.out(f" Runtimes: {' '.join(sorted(info.get('Runtimes') or {}))}")
    app.out(" Security Options:")
    for option in info.get("SecurityOptions") or []:
        fields = dict(part.partition("=")[::2] for part in option.split(","))
        app.out(f"  {fields.pop('name', option)}")
        for name, value in fields.items():
            app.out(f"   {name.capitalize()}: {value}")
    registries = (info.get("RegistryConfig") or {}).get("InsecureRegistryCIDRs") or []
    app.out(" Insecure Registries:")
    for one in registries:
        app.out(f"  {one}")
    for warning in info.get("Warnings") or []:
        app.err(warning)


VERSION_COMMAND = Command(
    "version [OPTIONS]", "Show the versions of client and engine", run_version, flags=(_FORMAT,)
)
INFO = Command(
    "info [OPTIONS]",
    "Show what the engine says of itself and of its host",
    run_info,
    flags=(_FORMAT,),
)
