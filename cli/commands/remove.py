"""`bay rm`: remove containers."""

from __future__ import annotations

from ...host.errors import NotFoundError
from ..app import App
from ..command import Command
from ..flags import Parsed, switch
from .lifecycle import AT_ONCE, each


def run_rm(app: App, parsed: Parsed) -> int:
    """Remove each container; with --force one that is gone already is no failure."""

    def act(name: str) -> str | None:
        try:
            app.client.delete(
                f"/containers/{name.strip('/')}",
                force=parsed["force"] or None,
                v=parsed["volumes"] or None,
                link=parsed["link"] or None,
            )
        except NotFoundError as error:
            if not parsed["force"]:
                raise
            app.err(f"Error response from daemon: {error}")
            return ""
        return None

    return each(app, parsed.args, act, AT_ONCE)


RM = Command(
    "rm [OPTIONS] CONTAINER [CONTAINER...]",
    "Remove one or more containers",
    run_rm,
    flags=(
        switch("force", "Kill a running container first", "f"),
        switch("link", "Remove the link of this name", "l"),
        switch("volumes", "Remove its anonymous volumes too", "v"),
    ),
    least=1,
    most=None,
)
