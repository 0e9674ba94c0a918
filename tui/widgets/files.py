"""The Files tab: the root folder of a container or an image, browsed, viewed, copied out and in."""

from __future__ import annotations

import os
from pathlib import Path

from textual.binding import Binding
from textual.markup import escape

from ...host.errors import BayError
from .. import tree
from ..cells import Column
from ..files import VIEWED, Files, explain, shown
from ..later import Later
from ..screens.ask import Ask
from ..source import Source
from ..text import size
from ..tree import Node
from .outline import Outline

COLUMNS = (
    Column("name", "NAME", 18, 500),
    Column("size", "SIZE", 5, rank=1, right=True),
    Column("mode", "MODE", 10, rank=3),
    Column("owner", "OWNER", 9, 18, rank=4),
    Column("when", "CHANGED", 16, rank=2),
)


class FilesTab(Outline):
    """Reads a folder when it is unfolded; nothing runs inside for that."""

    BINDINGS = [
        Binding("w", "ask_out", "Copy out", show=False),
        Binding("u", "ask_in", "Copy in", show=False),
        Binding("ctrl+r", "reread", "Read again", show=False),
    ]

    def __init__(self, source: Source, *, widget_id: str) -> None:
        super().__init__(COLUMNS, widget_id=widget_id)
        self._source = source
        self._target = ("", "")
        self._files: Files | None = None

    def show_target(self, kind: str, target: str) -> None:
        """Show the files of a container or an image."""
        if (kind, target) == self._target:
            return
        self._target = (kind, target)
        self.tree_root = Node("/", "", folder=True)
        self.empty, self.query_text = "", ""
        self._files = Files(self._source, kind, target.partition(" ")[0]) if target else None
        self.draw()
        if target:
            self.fill(self.tree_root)

    def action_reread(self) -> None:
        """Read the folder under the cursor again, or the one the file is in."""
        node = self.node
        if node is not None and not node.folder:
            node = tree.find(self.tree_root, node.path.rpartition("/")[0])
        self.fill(node or self.tree_root)

    # --- reading

    def fill(self, node: Node) -> bool:
        """Read the folder `node`."""
        if self._files is not None:
            self.run_worker(Later(self._fill_node, self._files, node), group="files")
        return True

    async def _fill_node(self, files: Files, node: Node) -> None:
        try:
            entries, total = await files.folder(node.path)
        except BayError as error:
            if node is self.tree_root:
                self.empty = str(error)
            else:
                node.unfolded = False
                self.notify(str(error), severity="error", markup=False)
            self.draw()
            return
        if files is not self._files:
            return
        before = node.children or {}
        node.children = {one.name: one for one in entries}
        for name, old in before.items():  # what was unfolded stays so
            if name in node.children and old.folder:
                node.children[name].children = old.children
                node.children[name].unfolded = old.unfolded
        self.empty = "It has no files."
        self.draw()
        if total > len(entries):
            text = f"{node.path} has {total} entries: the first {len(entries)} are shown"
            self.notify(text, severity="warning", markup=False)

    def view_node(self, node: Node) -> None:
        """Show the file."""
        if self._files is not None:
            self.run_worker(Later(self._view, self._files, node), group="view", exclusive=True)

    async def _view(self, files: Files, node: Node) -> None:
        from ..screens.viewer import Viewer

        try:
            data = await files.read(node.path, 0, VIEWED)
        except BayError as error:
            self.notify(str(error), severity="error", markup=False)
            return
        note = size(node.size or len(data))
        if (node.size or 0) > len(data):
            note = f"{note}, of which the first {size(len(data))}"
        self.app.push_screen(Viewer(escape(node.path), note, shown(data)))

    # --- copying

    def action_ask_out(self) -> None:
        """Ask where the file under the cursor goes on this machine."""
        node = self.node
        if node is not None and self._files is not None:
            name = f"{node.name}.tar" if node.folder else node.name
            question = f"Copy {node.path} to this file of the machine the screen runs on"
            if node.folder:
                question += ", as a tar archive"
            self.app.push_screen(Ask("Copy out", question, name), self._out)

    def _out(self, path: str | None) -> None:
        node, files = self.node, self._files
        if path and path.strip() and node is not None and files is not None:
            to = Path(os.path.expanduser(path.strip()))
            self.run_worker(Later(self._copy_out, files, node, to), group="copy")

    async def _copy_out(self, files: Files, node: Node, to: Path) -> None:
        try:
            count = await files.copy_out(node.path, node.folder, to)
        except (BayError, OSError) as error:
            words = explain(error, f"write {to}")
            self.notify(words, title="Copy failed", severity="error", markup=False)
        else:
            self.notify(f"{node.path} → {to}, {size(count)}", title="Copied", markup=False)

    def action_ask_in(self) -> None:
        """Ask what of this machine is copied into the folder under the cursor."""
        node = self.node
        if self._files is None:
            return
        folder = "/"
        if node is not None:
            folder = node.path if node.folder else node.path.rpartition("/")[0] or "/"
        question = f"Copy this file or folder of the machine the screen runs on into {folder}"

        def given(path: str | None) -> None:
            if path and path.strip() and self._files is not None:
                local = Path(os.path.expanduser(path.strip()))
                self.run_worker(Later(self._copy_in, self._files, local, folder), group="copy")

        self.app.push_screen(Ask("Copy in", question), given)

    async def _copy_in(self, files: Files, local: Path, folder: str) -> None:
        try:
            await files.copy_in(local, folder)
        except (BayError, OSError) as error:
            words = explain(error, f"read {local}")
            self.notify(words, title="Copy failed", severity="error", markup=False)
            return
        self.notify(f"{local} → {folder}", title="Copied", markup=False)
        self.fill(tree.find(self.tree_root, folder) or self.tree_root)

    @property
    def about(self) -> str:
        """The keys, and what is searched for."""
        words = [super().about]
        if self.has_focus and self.rows:
            words.append("[b]↵[/] view · [b]w[/] copy out · [b]u[/] copy in")
        return " · ".join(word for word in words if word)
