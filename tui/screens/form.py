"""One dialog for all forms: fields, switches, and the command line that would do the same."""

from __future__ import annotations

from typing import Any

from textual.app import ComposeResult
from textual.binding import Binding
from textual.containers import Horizontal, Vertical, VerticalScroll
from textual.suggester import SuggestFromList
from textual.widgets import Button, Checkbox, Input, Label, Select

from ...host.errors import InvalidError
from ..forms import Form, Line, Values
from ..widgets.field import Field, Toggle
from .filling import Filling


class FormDialog(Filling[Any]):
    """Asks what a form asks; the answer is what the form makes of it, None for nothing."""

    BINDINGS = [
        Binding("escape", "dismiss(None)", "Cancel"),
        Binding("ctrl+r", "go", "Do it"),
        Binding("up", "app.focus_previous", "Before", show=False),
        Binding("down", "app.focus_next", "Next", show=False),
    ]

    def __init__(self, form: Form) -> None:
        super().__init__()
        self._form = form

    def compose(self) -> ComposeResult:
        """The fields, the switches, the command, the button."""
        form = self._form
        with Vertical(classes="dialog form") as box:
            box.border_title = form.title
            box.border_subtitle = "↵ or ctrl+r does it · tab next · esc"
            if form.note:
                yield Label(form.note, classes="detail", markup=False)
            with VerticalScroll(can_focus=False):
                for line in form.lines:
                    with Horizontal(classes="field"):
                        yield Label(line.label)
                        yield self._field(line)
                for name, label, on in form.toggles:
                    yield Toggle(label, on, id=f"form-{name}")
            yield Label("", id="line", classes="command", markup=False)
            yield Label("", id="wrong", markup=False)
            with Horizontal(classes="buttons"):
                yield Button(form.verb, id="go", compact=True)

    def _field(self, line: Line) -> Input | Select[str]:
        if line.choices or line.name in ("network", "container"):
            return Select(
                line.choices,
                value=line.value if line.choices else Select.NULL,
                allow_blank=not line.choices,
                prompt="nothing to choose",
                id=f"form-{line.name}",
                compact=True,
            )
        suggester = SuggestFromList(line.suggest) if line.suggest else None
        return Field(line.value, placeholder=line.hint, id=f"form-{line.name}", suggester=suggester)

    def on_mount(self) -> None:
        """One can type at once."""
        if self._form.lines:
            self.query_one(f"#form-{self._form.lines[0].name}").focus()
        self.show_command()

    def _values(self) -> Values:
        values: Values = {}
        for line in self._form.lines:
            widget = self.query_one(f"#form-{line.name}")
            if isinstance(widget, Select):
                values[line.name] = widget.value if isinstance(widget.value, str) else ""
            else:
                assert isinstance(widget, Input)
                values[line.name] = widget.value
        for name, _, _ in self._form.toggles:
            values[name] = self.query_one(f"#form-{name}", Checkbox).value
        return values

    def show_command(self) -> None:
        """As it would be typed."""
        self.query_one("#wrong", Label).update("")
        try:
            command = f"$ {self._form.make(self._values()).command}"
        except InvalidError:
            command = "$ …"  # half typed; the reason is given when it is wanted
        self.query_one("#line", Label).update(command)

    def action_go(self) -> None:
        """Do it, unless a field can't be understood."""
        try:
            self.dismiss(self._form.make(self._values()))
        except InvalidError as error:
            self.query_one("#wrong", Label).update(str(error))
