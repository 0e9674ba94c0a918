"""`bay` without a verb: the full-screen app."""

from __future__ import annotations

import gc
import os
from typing import TYPE_CHECKING

from ...client.hosts import Host, default_host
from ...host.errors import BayError, UnsupportedError
from ..app import App

if TYPE_CHECKING:
    from ...tui.prelude import Prelude
    from ...tui.settings import Settings


def open_screen(app: App) -> int:
    """Open the screen on the engines the options or the settings name; its exit code.

    Raises BayError for a host that can't be understood, or a single one that doesn't answer.
    """
    if os.environ.get("TERM") == "dumb":
        raise UnsupportedError(
            "The screen needs a terminal that can move its cursor, and TERM is dumb. "
            "The verbs work here: bay --help names them"
        )
    gc.disable()  # what the imports make is no garbage; the screen collects again once it stands
    from ...tui import settings

    chosen = settings.load(settings.path(os.environ))
    hosts = _hosts(app, chosen.hosts)
    if app.options["read-only"]:
        chosen = chosen._replace(read_only=True)
    if len(hosts) > 1:
        from ...tui.app import run

        return run(hosts[0][2], hosts, chosen)
    if hosts:
        app.host = hosts[0][2]
    if app.host.kind == "ssh":  # which may ask for a password
        return _open(app, chosen, None)
    from ...tui.prelude import Prelude

    with Prelude() as prelude:
        return _open(app, chosen, prelude)


def _open(app: App, chosen: Settings, prelude: Prelude | None) -> int:
    # The engine is started, if need be, before the screen covers what there is to say of it.
    app.client.get("/_ping")
    from ...tui.ahead import Ahead

    ahead = Ahead(app.client.get)
    if prelude is not None:
        prelude.paint(ahead, chosen, app.host.shown)
    from ...tui.app import run

    return run(app.host, (), chosen, ahead, prelude)


def _hosts(app: App, by_default: tuple[str, ...]) -> list[tuple[str, str, Host]]:
    """(context, address, host) of each; none where there is only what every verb would take."""
    options = app.options
    words = [(False, one) for one in options["host"]] + [(True, one) for one in options["context"]]
    if len(words) == 1:
        return []
    environment = os.environ.get("BAY_HOST") or os.environ.get("BAY_CONTEXT")
    if not words and not environment and not app.chosen_context:
        words = [("/" not in one and app.contexts.exists(one), one) for one in by_default]
    return [_host(app, name if context else "", name) for context, name in dict.fromkeys(words)]


def _host(app: App, context: str, address: str) -> tuple[str, str, Host]:
    try:
        if not context:
            return "", address, app.parsed(address)
        if context == "default":
            return context, context, default_host()
        return context, context, app.contexts.get(context).parsed()
    except BayError as error:
        raise type(error)(f"{address}: {error}") from error
