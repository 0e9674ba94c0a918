"""All keys on one page."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import groupby

from rich.text import Text
from textual.app import ComposeResult
from textual.binding import Binding
from textual.containers import ItemGrid, VerticalScroll
from textual.screen import ModalScreen
from textual.widgets import Static

from ..keys import LOG_KEYS, SHELL_KEYS, Key


class Help(ModalScreen[None]):
    """The keys by what they are about; any key closes it."""

    BINDINGS = [Binding("escape,q,question_mark,f1,enter", "dismiss", "Close")]

    def __init__(self, table: Sequence[Key]) -> None:
        super().__init__()
        self._table = table

    def compose(self) -> ComposeResult:
        """A column of groups per 30 columns of width."""
        with VerticalScroll(classes="dialog help") as box:
            box.border_title = "Keys"
            box.border_subtitle = "esc closes"
            with ItemGrid(min_column_width=30):
                for title, keys in _groups(self._table):
                    yield Static(self._group(title, keys), classes="group")

    def _group(self, title: str, keys: list[Key]) -> Text:
        tones = self.app.theme_variables
        text = Text(title, style="bold")
        for key in keys:
            text.append(f"\n{key.face:>6}  ", _rich(tones["accent"]))
            text.append(key.label, _rich(tones["ink"]))
        return text


def _groups(table: Sequence[Key]) -> list[tuple[str, list[Key]]]:
    order = [
        "Containers",
        "Panes",
        "Lists",
        "Detail",
        "Logs",
        "Shell",
        "Images",
        "Others",
        "Screen",
    ]
    shown = (key for key in (*table, *LOG_KEYS, *SHELL_KEYS) if key.face)
    keys = sorted(shown, key=lambda key: order.index(key.group))
    return [(title, list(group)) for title, group in groupby(keys, key=lambda key: key.group)]


def _rich(color: str) -> str:
    return color.removeprefix("ansi_")
