"""The Changes tab: what a container wrote over its image, as a tree with sizes."""

from __future__ import annotations

from textual.binding import Binding

from ...host.errors import BayError, NotFoundError
from .. import tabs, text, tree
from ..cells import Column
from ..files import changed_node
from ..later import Later
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
        Binding("b", "snapshots", "Snapshots", show=False),
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
            self.run_worker(Later(self._read, target), group="changes", exclusive=True)

    def changed(self) -> None:
        """It may have written more."""
        self.action_reread()

    def action_reread(self) -> None:
        """Read again."""
        self.show_target("", self._target)

    async def _read(self, target: str) -> None:
        unfolded = [node.path for _, node in tree.flat(self.tree_root) if node.unfolded]
        try:
            root, words = await read(self._source, target)
            for path in unfolded:  # parents come before what is in them
                node = tree.find(root, path)
                if node is not None and node.folder:
                    await self._fill_node(target, node)
                    node.unfolded = True
        except BayError as error:
            root, words = Node("/", "", folder=True, children={}), ""
            self.empty = str(error)
        else:
            self.empty = "Nothing was written: it is as its image."
        if target != self._target:
            return
        fresh = not self.tree_root.children
        self.tree_root, self._sum = root, words
        if fresh:
            tree.unfold_single(self.tree_root)
        self.draw()

    def fill(self, node: Node) -> bool:
        """Read the folder `node`."""
        self.run_worker(Later(self._filled, self._target, node), group="changes-folder")
        return True

    async def _filled(self, target: str, node: Node) -> None:
        try:
            await self._fill_node(target, node)
        except BayError as error:
            self.notify(str(error), severity="error", markup=False)
        self.draw()

    async def _fill_node(self, target: str, node: Node) -> None:
        if node.children is None:
            reply = await self._source.get(f"/bay/containers/{target}/changes", path=node.path)
            node.children = {one["Name"]: changed_node(one) for one in reply["Entries"]}

    @property
    def about(self) -> str:
        """How much was written, and the keys."""
        words = [self._sum, super().about]
        if self.has_focus and self.rows:
            words.append("[b]C[/] commits · [b]b[/] snapshots")
        return " · ".join(word for word in words if word)

    def action_snapshots(self) -> None:
        """Open the snapshots of its writable layer."""
        summary = self._model.container(self._target)
        if summary is None:
            return
        if not tabs.is_ours(self._model.version):
            name = tabs.engine_name(self._model.version)
            text = f"{name} takes no snapshots of writable layers; Bayplan's own engine does"
            self.notify(text, severity="warning", markup=False)
            return
        from ..screens.snapshots import Snapshots

        self.app.push_screen(Snapshots(self._source, self._target, container_name(summary)))

    def action_commit(self) -> None:
        """Ask for the name of the new image, then make it of the container as it is."""
        summary = self._model.container(self._target)
        if summary is not None:
            question = f"Make an image of {container_name(summary)} as it is now. Its name:"
            name = f"{container_name(summary)}:snapshot"
            self.app.push_screen(Ask("Commit", question, name), self._commit)

    def _commit(self, reference: str | None) -> None:
        if reference and reference.strip():
            self.run_worker(Later(self._committed, self._target, reference.strip()), group="commit")

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


async def read(source: Source, target: str) -> tuple[Node, str]:
    """What a container changed, as a tree, and its sums in words.

    Our engine gives a folder at a time, with sizes; others a list of all paths.
    """
    try:
        reply: Json = await source.get(f"/bay/containers/{target}/changes", path="/")
    except NotFoundError:
        details = await source.get(f"/containers/{target}/json", size=True)
        entries = await source.get(f"/containers/{target}/changes")
        return plant(entries or []), f"{text.size(details.get('SizeRw') or 0)} written"
    root = Node("/", "", folder=True)
    root.children = {one["Name"]: changed_node(one) for one in reply["Entries"]}
    counts = " ".join(
        f"[{tone}]{sign}{reply[name]}[/]"
        for sign, tone, name in (
            ("+", "$good", "Added"),
            ("~", "$warn", "Changed"),
            ("-", "$bad", "Removed"),
        )
        if reply.get(name)
    )
    return root, f"{text.size(reply.get('SizeRw') or 0)} written {counts}".strip()


def plant(entries: list[Json]) -> Node:
    """The tree of Docker's list of changes."""
    root = Node("/", "", folder=True, children={})
    for one in entries:
        tree.grow(root, str(one["Path"])).change = int(one["Kind"])
    tree.total(root)
    return root
