"""`bay context export` and `import`."""

from __future__ import annotations

import os
import sys

from ...host.errors import ConflictError, InvalidError
from ..app import App
from ..command import Command
from ..contexts import DEFAULT
from ..flags import Parsed, UsageError
from .context import default_context


def run_export(app: App, parsed: Parsed) -> None:
    """Write a context to a file, or to stdout for `-`."""
    from .. import contextfile

    name = parsed.args[0]
    target = parsed.args[1] if len(parsed.args) > 1 else f"{name}.dockercontext"
    data = contextfile.pack(default_context() if name == DEFAULT else app.contexts.get(name))
    if target == "-":
        if sys.stdout.isatty():
            raise UsageError("cowardly refusing to export to a terminal, specify a file path")
        sys.stdout.flush()
        sys.stdout.buffer.write(data)
        return
    try:
        # Never over a file that is there, and readable by this user only: it holds a key.
        fd = os.open(target, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
    except OSError as error:
        raise InvalidError(f"cannot write {target}: {error.strerror}") from None
    with open(fd, "wb") as file:
        file.write(data)
    app.err(f'Written file "{target}"')


def run_import(app: App, parsed: Parsed) -> None:
    """Make a context of a file, or of stdin for `-`."""
    from .. import contextfile

    name, source = parsed.args
    if app.contexts.exists(name):
        raise ConflictError(f'context "{name}" already exists')
    try:
        if source == "-":
            data = sys.stdin.buffer.read()
        else:
            with open(source, "rb") as file:
                data = file.read()
    except OSError as error:
        raise InvalidError(f"open {source}: {error.strerror}") from None
    context, certificates = contextfile.unpack(data, name)
    app.contexts.put_with(context, certificates)
    app.out(name)
    app.err(f'Successfully imported context "{name}"')


EXPORT = Command(
    "context export CONTEXT [FILE|-]",
    "Write a context to a file: CONTEXT.dockercontext unless another is named",
    run_export,
    least=1,
    most=2,
)
IMPORT = Command(
    "context import CONTEXT FILE|-",
    "Make a context of a file that `context export` wrote, here or with docker",
    run_import,
    least=2,
    most=2,
)
