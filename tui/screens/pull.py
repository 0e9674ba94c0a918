"""Pulling an image: which one, then how far each layer is."""

from __future__ import annotations

from textual.app import ComposeResult
from textual.binding import Binding
from textual.containers import Vertical
from textual.screen import ModalScreen
from textual.strip import Strip
from textual.widgets import Input, Label

from .. import text
from ..cells import Span
from ..pulls import Pull
from ..widgets.field import Field
from ..widgets.hostline import meter
from ..widgets.toned import Toned

BAR = 24


class AskImage(ModalScreen[str]):
    """Asks for an image's name; "" when the user thought better of it."""

    BINDINGS = [Binding("escape", "dismiss('')", "Cancel")]

    def compose(self) -> ComposeResult:
        """One input."""
        with Vertical(classes="dialog") as box:
            box.border_title = "Pull an image"
            box.border_subtitle = "↵ pulls · esc"
            yield Field(placeholder="name, name:tag or registry/name:tag")
            yield Label("$ bay pull", classes="command", markup=False)

    def on_input_changed(self, event: Input.Changed) -> None:
        """Show the command that does the same."""
        self.query_one(Label).update(f"$ bay pull {event.value}")

    def on_input_submitted(self, event: Input.Submitted) -> None:
        """Go."""
        self.dismiss(event.value.strip())


class _Bars(Toned):
    def __init__(self, pull: Pull) -> None:
        super().__init__()
        self._pull = pull

    def render_line(self, y: int) -> Strip:
        layers = list(self._pull.layers.items())
        # The last ones when they do not all fit: the first are done first.
        layers = layers[-self.size.height :]
        if y >= len(layers):
            return Strip.blank(self.size.width, self.style_of(""))
        identifier, layer = layers[y]
        spans: list[Span] = [(f"{identifier[:12]:12} ", "dim"), *meter(layer.share * 69, BAR)]
        if layer.share >= 1:
            spans = [(f"{identifier[:12]:12} ", "dim"), ("━" * BAR, "good")]
        known = f" {text.size(layer.current)}/{text.size(layer.total)}" if layer.current else ""
        return self.strip([*spans, (f" {layer.status}", ""), (known, "dim")], self.size.width)


class Progress(ModalScreen[None]):
    """One pull as it goes; hiding it does not stop it."""

    BINDINGS = [Binding("escape,q,enter", "dismiss", "Hide")]

    def __init__(self, pull: Pull) -> None:
        super().__init__()
        self._pull = pull

    def compose(self) -> ComposeResult:
        """The whole, then a line per layer."""
        with Vertical(classes="dialog pull") as box:
            box.border_title = f"Pulling {self._pull.reference}"
            box.border_subtitle = "esc hides, the pull goes on"
            yield Label("", markup=False)
            yield _Bars(self._pull)

    def on_mount(self) -> None:
        """Look four times a second; the stream itself says hundreds of times how far it is."""
        self._look()
        self.set_interval(0.25, self._look)

    def _look(self) -> None:
        pull = self._pull
        if pull.over:
            self.dismiss()
            return
        bars = self.query_one(_Bars)
        bars.styles.height = min(16, max(1, len(pull.layers)))
        self.query_one(Label).update(f"{pull.share:4.0%}  {pull.status}")
        bars.refresh()
