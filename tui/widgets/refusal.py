"""A tab that this engine can't fill, which says why."""

from __future__ import annotations

from textual.strip import Strip

from .pane import Pane
from .toned import Toned


class Refusal(Toned, Pane, can_focus=True):
    """Says in the middle of the pane what can't be had and from whom it could."""

    def __init__(self, reason: str, *, widget_id: str) -> None:
        super().__init__(id=widget_id)
        self._reason = reason

    def render_line(self, y: int) -> Strip:
        """Draw line `y`."""
        width = self.size.width
        words, lines, line = self._reason.split(), [], ""
        for word in words:
            if line and len(line) + len(word) + 1 > width - 4:
                lines.append(line)
                line = ""
            line = f"{line} {word}".strip()
        lines.append(line)
        index = y - max(0, (self.size.height - len(lines)) // 2)
        shown = lines[index] if 0 <= index < len(lines) else ""
        return self.strip([(shown.center(width), "dim")], width)
