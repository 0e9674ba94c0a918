"""The `bay` screen: a Textual app over one engine's API."""

from __future__ import annotations

import asyncio
import base64
import gc
import os
import signal
import sys
import time
from collections.abc import Callable, Iterable, Sequence
from typing import TYPE_CHECKING, Any

from textual.app import SystemCommand
from textual.binding import Binding
from textual.command import CommandPalette
from textual.screen import Screen

from ..client.hosts import Host
from . import hostinfo, memory, settings, theme, tones
from .ahead import Ahead
from .arranged import HEIGHTS, WIDTHS
from .dialing import Dialer
from .hostinfo import Figures
from .keyqueue import KeyQueue
from .memory import Memory
from .screens.main import MainScreen
from .settings import Settings
from .stylesheet import SteadySheet

if TYPE_CHECKING:
    from .fleet import Named, Place
    from .prelude import Prelude


SETTLED = 4.0  # seconds after the start in which nothing is collected
SWEPT = 2.0  # seconds between two looks for what has become garbage meanwhile
WHOLE, REST = 120.0, 10.0  # likewise between two looks at all, and since the last key
SWITCH = 0.001  # seconds the threads that read keys and write frames wait for Python's lock


class BayApp(KeyQueue, inherit_bindings=False):
    """Bayplan's full-screen app; holds no state that matters.

    `pace` is the seconds between two looks at the host, None for one look at the start.
    """

    CSS_PATH = "app.tcss"
    TITLE = "Bayplan"
    HORIZONTAL_BREAKPOINTS = WIDTHS
    VERTICAL_BREAKPOINTS = HEIGHTS
    COMMANDS = set()  # the main screen brings its own; Textual's type is a class's
    BINDINGS = [Binding("f10", "command_palette", "Commands", show=False)]

    def __init__(
        self,
        dialer: Dialer,
        *,
        read_host: Callable[[], Figures] = hostinfo.read,
        clock: Callable[[], float] = time.time,
        theme_name: str | None = None,
        pace: float | None = 1.0,
        chosen: Settings | None = None,
        kept: Memory | None = None,
        places: Sequence[Place] = (),
        prelude: Prelude | None = None,
    ) -> None:
        # Textual chooses here, before it knows our theme, how it drops the colours: with its other
        # way the terminal's default colours both become black.
        options: dict[str, Any] = {"ansi_color": True if "NO_COLOR" in os.environ else None}
        self._prelude = prelude
        if prelude is not None:
            from .driver import driver_after

            options["driver_class"] = driver_after(prelude)
        super().__init__(**options)
        if prelude is not None and prelude.painted:
            self.painter.know(prelude.lines)
            self.veiled = True
        self.stylesheet = SteadySheet(variables=self.stylesheet._variables)
        for one in theme.THEMES:
            self.register_theme(one)
        chosen = chosen or Settings()
        self.kept = kept or Memory(None)
        problem = tones.unknown(chosen.theme)
        if problem:
            chosen = chosen._replace(problems=(*chosen.problems, problem))
        self.settings = chosen
        wanted = theme_name or chosen.theme or self.kept.recall().theme
        self.theme = tones.choose(os.environ, wanted)
        if chosen.ascii_only:
            from .ascii import Ascii

            self._filters.append(Ascii())
        if chosen.slow_link:
            self.animation_level = "none"
        more: dict[str, Any] = {
            "read_host": read_host,
            "clock": clock,
            "pace": pace * 3 if pace and chosen.slow_link else pace,
            "settings": chosen,
            "memory": self.kept,
        }
        self._swept, self._whole = 0, 0.0
        if len(places) > 1:
            from .screens.fleet import FleetScreen

            self.main: MainScreen = FleetScreen(places, **more)
        else:
            self.main = MainScreen(dialer, **more)

    def on_mount(self) -> None:
        """Who ends the program from outside gets the terminal back all the same."""
        if not self.is_headless:
            self.set_timer(SETTLED, self._settle)
            sys.setswitchinterval(SWITCH)
            if self._prelude is not None:
                self._prelude.let_go()
            asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, self._end)

    def _settle(self) -> None:
        """Collect garbage again, and leave alone what has been there from the start.

        Until here it would have been looked for in what the imports made: a twelfth of their time.
        Of a thousand containers' histories each full collection took a tenth of a second, in
        mid-key, one of the youngest 5 to 8 ms: those are collected while nobody types.
        """
        gc.freeze()
        gc.set_threshold(100_000, 20, 20)
        gc.enable()
        self.set_interval(SWEPT, self._sweep)

    def _sweep(self) -> None:
        if self._typist is not None:
            return
        self._swept += 1
        now = asyncio.get_running_loop().time()
        if now - self._whole > WHOLE and now - self._painted > REST:
            # The sweeps keep Python from ever coming to it: logs and shells that were left stay.
            self._whole = now
            gc.collect()
        else:
            gc.collect(0 if self._swept % 20 else 1)

    def _end(self) -> None:
        asyncio.get_running_loop().remove_signal_handler(signal.SIGTERM)  # a second one ends it
        self.exit(return_code=128 + signal.SIGTERM)

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

    def get_system_commands(self, screen: Screen[object]) -> Iterable[SystemCommand]:
        """None of Textual's: the palette has ours."""
        return ()

    def action_theme(self, name: str) -> None:
        """Change the colours, and remember it."""
        self.theme = name
        self.kept.now.theme = name
        self.kept.keep()

    def action_command_palette(self) -> None:
        """Everything by its words; over a dialog there is nothing to command."""
        if self.screen is self.main:
            self.push_screen(CommandPalette(placeholder="What shall be done?"))

    def copy_to_clipboard(self, text: str) -> None:
        """Copy by OSC 52, which works over SSH; inside tmux and screen also through them."""
        super().copy_to_clipboard(text)
        wrapped = wrap_copy(text, os.environ)
        if wrapped and self._driver is not None:
            self._driver.write(wrapped)

    def _handle_exception(self, error: Exception) -> None:
        """Something of ours failed: end, and leave what it was to `run`, not to a traceback."""
        self._return_code = 1
        if self._exception is None:
            self._exception = error
            self._exception_event.set()
        self._close_messages_no_wait()

    def on_unmount(self) -> None:
        """The end, by whatever cause: what was not written yet is."""
        self.kept.keep()


