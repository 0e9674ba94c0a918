"""A stylesheet that does not look for the tones of a pane each time that panes change places."""

from __future__ import annotations

from textual.css.stylesheet import Stylesheet
from textual.dom import DOMNode


class SteadySheet(Stylesheet):
    """Textual's; but widgets that are STEADY get the styles of their component classes once.

    With each class that is set on a screen Textual finds out anew how every widget below it looks,
    and each of its component classes: of ours, which only the theme changes, that was two thirds of
    what turning to another pane cost.
    """

    def _process_component_classes(self, node: DOMNode) -> None:
        steady = getattr(node, "STEADY", False)
        if steady and node._component_styles and getattr(node, "_styled_by", None) is self.rules:
            return
        super()._process_component_classes(node)
        if steady:
            node._styled_by = self.rules  # type: ignore[attr-defined]  # kept beside its styles
