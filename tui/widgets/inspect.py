"""The Inspect tab: what the API says of an object, as a tree that folds."""

from __future__ import annotations

from typing import Any

from rich.text import Text
from textual.widgets import Tree
from textual.widgets.tree import TreeNode

from ...host.errors import BayError
from ..source import Source

# Opened at first: what one looks for most often. The rest is a key press away.
_OPEN = {"State", "Config", "NetworkSettings", "Ports", "Networks", "IPAM", "Containers", "Labels"}
_PATHS = {
    "containers": "/containers/{}/json",
    "images": "/images/{}/json",
    "networks": "/networks/{}",
    "volumes": "/volumes/{}",
}


class Inspect(Tree[Any]):
    """One object's JSON; folds stay as they are when it is read again."""

    def __init__(self, source: Source, *, widget_id: str | None = None) -> None:
        super().__init__("", id=widget_id)
        self._source = source
        self._shown: tuple[str, str] = ("", "")
        self._folds: dict[tuple[str, ...], bool] = {}
        self._json: Any = None
        self.show_root = False
        self.guide_depth = 3

    def show(self, kind: str, identifier: str) -> None:
        """Show the object `identifier` of the list `kind`; the same one is read again."""
        if (kind, identifier) != self._shown:
            self._shown = (kind, identifier)
            self._json = None
            self.clear()
        if identifier:
            self.run_worker(self._read(kind, identifier), group="inspect", exclusive=True)

    async def _read(self, kind: str, identifier: str) -> None:
        try:
            reply = await self._source.get(_PATHS[kind].format(identifier.partition(" ")[0]))
        except BayError as error:
            reply = {"error": str(error)}
        if (kind, identifier) == self._shown and reply != self._json:
            self._json = reply
            self._fill()

    def _fill(self) -> None:
        line, offset = self.cursor_line, self.scroll_offset
        self.clear()
        self._add(self.root, self._json, ())
        self.root.expand()
        self.cursor_line = line
        self.scroll_to(y=offset.y, animate=False)

    def _add(self, node: TreeNode[Any], value: Any, path: tuple[str, ...]) -> None:
        items = value.items() if isinstance(value, dict) else enumerate(value)
        for key, child in items:
            here = (*path, str(key))
            if isinstance(child, (dict, list)) and child:
                branch = node.add(self._branch(str(key), child), data=here)
                self._add(branch, child, here)
                if self._folds.get(here, str(key) in _OPEN or len(path) >= 2):
                    branch.expand()
            else:
                node.add_leaf(self._leaf(str(key), child), data=here)

    def _tone(self, name: str) -> str:
        return self.app.theme_variables.get(name, "")

    def _branch(self, key: str, child: Any) -> Text:
        count = f" {len(child)}" if isinstance(child, list) else ""
        return Text.assemble((key, f"bold {_rich(self._tone('bright'))}"), (count, _dim(self)))

    def _leaf(self, key: str, value: Any) -> Text:
        if isinstance(value, str):
            shown, tone = value, "ink"
        elif value is None or value in ({}, []):
            shown, tone = "–", "dim"
        else:
            shown, tone = str(value).lower() if isinstance(value, bool) else str(value), "accent"
        return Text.assemble((f"{key} ", _dim(self)), (shown, _rich(self._tone(tone))))

    def on_tree_node_expanded(self, event: Tree.NodeExpanded[Any]) -> None:
        """Remember what the user opened."""
        if event.node.data is not None:
            self._folds[event.node.data] = True

    def on_tree_node_collapsed(self, event: Tree.NodeCollapsed[Any]) -> None:
        """Remember what the user closed."""
        if event.node.data is not None:
            self._folds[event.node.data] = False


def _rich(color: str) -> str:
    """A theme's colour in Rich's spelling: `ansi_cyan` is `cyan`, the default is none."""
    name = color.removeprefix("ansi_")
    return "default" if name == "default" else name


def _dim(widget: Inspect) -> str:
    return _rich(widget._tone("dim"))
