"""The pane about the chosen object: its tabs in the border, the shown one inside."""

from __future__ import annotations

from collections.abc import Callable

from textual.app import ComposeResult
from textual.containers import Container
from textual.widget import Widget
from textual.widgets import ContentSwitcher

from ..model import Model, container_name
from ..source import Source
from ..text import image_name, short_id
from .inspect import Inspect
from .listing import Listing
from .logs import Logs
from .logview import LogView
from .shell import Shell
from .stats import Stats

TABS = {
    "containers": ("logs", "shell", "stats", "inspect", "processes", "changes"),
    "images": ("layers", "inspect"),
    "networks": ("inspect",),
    "volumes": ("inspect",),
}
TITLES = {
    "logs": "Logs",
    "shell": "Shell",
    "stats": "Stats",
    "inspect": "Inspect",
    "processes": "Processes",
    "changes": "Changes",
    "layers": "Layers",
}
LISTINGS = ("processes", "changes", "layers")
EVERY = 2  # samples between two looks at the processes


class Detail(Container):
    """Logs, shell, figures and the whole truth about what the cursor stands on."""

    def __init__(self, source: Source, model: Model, clock: Callable[[], float]) -> None:
        super().__init__(id="detail")
        self._clock = clock
        self._ticks = 0
        self._source = source
        self._model = model
        self.kind = "containers"
        self.target = ""
        self._wanted = "logs"
        self._state = ""

    def compose(self) -> ComposeResult:
        """One widget per tab; only the current one is shown."""
        with ContentSwitcher(initial="logs"):
            yield Logs(self._source, widget_id="logs")
            yield Shell(self._source, self._model, widget_id="shell")
            yield Stats(self._model, widget_id="stats")
            for kind in LISTINGS:
                yield Listing(self._source, kind, self._clock)
            yield Inspect(self._source, widget_id="inspect")

    @property
    def tab(self) -> str:
        """The tab that is shown: the wanted one where the kind has it."""
        tabs = TABS[self.kind]
        return self._wanted if self._wanted in tabs else tabs[0]

    @property
    def content(self) -> Widget:
        """The widget of the shown tab."""
        return self.query_one(f"#{self.tab}")

    def show(self, kind: str, target: str) -> None:
        """Show the object `target` of the list `kind`."""
        if (kind, target) != (self.kind, self.target):
            self.kind, self.target, self._state = kind, target, ""
        self._update()

    def open(self, tab: str) -> None:
        """Turn to `tab`, and remember it for what is chosen later."""
        if tab in TABS[self.kind]:
            self._wanted = tab
            self._update()

    def turn(self, step: int) -> None:
        """Turn to the next tab, or the one before."""
        tabs = TABS[self.kind]
        self.open(tabs[(tabs.index(self.tab) + step) % len(tabs)])

    def refresh_target(self) -> None:
        """The lists changed: read again what depends on the object's state."""
        if self.kind == "containers":
            summary = self._model.container(self.target)
            state = summary["State"] if summary else "gone"
            was, self._state = self._state, state
            if was and was != state and state == "running":
                self.query_one(Logs).show(self.target, fresh=True)
            if was == state:
                return
        self._update()

    def tick(self) -> None:
        """New samples came."""
        if self.tab == "stats":
            self.query_one(Stats).tick()
        self._ticks += 1
        if self.tab == "processes" and self._ticks % EVERY == 0:
            self.query_one("#processes", Listing).tick()

    def _update(self) -> None:
        self.query_one(ContentSwitcher).current = self.tab
        if self.tab == "logs":
            self.query_one(Logs).show(self.target)
        elif self.tab == "shell":
            self.query_one(Shell).choose(self.target)
        elif self.tab == "stats":
            self.query_one(Stats).show(self.target)
        elif self.tab in LISTINGS:
            self.query_one(f"#{self.tab}", Listing).show_target(self.target.partition(" ")[0])
        elif self.tab == "inspect":
            self.query_one(Inspect).show(self.kind, self.target)
        self.retitle()

    def retitle(self) -> None:
        """Write the tabs and the object's name into the border."""
        tabs = []
        for name in TABS[self.kind]:
            title = TITLES[name]
            if name == self.tab:
                tabs.append(f"[b $accent]{title}[/]")
            else:
                tabs.append(f"[@click=screen.tab('{name}')][$dim]{title}[/][/]")
        self.border_title = " ".join(tabs)
        self.border_subtitle = f"{self._called()}{self._about()}"

    def _called(self) -> str:
        if self.kind == "containers":
            summary = self._model.container(self.target)
            if summary is None:
                return ""
            image = image_name(str(summary.get("Image", "")))
            return f"[$bright]{container_name(summary)}[/] · {image}"
        identifier, _, name = self.target.partition(" ")
        return name or short_id(identifier)

    def _about(self) -> str:
        view = self.content
        if isinstance(view, Shell):
            return f" · {view.about}" if view.about else ""
        if not isinstance(view, LogView):
            return ""
        words = [] if view.wrap else ["cut"]
        if view.query_text:
            words.append(f"/{view.query_text} {view.found} found")
        if view.only:
            words.append("only matches")
        words.append("following" if view.following else "held, [b]f[/] follows")
        return " · ".join(["", *words])

    def on_log_view_changed(self) -> None:
        """The log moved."""
        self.retitle()

    def on_terminal_changed(self) -> None:
        """The session did."""
        self.retitle()

    def on_descendant_focus(self) -> None:
        """What the border says of the keyboard is out of date."""
        self.retitle()

    def on_descendant_blur(self) -> None:
        """Likewise."""
        self.call_after_refresh(self.retitle)
