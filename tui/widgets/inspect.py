"""The Inspect tab: what the API says of an object, as a tree that folds."""

from __future__ import annotations

import json
import re
from typing import Any

from rich.text import Text
from textual.binding import Binding
from textual.widgets import Tree
from textual.widgets.tree import TreeNode

from ...host.errors import BayError
from ..later import Later
from ..source import Source
from .pane import Pane, Searchable

Path = tuple[str, ...]
# Opened at first: what one looks for most often. The rest is a key press away.
_OPEN = {"State", "Config", "NetworkSettings", "Ports", "Networks", "IPAM", "Containers", "Labels"}
_PATHS = {
    "containers": "/containers/{}/json",
    "images": "/images/{}/json",
    "networks": "/networks/{}",
    "volumes": "/volumes/{}",
}


class Inspect(Tree[Any], Pane, Searchable):
    """One object's JSON; folds stay as they are when it is read again.

    A node's data is its path: the keys and indexes from the top.
    """

    BINDINGS = [
        Binding("n", "next_match(1)", "Next match", show=False),
        Binding("N", "next_match(-1)", "Previous match", show=False),
        Binding("c", "copy_value", "Copy the value", show=False),
        Binding("C", "copy_all", "Copy all as JSON", show=False),
        Binding("asterisk", "fold_all(False)", "Unfold all", show=False),
        Binding("minus", "fold_all(True)", "Fold all", show=False),
    ]

    def __init__(self, source: Source, *, widget_id: str | None = None) -> None:
        super().__init__("", id=widget_id)
        self._source = source
        self._shown: tuple[str, str] = ("", "")
        self._folds: dict[Path, bool] = {}
        self._json: Any = None
        self._by_path: dict[Path, TreeNode[Any]] = {}
        self.query_text = ""
        self.show_root = False
        self.guide_depth = 3

    def show_target(self, kind: str, identifier: str) -> None:
        """Show the object `identifier` of the list `kind`; the same one is read again."""
        if (kind, identifier) != self._shown:
            self._shown = (kind, identifier)
            self._json = None
            self.clear()
        if identifier:
            self.run_worker(Later(self._read, kind, identifier), group="inspect", exclusive=True)

    def changed(self) -> None:
        """The object may have changed."""
        self.show_target(*self._shown)

    async def _read(self, kind: str, identifier: str) -> None:
        try:
            reply = await self._source.raw(_PATHS[kind].format(identifier.partition(" ")[0]))
        except BayError as error:
            reply = {"error": str(error)}
        if not isinstance(reply, (dict, list)):
            reply = {"answer": reply}
        if (kind, identifier) == self._shown and reply != self._json:
            self._json = reply
            self._fill()

    def _fill(self) -> None:
        line, offset = self.cursor_line, self.scroll_offset
        self.clear()
        self._by_path.clear()
        self._add(self.root, self._json, ())
        self.root.expand()
        self.cursor_line = line
        self.scroll_to(y=offset.y, animate=False)

    def _add(self, node: TreeNode[Any], value: Any, path: Path) -> None:
        items = value.items() if isinstance(value, dict) else enumerate(value)
        for key, child in items:
            here = (*path, str(key))
            if isinstance(child, (dict, list)) and child:
                branch = self._by_path[here] = node.add(self._branch(str(key), child), data=here)
                self._add(branch, child, here)
                if self._folds.get(here, str(key) in _OPEN or len(path) >= 2):
                    branch.expand()
            else:
                self._by_path[here] = node.add_leaf(self._leaf(str(key), child), data=here)

    def _tone(self, name: str) -> str:
        return self.app.theme_variables.get(name, "")

    def _branch(self, key: str, child: Any) -> Text:
        count = f" {len(child)}" if isinstance(child, list) else ""
        text = Text.assemble((key, f"bold {_rich(self._tone('bright'))}"), (count, _dim(self)))
        return self._marked(text)

    def _leaf(self, key: str, value: Any) -> Text:
        if isinstance(value, str):
            shown, tone = value, "ink"
        elif value is None or value in ({}, []):
            shown, tone = "–", "dim"
        else:
            shown, tone = str(value).lower() if isinstance(value, bool) else str(value), "accent"
        text = Text.assemble((f"{key} ", _dim(self)), (shown, _rich(self._tone(tone))))
        return self._marked(text)

    def _marked(self, text: Text) -> Text:
        if self.query_text:
            text.highlight_regex(self._pattern(), "reverse")
        return text

    def _pattern(self) -> re.Pattern[str]:
        fold = self.query_text == self.query_text.lower()
        return re.compile(re.escape(self.query_text), re.IGNORECASE if fold else 0)

    # --- search

    def search(self, query: str) -> None:
        """Mark what contains `query`, keys and values, and go to the first of it."""
        self.query_text = query
        if self._json is not None:
            self._fill()
        if query:
            self._go(next(iter(self.matches), None))

    @property
    def matches(self) -> list[Path]:
        """The paths whose key or value contains what is searched for."""
        if not self.query_text or self._json is None:
            return []
        pattern = self._pattern()
        return [path for path, node in self._by_path.items() if pattern.search(_plain(node))]

    def action_next_match(self, step: int) -> None:
        """Go to the next match, or the one before; around at the end."""
        matches = self.matches
        if not matches:
            return
        here = self.cursor_node.data if self.cursor_node is not None else None
        at = matches.index(here) if here in matches else -1 if step > 0 else 0
        self._go(matches[(at + step) % len(matches)])

    def _go(self, path: Path | None) -> None:
        if path is None:
            return
        for end in range(1, len(path)):
            self._by_path[path[:end]].expand()
        # The lines of what was just unfolded are counted after the next repaint.
        self.call_after_refresh(self.move_cursor, self._by_path[path])

    @property
    def about(self) -> str:
        """What was found, and the keys."""
        if self.query_text:
            return f"[$warn]/{self.query_text}[/] {len(self.matches)} found"
        return "[b]c[/] copies the value" if self.has_focus else ""

    # --- copying and folding

    def action_copy_value(self) -> None:
        """Copy what the cursor stands on: a value as it is, a branch as JSON."""
        node = self.cursor_node
        if node is None or node.data is None:
            return
        value = self._json
        for key in node.data:
            value = value[int(key)] if isinstance(value, list) else value[key]
        copied = value if isinstance(value, str) else json.dumps(value, indent=2)
        self.app.copy_to_clipboard(copied)
        self.notify(f"Copied {'.'.join(node.data)}", markup=False)

    def action_copy_all(self) -> None:
        """Copy the whole document as JSON."""
        self.app.copy_to_clipboard(json.dumps(self._json, indent=2))
        self.notify("Copied all of it as JSON", markup=False)

    def action_fold_all(self, fold: bool) -> None:
        """Fold or unfold everything."""
        for path, node in self._by_path.items():
            if node.allow_expand:
                self._folds[path] = not fold
        self._fill()

    def on_tree_node_expanded(self, event: Tree.NodeExpanded[Any]) -> None:
        """Remember what the user opened."""
        if event.node.data is not None:
            self._folds[event.node.data] = True

    def on_tree_node_collapsed(self, event: Tree.NodeCollapsed[Any]) -> None:
        """Remember what the user closed."""
        if event.node.data is not None:
            self._folds[event.node.data] = False


def _plain(node: TreeNode[Any]) -> str:
    label = node.label
    return label.plain if isinstance(label, Text) else str(label)


def _rich(color: str) -> str:
    """A theme's colour in Rich's spelling: `ansi_cyan` is `cyan`, the default is none."""
    name = color.removeprefix("ansi_")
    return "default" if name == "default" else name


def _dim(widget: Inspect) -> str:
    return _rich(widget._tone("dim"))
