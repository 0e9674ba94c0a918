"""The Layers tab: how an image came to be, step by step, and what each step wrote."""

from __future__ import annotations

from collections.abc import Callable

from textual.app import ComposeResult
from textual.containers import Horizontal
from textual.markup import escape

from ...host.errors import BayError
from .. import layers, text
from ..cells import Column
from ..files import changed_node
from ..later import Later
from ..layers import Layer
from ..source import Source
from ..tree import Node
from .outline import Outline
from .pane import Pane
from .table import Table

FILES = (
    Column("mark", "", 1),
    Column("name", "FILES OF THIS LAYER", 16, 500),
    Column("size", "SIZE", 5, rank=1, right=True),
)


class LayersTab(Horizontal, Pane):
    """The layers of the chosen image, or of the image of the chosen container."""

    def __init__(self, source: Source, clock: Callable[[], float], *, widget_id: str) -> None:
        super().__init__(id=widget_id)
        self._source = source
        self._clock = clock
        self._target = ("", "")
        self._layers = layers.Layers()
        self._image = ""
        self.table = Table(layers.COLUMNS, widget_id="layerlist", marks=False)
        self.files = LayerFiles(source)

    def compose(self) -> ComposeResult:
        """The steps at the left, what the chosen one wrote at the right."""
        yield self.table
        yield self.files

    def focus(self, scroll_visible: bool = True) -> LayersTab:
        """The list of layers is worked in first."""
        self.table.focus(scroll_visible)
        return self

    def show_target(self, kind: str, target: str) -> None:
        """Show the layers of an image, or of a container's."""
        if (kind, target) != self._target:
            self._target = (kind, target)
            self._layers = layers.Layers()
            self.table.show([])
            if target:
                self.run_worker(Later(self._read, kind, target), group="layers", exclusive=True)

    async def _read(self, kind: str, target: str) -> None:
        image = target.partition(" ")[0]
        try:
            if kind == "containers":
                image = (await self._source.get(f"/containers/{target}/json"))["Image"]
            found = await layers.read(self._source, image)
        except BayError as error:
            found = layers.Layers()
            self.table.empty = str(error)
        if (kind, target) == self._target:
            self._layers, self._image = found, image
            counted = found.wasted is not None
            self.table.columns = layers.COUNTED if counted else layers.COLUMNS
            self.files.display = counted
            self.table.show(layers.rows(found, self._clock()))
            largest = max(range(len(found.layers)), key=lambda n: found.layers[n].size, default=0)
            self.table.go(largest)
            self._follow()
            self.post_message(Outline.Changed())

    def _follow(self) -> None:
        layer = self.chosen_layer
        if layer is not None and self._layers.wasted is not None:
            self.files.show_layer(self._image, layer.number)

    def on_table_highlighted(self, event: Table.Highlighted) -> None:
        """Another layer: its files."""
        if event.table is self.table:
            event.stop()
            self._follow()

    def on_table_chosen(self, event: Table.Chosen) -> None:
        """Enter goes from the layer into its files."""
        if event.table is self.table:
            event.stop()
            if self.files.display:
                self.files.focus()

    @property
    def chosen_layer(self) -> Layer | None:
        """The layer under the cursor."""
        at = self.table.position
        return self._layers.layers[at] if at < len(self._layers.layers) else None

    @property
    def about(self) -> str:
        """How large it all is, and what of it is wasted."""
        found = self._layers
        if not found.layers:
            return ""
        count = sum(bool(one.size) for one in found.layers)
        words = ["1 layer" if count == 1 else f"{count} layers"]
        words.append(text.size(sum(one.size for one in found.layers), 1000))
        if found.wasted is not None:
            tone = "$warn" if found.wasted else "$dim"
            words.append(f"[{tone}]{text.size(found.wasted, 1000)} wasted[/]")
            if found.worst and self.size.width > 90:
                words.append(f"worst {escape(found.worst[0])}")
        return " · ".join(words)


class LayerFiles(Outline):
    """The files that one layer wrote, read folder by folder."""

    def __init__(self, source: Source) -> None:
        super().__init__(FILES, widget_id="layerfiles")
        self._source = source
        self._layer = ("", -1)

    def show_layer(self, image: str, number: int) -> None:
        """Show the layer `number` of `image`, -1 for a step that wrote nothing."""
        if (image, number) != self._layer:
            self._layer = (image, number)
            self.tree_root = Node("/", "", folder=True)
            self.empty = "This step wrote no file." if number < 0 else ""
            self.draw()
            if number >= 0:
                self.fill(self.tree_root)

    def fill(self, node: Node) -> bool:
        """Read the folder `node`."""
        self.run_worker(Later(self._read, self._layer, node), group="layerfiles")
        return True

    async def _read(self, layer: tuple[str, int], node: Node) -> None:
        image, number = layer
        try:
            path = f"/bay/images/{image}/layers/{number}/tree"
            reply = await self._source.get(path, path=node.path)
        except BayError as error:
            self.empty = str(error)
            self.draw()
            return
        if layer == self._layer:
            node.children = {one["Name"]: changed_node(one) for one in reply["Entries"]}
            only = [one for one in node.children.values() if one.folder]
            if len(node.children) == 1 and only:  # nothing to choose: go on into it
                only[0].unfolded = True
                self.fill(only[0])
            self.draw()
