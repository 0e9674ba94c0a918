"""The `bay` screen: a Textual app over one engine's API."""

from __future__ import annotations

import os
import time
from collections.abc import Callable

from textual.binding import Binding

from ..client.hosts import Host, default_host, parse_host
from . import hostinfo, theme
from .dialing import Dialer
from .hostinfo import Figures
from .painting import Narrow
from .screens.main import MainScreen


class BayApp(Narrow, inherit_bindings=False):
    """Bayplan's full-screen app; holds no state that matters.

    `pace` is the seconds between two looks at the host, None for one look at the start.
    """

    CSS_PATH = "app.tcss"
    TITLE = "Bayplan"
    HORIZONTAL_BREAKPOINTS = [(0, "-narrow"), (100, "-medium"), (170, "-wide")]
    VERTICAL_BREAKPOINTS = [(0, "-short"), (22, "-normal"), (50, "-tall")]
    BINDINGS = [Binding("f10", "command_palette", "Commands", show=False)]

    def __init__(
        self,
        dialer: Dialer,
        *,
        read_host: Callable[[], Figures] = hostinfo.read,
        clock: Callable[[], float] = time.time,
        theme_name: str | None = None,
        pace: float | None = 1.0,
    ) -> None:
        # Textual chooses here, before it knows our theme, how it drops the colours: with its other
        # way the terminal's default colours both become black.
        super().__init__(ansi_color=True if "NO_COLOR" in os.environ else None)
        for one in theme.THEMES:
            self.register_theme(one)
        self.theme = theme_name or theme.choose(os.environ)
        self.main = MainScreen(dialer, read_host=read_host, clock=clock, pace=pace)

    def get_default_screen(self) -> MainScreen:
        """There is one screen; all others are dialogs over it."""
        return self.main

    def action_host(self) -> None:
        """Open the host view: the machine, the engine's disk, whose the busiest processes are."""
        from .screens.hostview import HostView

        main = self.main
        local = main.dialer.host.kind == "unix"
        self.push_screen(HostView(main.source, main.model, main.host, local=local))

    def get_theme_variable_defaults(self) -> dict[str, str]:
        """Our tones, for the themes that do not bring them."""
        return theme.defaults(self.current_theme)


def run(host: Host) -> int:
    """Run the app against the engine at `host`; the exit code of the process."""
    app = BayApp(Dialer(host))
    app.run()
    return app.return_code or 0


def main(host: str | None = None) -> int:
    """Run the app against `host` (`unix:///…`, `ssh://…`, `tcp://…`), else BAY_HOST, else here."""
    address = host or os.environ.get("BAY_HOST")
    return run(parse_host(address) if address else default_host())
