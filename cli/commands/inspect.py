"""`bay inspect`: all that is known of an object, as JSON or through a template."""

from __future__ import annotations

import sys

from ...host.errors import BayError, NotFoundError
from ...host.light import Any, Callable
from .. import platform
from ..app import App
from ..command import Command
from ..errors import engine_sentence
from ..flags import Parsed, UsageError, switch, text

Json = dict[str, Any]

# In this order a name is looked for among the kinds.
KINDS = ("container", "image", "network", "volume")


def fetch(app: App, kind: str, name: str, size: bool = False) -> Json:
    """One object's JSON. Raises NotFoundError."""
    if kind == "container":
        found: Json = app.client.get(f"/containers/{name}/json", size=size or None)
    elif kind == "image":
        found = app.client.get(f"/images/{name}/json")
    else:
        found = app.client.get(f"/{kind}s/{name}")
    return found


def find(app: App, name: str, size: bool) -> Json:
    """The first object of any kind with that name. Raises NotFoundError."""
    for kind in KINDS:
        try:
            return fetch(app, kind, name, size)
        except NotFoundError:
            continue
    raise NotFoundError(f"No such object: {name}")


def show_objects(app: App, names: list[str], form: str, getter: Callable[[str], Json]) -> int:
    """Print each object in the form of `--format`; 1 when one of them wasn't found."""
    found: list[Json] = []
    errors: list[str] = []
    for name in names:
        try:
            found.append(getter(name))
        except BayError as error:
            errors.append(engine_sentence(error))
    _print(app, found, form)
    for text_ in errors:
        app.err(text_ if text_.startswith("Error") else f"Error: {text_}")
    return 1 if errors else 0


def _print(app: App, found: list[Json], form: str) -> None:
    import json

    if not form:
        sys.stdout.write(json.dumps(found, indent=4, ensure_ascii=False) + "\n")
    elif form == "json":
        # One object per line, as Docker prints them.
        for one in found:
            app.out(json.dumps(one, ensure_ascii=False, separators=(",", ":")))
    else:
        from ..template import Template

        template = Template(form.replace("\\t", "\t").replace("\\n", "\n"))
        for one in found:
            app.out(template.render(one))


def run_inspect(app: App, parsed: Parsed) -> int:
    """Print objects of any kind, or of the one `--type` names."""
    kind, size = parsed["type"], parsed["size"]
    if kind and kind not in KINDS:
        raise UsageError(f'unknown type: "{kind}": must be one of {", ".join(KINDS)}')

    def getter(name: str) -> Json:
        return fetch(app, kind, name, size) if kind else find(app, name, size)

    return show_objects(app, parsed.args, parsed["format"], getter)


_FORMAT = text("format", "Format output: 'json' or 'TEMPLATE' (a Go template)", "f")
_SIZE = switch("size", "Show the size of a container's files", "s")

INSPECT = Command(
    "inspect [OPTIONS] NAME|ID [NAME|ID...]",
    "Show all that is known of containers, images, networks, volumes",
    run_inspect,
    flags=(_FORMAT, _SIZE, text("type", "Only objects of this type")),
    least=1,
    most=None,
)


def _of_kind(kind: str) -> Command:
    """`bay <kind> inspect`."""

    def run(app: App, parsed: Parsed) -> int:
        size = bool(parsed.values.get("size"))

        def getter(name: str) -> Json:
            if kind == "image":
                platform.check(app, name, parsed["platform"])
            return fetch(app, kind, name, size)

        return show_objects(app, parsed.args, parsed["format"], getter)

    word = kind.upper()
    more = {
        "container": (_SIZE,),
        "image": (platform.PLATFORM,),
        "network": (switch("verbose", "Ignored: all is shown", "v"),),
    }
    return Command(
        f"{kind} inspect [OPTIONS] {word} [{word}...]",
        f"Show all that is known of one or more {kind}s",
        run,
        flags=(_FORMAT, *more.get(kind, ())),
        least=1,
        most=None,
    )


CONTAINER = _of_kind("container")
IMAGE = _of_kind("image")
NETWORK = _of_kind("network")
VOLUME = _of_kind("volume")
