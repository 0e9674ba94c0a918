"""`bay context`: ls, create, update, use, rm, show, inspect."""

from __future__ import annotations

import os

from ...client.hosts import default_host
from ...host.errors import ConflictError, InvalidError
from ...host.light import Any
from ..app import App
from ..command import Command
from ..contexts import DEFAULT, Context
from ..flags import Parsed, UsageError, switch, text
from ..listing import FORMAT, Listing
from ..table import CYAN
from .inspect import show_objects
from .lifecycle import each

Json = dict[str, Any]

LISTING = Listing(
    headers={
        "Name": "NAME",
        "Description": "DESCRIPTION",
        "DockerEndpoint": "DOCKER ENDPOINT",
        "Error": "ERROR",
        "Current": "CURRENT",
    },
    columns=("Name", "Description", "DockerEndpoint", "Error"),
    styles={"Name": CYAN},
)
_ENDPOINT = {"host": "host", "ca": "ca", "cert": "cert", "key": "key"}


def default_context() -> Context:
    """The engine of this machine, or the one `BAY_HOST` names."""
    host = os.environ.get("BAY_HOST") or str(default_host())
    return Context(DEFAULT, host, "The engine of this machine")


def run_ls(app: App, parsed: Parsed) -> None:
    """Print the contexts; the one in use has a star."""
    current = app.context_name
    contexts = [default_context(), *app.contexts.all()]
    if parsed["quiet"]:
        for one in contexts:
            app.out(one.name)
        return
    starred = parsed["format"] in ("", "table")
    rows = [
        {
            "Name": one.name + (" *" if starred and one.name == current else ""),
            "Description": one.description,
            "DockerEndpoint": one.host,
            "Error": "",
            "Current": one.name == current,
        }
        for one in contexts
    ]
    LISTING.show(rows, parsed["format"])
    if os.environ.get("BAY_HOST") and app.contexts.current != DEFAULT:
        app.err("Warning: BAY_HOST overrides the context chosen; unset it to use that.")


def _endpoint(parsed: Parsed) -> Json:
    """The fields of `--docker host=…,ca=…,cert=…,key=…,skip-tls-verify=…` (or just an address)."""
    given = parsed["docker"]
    if given and "=" not in given.partition(",")[0]:
        return {"host": given}
    fields: Json = {}
    for item in filter(None, given.split(",")):
        name, _, value = item.partition("=")
        if name == "skip-tls-verify":
            fields["skip_verify"] = value.lower() in ("1", "true")
        elif name in _ENDPOINT:
            fields[name] = os.path.abspath(value) if name != "host" else value
        else:
            raise UsageError(f"unrecognized config key: {name}")
    return fields


def run_create(app: App, parsed: Parsed) -> None:
    """Make a context and print its name."""
    name = parsed.args[0]
    if app.contexts.exists(name):
        raise ConflictError(f'context "{name}" already exists')
    fields = _endpoint(parsed)
    if parsed["from"]:
        source = (
            default_context() if parsed["from"] == DEFAULT else app.contexts.get(parsed["from"])
        )
        fields = {**source._asdict(), **fields}
    if not fields.get("host"):
        raise InvalidError("docker endpoint configuration is required: --docker host=…")
    fields.update({"name": name, "description": parsed["description"]})
    app.contexts.put(Context(**fields))
    app.out(name)
    app.err(f'Successfully created context "{name}"')


def run_update(app: App, parsed: Parsed) -> None:
    """Change a context."""
    context = app.contexts.get(parsed.args[0])._replace(**_endpoint(parsed))
    if "description" in parsed:
        context = context._replace(description=parsed["description"])
    app.contexts.put(context)
    app.out(context.name)


def run_use(app: App, parsed: Parsed) -> None:
    """Choose the context to use from now on."""
    name = parsed.args[0]
    app.contexts.use(name)
    app.out(name)
    if os.environ.get("BAY_HOST"):
        app.err("Warning: BAY_HOST overrides the context chosen; unset it to use that.")
    app.err(f'Current context is now "{name}"')


def run_rm(app: App, parsed: Parsed) -> int:
    """Remove contexts."""
    return each(app, parsed.args, lambda name: app.contexts.remove(name, parsed["force"]))


def run_show(app: App, parsed: Parsed) -> None:
    """Print the name of the context in use."""
    app.out(app.context_name)


def run_inspect(app: App, parsed: Parsed) -> int:
    """Print contexts as JSON."""

    def getter(name: str) -> Json:
        one = default_context() if name == DEFAULT else app.contexts.get(name)
        files = {k: getattr(one, k) for k in ("ca", "cert", "key") if getattr(one, k)}
        return {
            "Name": one.name,
            "Metadata": {"Description": one.description},
            "Endpoints": {"docker": {"Host": one.host, "SkipTLSVerify": one.skip_verify}},
            "TLSMaterial": {"docker": files} if files else {},
        }

    return show_objects(app, parsed.args or [app.context_name], parsed["format"], getter)


_DESCRIPTION = text("description", "What it is")
_DOCKER = text("docker", "The engine: host=…[,ca=…,cert=…,key=…,skip-tls-verify=true]")

LS = Command(
    "context ls [OPTIONS]",
    "List contexts",
    run_ls,
    flags=(FORMAT, switch("quiet", "Only names", "q")),
)
CREATE = Command(
    "context create [OPTIONS] CONTEXT",
    "Name an engine",
    run_create,
    flags=(_DESCRIPTION, _DOCKER, text("from", "Start from this context")),
    least=1,
    most=1,
)
UPDATE = Command(
    "context update [OPTIONS] CONTEXT",
    "Change a context",
    run_update,
    flags=(_DESCRIPTION, _DOCKER),
    least=1,
    most=1,
)
USE = Command(
    "context use CONTEXT", "Choose the engine to use from now on", run_use, least=1, most=1
)
RM = Command(
    "context rm [OPTIONS] CONTEXT [CONTEXT...]",
    "Remove one or more contexts",
    run_rm,
    flags=(switch("force", "Even the one in use", "f"),),
    least=1,
    most=None,
)
SHOW = Command("context show", "Print the name of the context in use", run_show)
INSPECT = Command(
    "context inspect [OPTIONS] [CONTEXT] [CONTEXT...]",
    "Show all that is known of contexts",
    run_inspect,
    flags=(text("format", "Format output: 'json' or 'TEMPLATE' (a Go template)", "f"),),
    most=None,
)
