"""The Changes tab: what a container wrote over its image, as a tree with sizes."""

from __future__ import annotations

from typing import Any

from textual.binding import Binding

from ...host.errors import BayError, NotFoundError
from .. import text, tree
from ..cells import Column
from ..model import Json, Model, container_name
from ..screens.ask import Ask
from ..source import Source
from ..tree import Node
from .outline import Outline

COLUMNS = (
    Column("mark", "", 1),
    Column("name", "PATH", 16, 500),
    Column("size", "SIZE", 5, rank=1, right=True),
)


class Changes(Outline):
    """The writable layer of the chosen container; commits it."""

    BINDINGS = [
        Binding("C", "commit", "Commit", show=False),
        Binding("ctrl+r", "reread", "Read again", show=False),
    ]

    def __init__(self, source: Source, model: Model, *, widget_id: str) -> None:
        super().__init__(COLUMNS, widget_id=widget_id)
        self._source = source
        self._model = model
        self._target = ""
        self._sum = ""

    def show_target(self, kind: str, target: str) -> None:
        """Show the changes of the container `target`."""
        if target != self._target:
            self._target, self._sum, self.empty = target, "", ""
            self.tree_root = Node("/", "", folder=True)
            self.draw()
        if target:
            self.run_worker(self._read(target), group="changes", exclusive=True)

    def changed(self) -> None:
        """It may have written more."""
        self.action_reread()

    def action_reread(self) -> None:
        """Read again."""
        self.show_target("", self._target)

    async def _read(self, target: str) -> None:
        try:
            reply = await read(self._source, target)
            details = await self._source.get(f"/containers/{target}/json", size=True)
        except BayError as error:
            reply, details = [], {}
            self.empty = str(error)
        if target != self._target:
            return
        unfolded = {node.path for _, node in tree.flat(self.tree_root) if node.unfolded}
        fresh = not self.tree_root.children
        self.tree_root = plant(reply)
        if fresh:
            tree.unfold_single(self.tree_root)
        for path in unfolded:
            node = tree.find(self.tree_root, path)
            if node is not None:
                node.unfolded = True
        written = int((details or {}).get("SizeRw") or 0)
        self._sum = f"{text.size(written)} written" if details else ""
        if details and not reply:
            self.empty = "Nothing was written: it is as its image."
        self.draw()

    @property
    def about(self) -> str:
        """How much was written, and the keys."""
        words = [self._sum, super().about]
        if self.has_focus and self.rows:
            words.append("[b]C[/] commits")
        return " · ".join(word for word in words if word)

    def action_commit(self) -> None:
        """Ask for the name of the new image, then make it of the container as it is."""
        summary = self._model.container(self._target)
        if summary is not None:
            question = f"Make an image of {container_name(summary)} as it is now. Its name:"
            name = f"{container_name(summary)}:snapshot"
            self.app.push_screen(Ask("Commit", question, name), self._commit)

    def _commit(self, reference: str | None) -> None:
        if reference and reference.strip():
            self.run_worker(self._committed(self._target, reference.strip()), group="commit")

    async def _committed(self, target: str, reference: str) -> None:
        name, colon, tag = reference.rpartition(":")
        if not colon or "/" in tag:
            name, tag = reference, "latest"
        query = {"container": target, "repo": name, "tag": tag}
        try:
            await self._source.call("POST", "/commit", query, {})
        except BayError as error:
            self.notify(str(error), title="Commit failed", severity="error", markup=False)
        else:
            self.notify(f"{name}:{tag} is in Images", title="Committed", markup=False)


async def read(source: Source, target: str) -> list[Json]:
    """What changed: Docker's entries, with `Size` and more where the engine measures it."""
    try:
        reply: Any = await source.get(f"/bay/containers/{target}/changes")
    except NotFoundError:
        reply = await source.get(f"/containers/{target}/changes")
    entries = reply.get("Changes") if isinstance(reply, dict) else reply
    return list(entries or [])


def plant(entries: list[Json]) -> Node:
    """The tree of these changes."""
    root = Node("/", "", folder=True, children={})
    for one in entries:
        node = tree.grow(root, str(one["Path"]))
        node.change = int(one["Kind"])
        if "Size" in one:
            node.size = int(one["Size"])
    tree.total(root)
    return root
