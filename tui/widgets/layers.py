"""The Layers tab: how an image came to be, step by step, and what each step wrote."""

from __future__ import annotations

from collections.abc import Callable

from textual.app import ComposeResult
from textual.containers import Horizontal

from ...host.errors import BayError
from .. import layers, text
from ..layers import Layer
from ..source import Source
from .pane import Pane
from .table import Table


class LayersTab(Horizontal, Pane):
    """The layers of the chosen image, or of the image of the chosen container."""

    def __init__(self, source: Source, clock: Callable[[], float], *, widget_id: str) -> None:
        super().__init__(id=widget_id)
        self._source = source
        self._clock = clock
        self._target = ("", "")
        self._layers = layers.Layers()
        self.table = Table(layers.COLUMNS, widget_id="layerlist", marks=False)

    def compose(self) -> ComposeResult:
        """The steps at the left, what the chosen one wrote at the right."""
        yield self.table

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
                self.run_worker(self._read(kind, target), group="layers", exclusive=True)

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
            self._layers = found
            self.table.show(layers.rows(found, self._clock()))

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
        words = [f"{sum(bool(one.size) for one in found.layers)} layers"]
        words.append(text.size(sum(one.size for one in found.layers), 1000))
        if found.wasted is not None:
            words.append(f"[$warn]{text.size(found.wasted, 1000)} wasted[/]")
        return " · ".join(words)
