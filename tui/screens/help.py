"""All keys on one page."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import groupby

from rich.text import Text
from textual.app import ComposeResult
from textual.binding import Binding
from textual.containers import Horizontal, VerticalScroll
from textual.screen import ModalScreen
from textual.widgets import Static

from ..keys import LOG_KEYS, SHELL_KEYS, Key

WIDTH = 34  # columns of text for a group, with the space between two
Group = tuple[str, list[Key]]


class Help(ModalScreen[None]):
    """The keys by what they are about; any key closes it."""

    BINDINGS = [Binding("escape,q,question_mark,f1,enter", "dismiss", "Close")]

    def __init__(self, table: Sequence[Key]) -> None:
        super().__init__()
        self._table = table
        self._made = 0

    def compose(self) -> ComposeResult:
        """A column of groups per 30 columns of width."""
        with VerticalScroll(classes="dialog help") as box:
            box.border_title = "Keys"
            box.border_subtitle = "esc closes"
            self._made = self._fitting()
            with Horizontal():
                for column in _columns(_groups(self._table), self._made):
                    yield Static(
                        Text("\n").join(self._group(title, keys) for title, keys in column),
                        classes="group",
                    )

    def on_mount(self) -> None:
        """Say that there is more than is seen."""
        self.watch(self.query_one(".help"), "scroll_y", self._tell, init=False)
        self.call_after_refresh(self._tell)

    def _tell(self) -> None:
        box = self.query_one(".help")
        more = box.scroll_offset.y < box.max_scroll_y
        keys = "[b]↓[/] more · " if more else "[b]↑[/] back · " if box.max_scroll_y else ""
        box.border_subtitle = f"{keys}esc closes"

    def _fitting(self) -> int:
        """How many columns the terminal has room for."""
        return max(1, min(3, (self.app.size.width - 8) // WIDTH))

    def on_resize(self) -> None:
        """Another width may have room for more columns, or fewer."""
        if self._fitting() != self._made:
            self.refresh(recompose=True)
        self.call_after_refresh(self._tell)

    def _group(self, title: str, keys: list[Key]) -> Text:
        tones = self.app.theme_variables
        text = Text(title, style="bold")
        for key in keys:
            text.append(f"\n{key.face:>6}  ", _rich(tones["accent"]))
            text.append(key.label, _rich(tones["ink"]))
        text.append("\n")
        return text


def _columns(groups: list[Group], count: int) -> list[list[Group]]:
    """The groups in their order, in at most `count` columns that are about as long as each other.

    They are filled one after the other, to the least length with which all of them suffice.
    """
    heights = [len(keys) + 2 for _, keys in groups]
    for most in range(max(heights), sum(heights) + 1):
        columns: list[list[Group]] = [[]]
        length = 0
        for group, height in zip(groups, heights, strict=True):
            if columns[-1] and length + height > most:
                columns.append([])
                length = 0
            columns[-1].append(group)
            length += height
        if len(columns) <= count:
            return columns
    return [groups]


def _groups(table: Sequence[Key]) -> list[Group]:
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
