"""Draws of the screen only the lines that changed, and of those only what is seen.

Textual's compositor renders, for each update, every line of every widget within the rectangle
around all that changed. A cursor that moves at the top and a title that changes at the bottom made
that the whole screen: two thirds of what a key cost.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from rich.segment import Segment
from textual._compositor import ChopsUpdate, Compositor, CompositorUpdate
from textual._context import visible_screen_stack
from textual.geometry import Region
from textual.strip import Strip
from textual.widget import Widget

Span = tuple[int, int]  # the first column, and the one after the last
# Line, columns from and to, what the line shows from which column on: the columns are a part of it.
Piece = tuple[int, int, int, Iterable[Segment], int]


class Parted(Widget):
    """A widget that can draw a part of a line without the rest of it.

    Textual draws whole lines, through its borders, its opacity and its caches: of a figure in a row
    that was nine tenths of the work. Such a widget has neither opacity nor a tint.
    """

    def part(self, y: int, first: int, last: int, width: int) -> Iterable[Segment] | None:
        """The columns from `first` to `last` of line `y` of the content, None for the whole line.

        They are drawn as `render_line` draws them; the content is `width` columns wide.
        """
        raise NotImplementedError


class PiecesUpdate(CompositorUpdate):
    """The pieces of lines that changed."""

    def __init__(self, pieces: list[Piece]) -> None:
        self.pieces = pieces


class NarrowCompositor(Compositor):
    """A compositor whose partial updates render no more than what changed.

    Where other screens show through, as below a dialog, it is Textual's own.
    """

    def render_partial_update(self) -> ChopsUpdate | None:
        """The next update, None when nothing changed."""
        if visible_screen_stack.get([]):
            return super().render_partial_update()
        screen = self.size.region
        regions = [region.intersection(screen) for region in self._dirty_regions]
        self._dirty_regions.clear()
        pieces = list(self._pieces([region for region in regions if region]))
        # Textual names one class here; all it does with it is to have it written.
        return PiecesUpdate(pieces) if pieces else None  # type: ignore[return-value]

    def _pieces(self, regions: list[Region]) -> Iterator[Piece]:
        left: dict[int, list[Span]] = {}
        for y, first, last in self._regions_to_spans(regions):
            left.setdefault(y, []).append((first, last))
        # From the front to the back: what a widget has drawn, those behind it need not.
        for widget, (region, clip) in self.visible_widgets.items():
            if not left:
                return
            seen = region.intersection(clip)
            wanted = [y for y in seen.line_range if y in left and _meet(left[y], seen)]
            if wanted and isinstance(widget, Parted):
                drawn = list(_parts(widget, region, seen, [(y, left[y]) for y in wanted]))
                yield from drawn
                for y in {piece[0] for piece in drawn}:
                    del left[y]
                wanted = [y for y in wanted if y in left]
            for start, count in _runs(wanted):
                crop = Region(0, start - region.y, region.width, count)
                for y, strip in enumerate(widget.render_lines(crop), start):
                    rest: list[Span] = []
                    for first, last in left[y]:
                        begin, end = max(first, seen.x), min(last, seen.right)
                        if begin >= end:
                            rest.append((first, last))
                            continue
                        yield y, begin, end, strip, region.x
                        rest += [
                            span for span in ((first, begin), (end, last)) if span[0] < span[1]
                        ]
                    if rest:
                        left[y] = rest
                    else:
                        del left[y]


def _parts(
    widget: Parted, region: Region, seen: Region, lines: list[tuple[int, list[Span]]]
) -> Iterator[Piece]:
    """Of lines with the columns wanted there, those that the widget draws part by part."""
    content = region.shrink(widget.styles.gutter)
    inner = content.intersection(seen)
    filters, background = widget.get_line_filters(), widget.background_colors[1]
    for y, spans in lines:
        if not inner.y <= y < inner.bottom:
            continue
        pieces: list[Piece] = []
        for first, last in spans:
            if first < inner.x or last > inner.right:
                break
            part = widget.part(y - content.y, first - content.x, last - content.x, content.width)
            if part is None:
                break
            for each in filters:
                if isinstance(part, Strip):  # it remembers what has become of it
                    part = part.apply_filter(each, background)
                else:
                    part = each.apply(list(part), background)
            pieces.append((y, first, last, part, first))
        else:
            yield from pieces


def _meet(spans: list[Span], seen: Region) -> bool:
    return any(first < seen.right and last > seen.x for first, last in spans)


def _runs(lines: list[int]) -> Iterator[tuple[int, int]]:
    """Lines in order as (first, count) of those that follow each other."""
    start = count = 0
    for y in lines:
        if count and y == start + count:
            count += 1
            continue
        if count:
            yield start, count
        start, count = y, 1
    if count:
        yield start, count