def wrap_copy(text: str, environment: os._Environ[str] | dict[str, str]) -> str:
    """The sequence that reaches the terminal outside of a multiplexer, "" where there is none.

    tmux passes it on in DCS with each ESC doubled (where allow-passthrough is on; with
    set-clipboard it takes the plain one), screen in DCS of at most 768 bytes.
    """
    plain = f"\x1b]52;c;{base64.b64encode(text.encode()).decode()}\a"
    if environment.get("TMUX"):
        doubled = plain.replace("\x1b", "\x1b\x1b")
        return f"\x1bPtmux;{doubled}\x1b\\"
    if environment.get("STY"):
        parts = [plain[at : at + 700] for at in range(0, len(plain), 700)]
        return "".join(f"\x1bP{part}\x1b\\" for part in parts)
    return ""


def run(
    host: Host,
    others: Sequence[Named] = (),
    chosen: Settings | None = None,
    ahead: Ahead | None = None,
    prelude: Prelude | None = None,
) -> int:
    """Run the app against the engine at `host`; the exit code of the process.

    `others` are all hosts of a screen of several. `chosen` are the settings, if read already,
    `ahead` what the engine was asked meanwhile, `prelude` has the terminal until now.
    """
    chosen = chosen or settings.load(settings.path(os.environ))
    file = memory.path(os.environ) if chosen.restore else None
    places: Sequence[Place] = ()
    if len(others) > 1:
        from .fleet import named

        places = named(others)
    more: dict[str, Any] = {"prelude": prelude} if prelude is not None else {}
    if prelude is not None and (figures := prelude.figures) is not None:
        more["read_host"] = hostinfo.beginning_with(figures)
    app = BayApp(Dialer(host), chosen=chosen, kept=Memory(file), places=places, **more)
    app.main.ahead = ahead
    try:
        app.run(mouse=chosen.mouse)
        error: Exception | None = app._exception
    except Exception as raised:  # whatever it is, the user gets a sentence
        error = raised
    if error is not None:
        if prelude is not None:
            prelude.end()
        from . import crash

        print(crash.sentence(error, crash.keep(error, os.environ)), file=sys.stderr)
        return 1
    return app.return_code or 0
