"""A tree of files as a list: folders fold, a filter narrows, the size can lead."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from textual.binding import Binding
from textual.message import Message

from .. import tree
from ..cells import Column
from ..tree import Node
from .pane import Pane, Searchable
from .table import Table


class Outline(Table, Pane, Searchable):
    """Shows a tree of Nodes; subclasses read it from the engine.

    `unfold` is what a subclass does to fill a folder that was not read yet.
    """

    BINDINGS = [
        Binding("right", "unfold", "Unfold", show=False),
        Binding("left,h", "fold", "Fold", show=False),
        Binding("enter", "turn_node", "Unfold, view", show=False),
        Binding("asterisk", "unfold_all", "Unfold all", show=False),
        Binding("minus", "fold_all", "Fold all", show=False),
        Binding("o", "by_size", "Largest first", show=False),
        Binding("c", "copy_path", "Copy the path", show=False),
    ]

    class Changed(Message):
        """It was read, folded or searched: what the border says is out of date."""

    def __init__(self, columns: Sequence[Column], *, widget_id: str, empty: str = "") -> None:
        super().__init__(columns, empty=empty, widget_id=widget_id, marks=False)
        self.tree_root = Node("/", "", folder=True)
        self.by_size = False
        self.query_text = ""

    # --- what is shown

    def draw(self) -> None:
        """Draw the tree anew; the cursor stays on its path."""
        if self.query_text:
            words = self.query_text.lower().split()
            self.show(
                [
                    tree.row(0, replace(node, name=node.path[1:]))
                    for node in _all(self.tree_root)
                    if all(word in node.path.lower() for word in words)
                ]
            )
        else:
            self.show([tree.row(*one) for one in tree.flat(self.tree_root, self.by_size)])
        self.post_message(self.Changed())

    @property
    def node(self) -> Node | None:
        """What the cursor stands on."""
        return tree.find(self.tree_root, self.current.id) if self.current else None

    def fill(self, node: Node) -> bool:
        """Read the folder `node`, which was not yet; False when there is nothing to read."""
        return False

    def view_node(self, node: Node) -> None:
        """Enter on a file."""

    # --- keys

    def search(self, query: str) -> None:
        """Show only the paths with these words, unfolded."""
        self.query_text = query
        self.draw()

    def action_unfold(self) -> None:
        """Unfold the folder under the cursor, or go into it."""
        node = self.node
        if node is None or not node.folder:
            return
        if node.unfolded:
            self.action_move(1)
        else:
            self._open(node)

    def _open(self, node: Node) -> None:
        node.unfolded = True
        if node.children is not None or not self.fill(node):
            self.draw()

    def action_fold(self) -> None:
        """Fold the folder under the cursor, or go to the one it is in."""
        node = self.node
        if node is None:
            return
        if node.unfolded:
            node.unfolded = False
            self.draw()
            return
        parent = node.path.rpartition("/")[0]
        for index, one in enumerate(self.rows):
            if one.id == parent:
                self.go(index)

    def action_turn_node(self) -> None:
        """Enter: fold or unfold a folder, view a file."""
        node = self.node
        if node is None:
            return
        if not node.folder:
            self.view_node(node)
        elif node.unfolded:
            node.unfolded = False
            self.draw()
        else:
            self._open(node)

    def action_unfold_all(self) -> None:
        """Unfold every folder that was read."""
        self._fold_all(True)

    def action_fold_all(self) -> None:
        """Fold every folder."""
        self._fold_all(False)

    def _fold_all(self, unfolded: bool) -> None:
        for node in _all(self.tree_root):
            if node.folder and node.children is not None:
                node.unfolded = unfolded
        self.draw()

    def action_by_size(self) -> None:
        """The largest first, or by name again."""
        self.by_size = not self.by_size
        self.draw()

    def action_copy_path(self) -> None:
        """Copy the path under the cursor."""
        if self.current is not None:
            self.app.copy_to_clipboard(self.current.id)
            self.notify(f"Copied {self.current.id}", markup=False)

    @property
    def about(self) -> str:
        """How it is sorted and searched."""
        words = []
        if self.query_text:
            words.append(f"[$warn]/{self.query_text}[/] {len(self.rows)} found")
        if self.by_size:
            words.append("largest first")
        return " · ".join(words)


def _all(root: Node) -> list[Node]:
    found: list[Node] = []
    for child in sorted((root.children or {}).values(), key=lambda one: one.name):
        found += [child, *_all(child)]
    return found
