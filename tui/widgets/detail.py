"""The pane about the chosen object: its tabs in the border, the shown one inside."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from textual.app import ComposeResult
from textual.containers import Container
from textual.widget import Widget
from textual.widgets import ContentSwitcher

from .. import tabs
from ..model import Model
from ..source import Source
from ..tabs import TABS
from .edges import entitle
from .logs import Logs
from .pane import Pane
from .shell import Shell

if TYPE_CHECKING:
    from textual.events import Resize
    from textual.timer import Timer

# Seconds the cursor rests on a row before its log or its JSON is asked for: who holds a key down
# wants to see the rows pass, not the log of each.
PAUSE = 0.06


class Detail(Container):
    """Logs, shell, figures and the whole truth about what the cursor stands on.

    The tabs that are not seen at the start are made when they are first turned to: most of them
    never are, and each costs imports and time before the first paint.
    """

    def __init__(
        self, source: Source, model: Model, clock: Callable[[], float], host: str = ""
    ) -> None:
        super().__init__()
        self._host = host
        self._clock = clock
        self._source = source
        self._model = model
        self.kind = "containers"
        self.target = ""
        self._wanted = "logs"
        self._state = ""
        self._views: dict[str, Widget] = {}
        self._chosen: list[str] = []
        self._pause: Timer | None = None

    def compose(self) -> ComposeResult:
        """What is there from the start; only the current tab is shown."""
        self._views["logs"] = Logs(self._source, self._model, widget_id="logs")
        self._views["shell"] = Shell(self._source, self._model, widget_id="shell")
        with ContentSwitcher(initial="logs"):
            yield self._views["logs"]
            yield self._views["shell"]

    @property
    def tab(self) -> str:
        """The tab that is shown: the wanted one where the kind has it."""
        names = TABS[self.kind]
        return self._wanted if self._wanted in names else names[0]

    @property
    def content(self) -> Widget:
        """The widget of the shown tab."""
        return self.view(self.tab)

    def view(self, name: str) -> Widget:
        """The widget of a tab, made when it is wanted for the first time."""
        found = self._views.get(name)
        if found is None:
            from .making import make

            found = make(name, self._source, self._model, self._clock)
            found.display = False
            self._views[name] = found
            self.query_one(ContentSwitcher).mount(found)
        return found

    def show(self, kind: str, target: str, chosen: Sequence[str] = ()) -> None:
        """Show the object `target` of the list `kind`; the logs of all that is `chosen` there."""
        many = kind == "projects" or (kind == "containers" and len(chosen) > 1)
        self._chosen = list(chosen) if many else []
        moved = (kind, target) != (self.kind, self.target)
        at_once = not moved or kind != self.kind or not self.target
        if moved:
            self.kind, self.target, self._state = kind, target, ""
        if at_once:
            self._update()
            return
        self.retitle()
        if self._pause is None:
            self._pause = self.set_timer(PAUSE, self._update)
        else:
            self._pause.reset()

    def open(self, tab: str) -> None:
        """Turn to `tab`, and remember it for what is chosen later."""
        if tab in TABS[self.kind]:
            self._wanted = tab
            self._update()

    def turn(self, step: int) -> None:
        """Turn to the next tab, or the one before."""
        names = TABS[self.kind]
        self.open(names[(names.index(self.tab) + step) % len(names)])

    def refresh_target(self) -> None:
        """The lists changed: read again what depends on the object's state."""
        if self.kind == "containers":
            summary = self._model.container(self.target)
            state = summary["State"] if summary else "gone"
            was, self._state = self._state, state
            if was and was != state and state == "running":
                self.query_one(Logs).restarted(self.target)
            if was == state:
                self._pane(Pane.changed)
                return
        self._update()

    def tick(self) -> None:
        """New samples came."""
        self._pane(Pane.tick)

    def happened(self) -> None:
        """An event came."""
        if self.tab == "happened":
            self._pane(Pane.changed)

    def _pane(self, tell: Callable[[Pane], None]) -> None:
        view = self.content
        if isinstance(view, Pane):
            tell(view)

    def _update(self) -> None:
        if self._pause is not None:
            self._pause.stop()
            self._pause = None
        view = self.content
        self.query_one(ContentSwitcher).current = self.tab
        if isinstance(view, Logs) and self._chosen:
            view.merge(self._chosen)
        elif isinstance(view, Pane):
            view.show_target(self.kind, self.target)
        self.retitle()

    # --- the border

    def retitle(self) -> None:
        """Write the tabs and the object's name into the border."""
        view = self.content
        about = view.about if isinstance(view, Pane) else ""
        title = tabs.title(self.kind, self.tab, self.size.width - 4, self._model.version)
        called = tabs.called(self.kind, self.target, self._model)
        parts = (self._host and f"[$accent]{self._host}[/]", called, about)
        entitle(self, title, " · ".join(part for part in parts if part))

    def places(self) -> list[tuple[str, int]]:
        """The tabs that are seen, with the column each begins in on the screen."""
        found, x = [], self.region.x + 2
        for name, word in tabs.fit(TABS[self.kind], self.tab, max(10, self.size.width - 4)):
            found.append((name, x))
            x += len(word) + 1
        return found

    def on_resize(self, event: Resize) -> None:
        """The tabs share another width."""
        self.call_after_refresh(self.retitle)

    def on_log_view_changed(self) -> None:
        """The log moved."""
        self.retitle()

    def on_terminal_changed(self) -> None:
        """The session did."""
        self.retitle()

    def on_listing_changed(self) -> None:
        """A list was read, or searched."""
        self.retitle()

    def on_pane_told(self) -> None:
        """A tab has other words for it."""
        self.retitle()

    def on_outline_changed(self) -> None:
        """Likewise a tree."""
        self.retitle()

    def on_descendant_focus(self) -> None:
        """What the border says of the keyboard is out of date."""
        self.retitle()

    def on_descendant_blur(self) -> None:
        """Likewise."""
        self.call_after_refresh(self.retitle)
