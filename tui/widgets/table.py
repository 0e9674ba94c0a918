"""A list of rows drawn line by line, so that a changed figure costs the cells it covers.

Textual's DataTable was measured at three times the CPU and twice the bytes for the same list at
1 Hz; it also re-measures all columns on each insert.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence

from rich.segment import Segment
from rich.style import Style
from textual import events
from textual.binding import Binding
from textual.geometry import Region
from textual.message import Message
from textual.strip import Strip

from ..cells import Cell, Column, Row, edge, fit, heading, shown
from ..compositing import Parted
from .toned import Toned

# How a row is drawn: the class of its style, without tones or not, whether the cursor is on it and
# the list has the keyboard, whether it is marked, its width.
Kind = tuple[str, bool, bool, bool, int]

KEPT = 2048  # cells whose drawing is kept


class Table(Toned, Parted, can_focus=True):
    """Rows under a header, one of them under the cursor, some of them marked.

    The cursor and the marks stay with what they stand on when rows come, go and change places.
    """

    COMPONENT_CLASSES = {
        "table--header",
        "table--cursor",
        "table--cursor-blurred",
        "table--empty",
    }
    BINDINGS = [
        Binding("up,k", "move(-1)", "Up", show=False),
        Binding("down,j", "move(1)", "Down", show=False),
        Binding("pageup", "page(-1)", "Page up", show=False),
        Binding("pagedown", "page(1)", "Page down", show=False),
        Binding("home", "end(-1)", "First", show=False),
        Binding("end,G", "end(1)", "Last", show=False),
        Binding("enter", "choose", "Open", show=False),
        Binding("space", "mark", "Mark", show=False),
    ]

    class About(Message):
        """Something about a row of a list; `row` is None when there is none."""

        def __init__(self, table: Table, row: Row | None) -> None:
            self.table = table
            self.row = row
            super().__init__()

        @property
        def control(self) -> Table:
            """That list."""
            return self.table

    class Highlighted(About):
        """The cursor stands on another row."""

    class Chosen(About):
        """Enter, or a click on the row under the cursor."""

    class Sorted(Message):
        """A click on the header of the column `key`."""

        def __init__(self, table: Table, key: str) -> None:
            self.table = table
            self.key = key
            super().__init__()

        @property
        def control(self) -> Table:
            """The list it is about."""
            return self.table

    def __init__(
        self,
        columns: Sequence[Column],
        *,
        empty: str = "",
        widget_id: str | None = None,
        marks: bool = True,
    ) -> None:
        super().__init__(id=widget_id)
        self.columns = columns
        self._marks = marks
        self.rows: list[Row] = []
        self.marked: set[str] = set()
        self.empty = empty
        self.sorted_by = ""
        self.sortable: frozenset[str] = frozenset()
        self.reversed = False
        self._at = 0
        self._top = 0
        self._fitted: tuple[object, list[tuple[Column, int]]] = ((), [])
        # The rows last drawn, by id: of what row, how, in what columns, the line.
        self._strips: dict[str, tuple[Row, object, object, Strip]] = {}
        self._segments: dict[tuple[Cell, str, int, str, bool], list[Segment]] = {}

    # --- what it shows

    @property
    def current(self) -> Row | None:
        """The row under the cursor."""
        return self.rows[self._at] if self._at < len(self.rows) else None

    @property
    def position(self) -> int:
        """The cursor's place, from 0."""
        return self._at

    @property
    def chosen(self) -> list[str]:
        """The ids an action is for: the marked ones, else the one under the cursor."""
        marked = [row.id for row in self.rows if row.id in self.marked] if self.marked else []
        return marked or ([self.current.id] if self.current else [])

    def show(self, rows: list[Row]) -> None:
        """Replace the rows, repainting only the cells that differ."""
        before, here = self.rows, self.current
        top = self._top
        self.rows = rows
        self.marked &= {row.id for row in rows}
        if len(self._strips) > 2 * len(rows) + 100:  # most of them are gone
            self._strips.clear()
        if here is not None:
            place = next((n for n, row in enumerate(rows) if row.id == here.id), None)
            self._at = min(self._at, max(0, len(rows) - 1)) if place is None else place
        else:
            self._at = 0
        self._keep_visible()
        now = self.current
        if (here.id if here else None) != (now.id if now else None):
            self.post_message(self.Highlighted(self, now))
        if top != self._top or len(before) != len(rows) or not rows:
            self.refresh()
            return
        self._repaint_changes(before)

    def renew(self, make: Callable[[Row], Row]) -> None:
        """Make the rows in sight anew, each from the one it replaces, and repaint what differs.

        For what changes neither which rows there are nor their order, but often.
        """
        before = list(self.rows)
        for index in range(self._top, min(len(self.rows), self._top + self._height)):
            self.rows[index] = make(before[index])
        self._repaint_changes(before)

    def _repaint_changes(self, before: list[Row]) -> None:
        regions = []
        size = self.size
        layout = self._layout_columns(size.width)
        for line in range(min(size.height - 1, len(self.rows) - self._top)):
            index = self._top + line
            old, new = before[index], self.rows[index]
            if old is new:
                continue
            if old.id != new.id or old.quiet != new.quiet:
                regions.append(Region(0, line + 1, size.width, 1))
                continue
            x = 2
            for column, width in layout:
                if old.cells[column.key] != new.cells[column.key]:
                    regions.append(Region(x, line + 1, width, 1))
                x += width + 1
        if regions:
            self.refresh(*regions)

    def sort_by(self, key: str, backwards: bool) -> None:
        """Say in the header what the rows are sorted by."""
        self.sorted_by, self.reversed = key, backwards
        self.refresh()

    @property
    def _height(self) -> int:
        return max(0, self.size.height - 1)

    def _keep_visible(self) -> None:
        height = max(1, self._height)
        self._top = min(self._top, max(0, len(self.rows) - height))
        if self._at < self._top:
            self._top = self._at
        elif self._at >= self._top + height:
            self._top = self._at - height + 1

    # --- moving

    def go(self, index: int) -> None:
        """Put the cursor on row `index`, as near as there is one."""
        index = max(0, min(index, len(self.rows) - 1))
        if not self.rows or index == self._at:
            return
        old, top = self._at, self._top
        self._at = index
        self._keep_visible()
        width, height = self.size
        if top != self._top:
            self.refresh(Region(0, 1, width, height - 1))
        else:
            self.refresh(*(Region(0, one - top + 1, width, 1) for one in (old, index)))
        self.post_message(self.Highlighted(self, self.current))

    def action_move(self, step: int) -> None:
        """Move the cursor by `step` rows."""
        self.go(self._at + step)

    def action_page(self, direction: int) -> None:
        """Move the cursor by a page."""
        self.go(self._at + direction * max(1, self._height - 1))

    def action_end(self, direction: int) -> None:
        """Go to the first or the last row."""
        self.go(0 if direction < 0 else len(self.rows) - 1)

    def action_choose(self) -> None:
        """Open the row under the cursor."""
        if self.current is not None:
            self.post_message(self.Chosen(self, self.current))

    def action_mark(self) -> None:
        """Mark or unmark the row under the cursor, and go to the next."""
        if self.current is not None and self._marks:
            self.marked ^= {self.current.id}
            self.refresh(Region(0, self._at - self._top + 1, self.size.width, 1))
            self.go(self._at + 1)

    def mark(self, marked: set[str]) -> None:
        """Mark exactly these."""
        self.marked = marked
        self.refresh()

    def set_columns(self, columns: Sequence[Column]) -> None:
        """Show other columns."""
        self.columns = columns
        self.refresh()

    def clear_marks(self) -> None:
        """Unmark everything."""
        self.marked.clear()
        self.refresh()

    def on_click(self, event: events.Click) -> None:
        """Put the cursor where the mouse is; a second click opens. A header sorts."""
        place = event.get_content_offset(self)
        if place is None:  # on the border
            return
        if place.y == 0:
            self._sort_at(place.x)
            return
        index = self._top + place.y - 1
        if index < len(self.rows):
            again = index == self._at
            self.go(index)
            if again and event.chain >= 2:
                self.action_choose()

    def _sort_at(self, x: int) -> None:
        left = 2
        for column, width in self._layout_columns(self.size.width):
            # A graph has no title; who clicks it means the figure beside it.
            key = column.key.removesuffix("_line")
            if left <= x < left + width + 1 and key in self.sortable:
                self.post_message(self.Sorted(self, key))
                return
            left += width + 1

    def on_mouse_scroll_down(self, event: events.MouseScrollDown) -> None:
        """Move down three rows."""
        self.go(self._at + 3)
        event.stop()

    def on_mouse_scroll_up(self, event: events.MouseScrollUp) -> None:
        """Move up three rows."""
        self.go(self._at - 3)
        event.stop()

    def on_resize(self) -> None:
        """Keep the cursor in sight."""
        top = self._top
        self._keep_visible()
        if top != self._top:
            self.refresh()

    # --- drawing

    def _layout_columns(self, width: int) -> list[tuple[Column, int]]:
        wanted = (self.columns, max(1, width - 3))
        if self._fitted[0] != wanted:
            self._fitted = (wanted, fit(*wanted))
        return self._fitted[1]

    def render_line(self, y: int) -> Strip:
        """Draw line `y`: the header, a row, or nothing."""
        width = self.size.width
        if y == 0:
            return self._header(width)
        index = self._top + y - 1
        if index < len(self.rows):
            return self._row(self.rows[index], index == self._at, width)
        if not self.rows and y == 2 and self.empty:
            style = self.style_of("") + self.get_component_rich_style("table--empty", partial=True)
            return Strip([Segment(f"  {self.empty}", style)]).adjust_cell_length(width, style)
        return Strip.blank(width, self.style_of(""))

    def _header(self, width: int) -> Strip:
        style = self.style_of("", "table--header")
        strong = style + self.style_of("accent").without_color + Style(bold=True)
        parts = heading(self._layout_columns(width), self.sorted_by, self.reversed)
        segments = [Segment(text, strong if ours else style) for text, ours in parts]
        return Strip(segments).adjust_cell_length(width, style)

    def part(self, y: int, first: int, last: int, width: int) -> Iterable[Segment] | None:
        """A row, or of a row the cells that begin and end there."""
        index = self._top + y - 1
        if y == 0 or index >= len(self.rows):
            return None
        row, current = self.rows[index], index == self._at
        if (first, last) == (0, width):
            return self._row(row, current, width)
        kind = self._drawn_as(row, current, width)
        segments: list[Segment] = []
        x = end = 2
        for column, wide in self._layout_columns(width):
            if x == first or (segments and x < last):
                if segments:
                    segments.append(Segment(" ", self.style_of("", kind[0])))
                segments += self._cell(row, column, wide, kind)
                end = x + wide
            x += wide + 1
        return segments if end == last else None

    def _drawn_as(self, row: Row, current: bool, width: int) -> Kind:
        focused = current and self.has_focus
        base = ""
        if current:
            base = "table--cursor" if focused else "table--cursor-blurred"
        # With the terminal's sixteen colours the cursor is reverse: one bar, not a patchwork.
        flat = focused and self.app.native_ansi_color
        return base, flat, focused, row.id in self.marked, width

    def _cell(self, row: Row, column: Column, wide: int, kind: Kind) -> list[Segment]:
        content, (base, flat, *_) = row.cells[column.key], kind
        key = (content, column.key, wide, base, flat)
        known = self._segments.get(key)
        if known is None:
            known = [
                Segment(text, self.style_of("" if flat else tone, base))
                for text, tone in shown(content, column, wide)
            ]
            if len(self._segments) >= KEPT:
                self._segments.clear()
            self._segments[key] = known
        return known

    def _row(self, row: Row, current: bool, width: int) -> Strip:
        layout, kind = self._layout_columns(width), self._drawn_as(row, current, width)
        known = self._strips.get(row.id)
        if known is not None and known[0] is row and known[1] == kind and known[2] is layout:
            return known[3]
        base, flat, focused, marked, _ = kind
        gap = Segment(" ", self.style_of("", base))
        segments = [
            Segment(text, self.style_of("" if flat else tone, base))
            for text, tone in edge(focused, marked)
        ]
        for column, wide in layout:
            segments += self._cell(row, column, wide, kind)
            segments.append(gap)
        drawn = 2 + sum([wide + 1 for _, wide in layout])
        strip = Strip(segments, drawn).adjust_cell_length(width, gap.style)
        self._strips[row.id] = (row, kind, layout, strip)
        return strip

    def notify_style_update(self) -> None:
        """The theme or the stylesheet changed."""
        self._strips.clear()
        self._segments.clear()
        super().notify_style_update()
