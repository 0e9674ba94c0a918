"""A one-line input in our look: no border, and a cursor that costs no repaints."""

from __future__ import annotations

from typing import Any

from textual.content import Content
from textual.widgets import Checkbox, Input


class Field(Input):
    """An Input that is compact and does not blink."""

    def __init__(self, value: str | None = None, **options: Any) -> None:
        super().__init__(value, compact=True, **options)
        self.cursor_blink = False


class Toggle(Checkbox):
    """A Checkbox that shows its state by a character, not by a shade alone."""

    def __init__(self, label: str, value: bool = False, **options: Any) -> None:
        super().__init__(label, value, compact=True, **options)

    @property
    def _button(self) -> Content:
        style = self.get_visual_style("toggle--button")
        return Content.assemble((f"[{'x' if self.value else ' '}]", style))
