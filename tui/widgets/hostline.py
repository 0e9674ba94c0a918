"""The header: this host's CPU, memory and load, what runs, and how the link to the engine is."""

from __future__ import annotations

from textual.strip import Strip

from ..hostinfo import HostHistory
from ..hostwords import HostWords
from ..model import Model
from .toned import Toned


class HostLine(HostWords, Toned):
    """One or two rows about the host, by the height it is given."""

    def __init__(self, model: Model, history: HostHistory, engine: str) -> None:
        HostWords.__init__(self, model, history, engine)
        Toned.__init__(self, id="host")

    def render_line(self, y: int) -> Strip:
        """Draw line `y`."""
        return self.strip(self.spans(y, *self.size), self.size.width)
