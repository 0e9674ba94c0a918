"""What the detail pane and the main screen expect of the widget of a tab."""

from __future__ import annotations

from textual.message import Message


class Pane:
    """A tab's widget, beside being a Textual widget: told what it is about, and when time passes.

    `about` is what the border says of it, as markup.
    """

    class Told(Message):
        """What the border says of it is out of date."""

    def show_target(self, kind: str, target: str) -> None:
        """Show the object `target` (a row's id, "" for none) of the list `kind`."""

    def tick(self) -> None:
        """New samples came, about once a second, while it is shown."""

    def changed(self) -> None:
        """The engine's lists changed: what it shows may be out of date."""

    @property
    def about(self) -> str:
        """Words for the border, in markup."""
        return ""


class Searchable:
    """A tab in which `/` searches: `query_text` is what is searched for, "" for nothing."""

    query_text: str = ""

    def search(self, query: str) -> None:
        """Search for `query` as it grows; "" ends the search."""
