"""The form that runs a container, with the command line that would do the same."""

from __future__ import annotations

from textual.app import ComposeResult
from textual.binding import Binding
from textual.containers import Horizontal, Vertical, VerticalScroll
from textual.suggester import SuggestFromList
from textual.widgets import Button, Checkbox, Input, Label, Select

from ...host.errors import InvalidError
from ..runspec import RESTARTS, RunSpec
from ..widgets.field import Field, Toggle
from .filling import Filling

_FIELDS = (
    ("image", "Image", "name:tag"),
    ("name", "Name", "chosen by the engine"),
    ("command", "Command", "the image's own"),
    ("ports", "Ports", "8080:80 127.0.0.1:53:53/udp"),
    ("volumes", "Volumes", "data:/var/lib/data /host/path:/path:ro"),
    ("environment", "Environment", "NAME=value 'OTHER=two words'"),
    ("memory", "Memory", "no limit; 256m, 2g"),
    ("cpus", "CPUs", "no limit; 0.5, 2"),
)


class Run(Filling[RunSpec | None]):
    """Asks for what to run; None when the user thought better of it."""

    BINDINGS = [
        Binding("escape", "dismiss(None)", "Cancel"),
        Binding("ctrl+r", "go", "Run"),
        Binding("up", "app.focus_previous", "Before", show=False),
        Binding("down", "app.focus_next", "Next", show=False),
    ]

    def __init__(self, image: str, images: list[str], networks: list[str]) -> None:
        super().__init__()
        self._image = image
        self._images = images
        self._networks = networks

    def compose(self) -> ComposeResult:
        """The fields, the switches, the command."""
        with Vertical(classes="dialog run") as box:
            box.border_title = "Run a container"
            box.border_subtitle = "↵ or ctrl+r runs · tab next · esc"
            with VerticalScroll(can_focus=False):
                for name, label, hint in _FIELDS:
                    with Horizontal(classes="field"):
                        yield Label(label)
                        value = self._image if name == "image" else ""
                        suggest = SuggestFromList(self._images) if name == "image" else None
                        yield Field(
                            value,
                            placeholder=hint,
                            id=f"run-{name}",
                            suggester=suggest,
                        )
                with Horizontal(classes="field"):
                    yield Label("Network")
                    yield Select(
                        [(one, one) for one in self._networks],
                        prompt="bridge, the default",
                        id="run-network",
                        compact=True,
                    )
                with Horizontal(classes="field"):
                    yield Label("Restart")
                    yield Select(
                        [(one, one) for one in RESTARTS],
                        value="no",
                        allow_blank=False,
                        id="run-restart",
                        compact=True,
                    )
                yield Toggle("with a terminal, and go into it", id="run-terminal")
                yield Toggle("remove it when it ends", id="run-remove")
            yield Label("", id="line", classes="command", markup=False)
            yield Label("", id="wrong", markup=False)
            with Horizontal(classes="buttons"):
                yield Button("Run", id="go", compact=True)

    def on_mount(self) -> None:
        """Start where something is missing."""
        self.query_one("#run-command" if self._image else "#run-image").focus()
        self.show_command()

    def _spec(self) -> RunSpec:
        texts = {name: self.query_one(f"#run-{name}", Input).value for name, _, _ in _FIELDS}
        network = self.query_one("#run-network", Select).value
        return RunSpec(
            **texts,
            network=network if isinstance(network, str) else "",
            restart=str(self.query_one("#run-restart", Select).value),
            terminal=self.query_one("#run-terminal", Checkbox).value,
            remove=self.query_one("#run-remove", Checkbox).value,
        )

    def show_command(self) -> None:
        """As it would be typed."""
        self.query_one("#line", Label).update(f"$ {self._spec().line()}")
        self.query_one("#wrong", Label).update("")

    def action_go(self) -> None:
        """Run, unless a field can't be understood."""
        spec = self._spec()
        try:
            spec.request()
        except InvalidError as error:
            self.query_one("#wrong", Label).update(str(error))
            return
        self.dismiss(spec)
