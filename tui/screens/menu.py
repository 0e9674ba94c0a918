"""Menus: the actions an object has, and the columns a list has."""

from __future__ import annotations

from collections.abc import Sequence

from textual.app import ComposeResult
from textual.binding import Binding
from textual.containers import Vertical
from textual.content import Content
from textual.screen import ModalScreen
from textual.widgets import OptionList
from textual.widgets.option_list import Option

from ..cells import Column
from ..keys import Key


class Menu(ModalScreen[str]):
    """The actions on one object; the answer is the chosen one, "" for none.

    A key of the list works here too.
    """

    BINDINGS = [
        Binding("escape,q,x", "dismiss('')", "Close"),
        Binding("j", "down", "Down", show=False),
        Binding("k", "up", "Up", show=False),
    ]

    def __init__(self, title: str, entries: Sequence[Key]) -> None:
        super().__init__()
        self._title = title
        self._entries = entries

    def compose(self) -> ComposeResult:
        """A line per action."""
        with Vertical(classes="dialog menu") as box:
            box.border_title = self._title
            box.border_subtitle = "↵ does it · esc"
            yield OptionList(
                *(
                    Option(
                        Content.assemble((f"{key.face:>5}  ", "$accent"), (key.label, "$ink")),
                        id=f"entry-{index}",
                    )
                    for index, key in enumerate(self._entries)
                ),
                compact=True,
            )

    def on_mount(self) -> None:
        """On the first one."""
        self.query_one(OptionList).focus()

    def on_option_list_option_selected(self, event: OptionList.OptionSelected) -> None:
        """That one."""
        self.dismiss(self._entries[event.option_index].action)

    def on_key(self, event: object) -> None:
        """The key of an action chooses it."""
        pressed = getattr(event, "key", "")
        for key in self._entries:
            if pressed and pressed in key.keys.split(","):
                event.stop()  # type: ignore[attr-defined]  # a Key event
                self.dismiss(key.action)
                return

    def action_down(self) -> None:
        """The next."""
        self.query_one(OptionList).action_cursor_down()

    def action_up(self) -> None:
        """The one before."""
        self.query_one(OptionList).action_cursor_up()


class Columns(ModalScreen[list[str] | None]):
    """Chooses the columns of a list; the answer is their keys in order, None for no change."""

    BINDINGS = [
        Binding("escape,q,C", "leave", "Close"),
        Binding("space", "switch", "Show or hide", show=False),
        Binding("r", "reset", "As at first", show=False),
        Binding("j", "down", "Down", show=False),
        Binding("k", "up", "Up", show=False),
    ]

    def __init__(self, title: str, columns: Sequence[Column], shown: Sequence[str]) -> None:
        super().__init__()
        self._title = title
        self._columns = columns
        self._shown = set(shown)
        self._before = set(shown)

    def compose(self) -> ComposeResult:
        """A line per column."""
        with Vertical(classes="dialog menu") as box:
            box.border_title = f"Columns of {self._title}"
            box.border_subtitle = "space · r as at first · esc"
            yield OptionList(*(self._option(one) for one in self._columns), compact=True)

    def _option(self, column: Column) -> Option:
        return Option(self._line(column), id=column.key)

    def _line(self, column: Column) -> Content:
        on = column.key in self._shown
        box = ("[x] ", "$good") if on else ("[ ] ", "$dim")
        return Content.assemble(box, (name_of(column), "$ink"))

    def on_mount(self) -> None:
        """On the first one."""
        self.query_one(OptionList).focus()

    def on_option_list_option_selected(self, event: OptionList.OptionSelected) -> None:
        """Enter and a click switch too."""
        self.action_switch()

    def action_switch(self) -> None:
        """Show or hide the column under the cursor; the first one always stands."""
        options = self.query_one(OptionList)
        at = options.highlighted
        if at:
            self._shown ^= {self._columns[at].key}
            options.replace_option_prompt_at_index(at, self._line(self._columns[at]))

    def action_reset(self) -> None:
        """As they were before anybody chose."""
        self._shown = {one.key for one in self._columns if not one.extra}
        options = self.query_one(OptionList)
        for index, column in enumerate(self._columns):
            options.replace_option_prompt_at_index(index, self._line(column))

    def action_leave(self) -> None:
        """Done."""
        chosen = [one.key for one in self._columns if one.key in self._shown]
        self.dismiss(chosen if self._shown != self._before else None)

    def action_down(self) -> None:
        """The next."""
        self.query_one(OptionList).action_cursor_down()

    def action_up(self) -> None:
        """The one before."""
        self.query_one(OptionList).action_cursor_up()


_NAMES = {"cpu_line": "CPU over time", "memory_line": "memory over time"}


def name_of(column: Column) -> str:
    """How a column is called where its header says nothing."""
    return _NAMES.get(column.key, column.title.lower() or column.key)
