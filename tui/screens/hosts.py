"""The hosts of the screen: how each one is and why, and which of them are shown."""

from __future__ import annotations

import textwrap
from collections.abc import Sequence

from textual.app import ComposeResult
from textual.binding import Binding
from textual.containers import Vertical
from textual.content import Content
from textual.screen import ModalScreen
from textual.widgets import OptionList
from textual.widgets.option_list import Option

from ...host.errors import BayError
from ..fleet import Station
from ..tabs import engine_name
from ..widgets.fleet import running

WIDTH = 44  # columns of what is said of a host


class Hosts(ModalScreen[str | None]):
    """The answer is the name of the host to show alone, "" for all of them, None for no change."""

    BINDINGS = [
        Binding("escape,q,at", "dismiss(None)", "Close"),
        Binding("a", "dismiss('')", "All"),
        Binding("r", "retry", "Try again", show=False),
        Binding("d", "dismiss_rows", "Dismiss what was known of it", show=False),
        Binding("ctrl+s", "start", "Start its engine", show=False),
        Binding("j", "down", "Down", show=False),
        Binding("k", "up", "Up", show=False),
    ]

    def __init__(self, stations: Sequence[Station], scope: str) -> None:
        super().__init__()
        self._stations = stations
        self._scope = scope

    def compose(self) -> ComposeResult:
        """Two lines per host: how it is, and where or why not."""
        with Vertical(classes="dialog menu hosts") as box:
            box.border_title = "Hosts"
            box.border_subtitle = "↵ this one · a all · r retry · d drop · esc"
            yield OptionList(
                Option(self._all(), id="all"),
                *(Option(self._about(one), id=f"host-{n}") for n, one in enumerate(self._stations)),
                compact=True,
            )

    def on_mount(self) -> None:
        """On the one that is shown; all are looked at once a second."""
        options = self.query_one(OptionList)
        options.focus()
        names = ["", *(one.name for one in self._stations)]
        options.highlighted = names.index(self._scope) if self._scope in names else 0
        self.set_interval(1, self._look)

    def _look(self) -> None:
        options = self.query_one(OptionList)
        for index, station in enumerate(self._stations):
            options.replace_option_prompt(f"host-{index}", self._about(station))

    def _all(self) -> Content:
        mark = "all hosts" if self._scope else "all hosts, as now"
        return Content.assemble(("  ", ""), (mark, "$ink"))

    def _about(self, station: Station) -> Content:
        glyph, word, tone = station.health
        shown = " · the only one shown" if station.name == self._scope else ""
        shown = " · dismissed until it is back" if station.dismissed else shown
        alive, every = running(station)
        engine = engine_name(station.model.version) if station.model.version else ""
        facts = f"{engine} · {alive} of {every} run" if engine else ""
        second = station.reason or station.dialer.name
        indented = textwrap.indent(textwrap.fill(second, WIDTH), " " * 4)
        return Content.assemble(
            (f"{glyph} {station.name}", f"${tone}"),
            (f"  {word}{shown}  ", "$ink"),
            (f"{facts}\n{indented}", "$dim"),
        )

    def _chosen(self) -> Station | None:
        at = self.query_one(OptionList).highlighted
        return self._stations[at - 1] if at else None

    def on_option_list_option_selected(self, event: OptionList.OptionSelected) -> None:
        """That one alone, or all."""
        station = self._stations[event.option_index - 1] if event.option_index else None
        self.dismiss(station.name if station else "")

    def action_retry(self) -> None:
        """Try to reach the host under the cursor now; on the first line, all that are not up."""
        chosen = self._chosen()
        for station in [chosen] if chosen else self._stations:
            if not station.up:
                station.feed.retry()
        self._look()

    def action_dismiss_rows(self) -> None:
        """Show no more what was known of a host that is lost, or show it again."""
        station = self._chosen()
        if station is None or station.up:
            self.notify("Only what is left of a lost host can be dismissed; ↵ shows one alone.")
            return
        station.dismissed = not station.dismissed
        self._look()

    async def action_start(self) -> None:
        """Start the engine of this machine, where that is the host under the cursor."""
        station = self._chosen()
        if station is None or not station.dialer.can_start:
            self.notify("Only the engine of this machine can be started from here.")
            return
        try:
            await station.dialer.start()
            station.feed.retry()
        except BayError as error:
            self.notify(str(error), severity="error", markup=False)

    def action_down(self) -> None:
        """The next."""
        self.query_one(OptionList).action_cursor_down()

    def action_up(self) -> None:
        """The one before."""
        self.query_one(OptionList).action_cursor_up()
