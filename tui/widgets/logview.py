"""A log as lines: follow, scroll, wrap, timestamps, search, only what matches with its context.

Costs what is visible: wrapping is worked out from the place that is shown, never for all lines.
"""

from __future__ import annotations

from rich.segment import Segment
from rich.style import Style
from rich.text import Text
from textual import events
from textual.binding import Binding
from textual.geometry import Region
from textual.markup import escape
from textual.message import Message
from textual.strip import Strip
from textual.timer import Timer
from textual.widget import Widget

from ..logbuffer import Line, LogBuffer, matches, places, stamp
from .pane import Searchable

Place = tuple[int, int]  # a line's number and which of its wrapped rows
PAINT = 0.05  # seconds between repaints while lines pour in
CONTEXT = 3  # lines before and after a match
ALL, ONLY, AMID = range(3)  # every line; those that match; those with the lines around them
# `ValueError` and `NullPointerException` too, so these may begin within a word.
ERRORS = (
    r"/((error|exception)s?|\b(err|erro|fatal|panic|critical|traceback|fail(ed|ure)|cannot|can't"
    r"|could not|unable to|timed out|refused|denied|no such|segmentation fault))\b/"
)
NONE = -(1 << 60)  # the number of no line
WHO = 6  # colours for the containers of a merged log


class LogView(Widget, Searchable, can_focus=True):
    """Shows a LogBuffer; at its end it follows, anywhere else it stays where it is."""

    STEADY = True
    COMPONENT_CLASSES = {
        "log--time",
        "log--stderr",
        "log--match",
        "log--current",
        "log--empty",
        *(f"log--who{number}" for number in range(WHO)),
    }
    BINDINGS = [
        Binding("up,k", "scroll_lines(-1)", "Up", show=False),
        Binding("down,j", "scroll_lines(1)", "Down", show=False),
        Binding("pageup,ctrl+b", "scroll_pages(-1)", "Page up", show=False),
        Binding("pagedown,ctrl+f", "scroll_pages(1)", "Page down", show=False),
        Binding("home,g", "first", "First line", show=False),
        Binding("end,G,f", "follow", "Follow", show=False),
        Binding("left,h", "sideways(-8)", "Left", show=False),
        Binding("right", "sideways(8)", "Right", show=False),
        Binding("w", "toggle_wrap", "Wrap", show=False),
        Binding("t", "toggle_times", "Timestamps", show=False),
        Binding("n", "next_match(1)", "Next match", show=False),
        Binding("N", "next_match(-1)", "Previous match", show=False),
        Binding("m", "next_only", "Only matches", show=False),
        Binding("exclamation_mark", "errors", "The last error", show=False),
    ]

    class Changed(Message):
        """Following, wrapping or the search changed: what the border says is out of date."""

    def __init__(self, *, widget_id: str | None = None) -> None:
        super().__init__(id=widget_id)
        self.buffer = LogBuffer()
        self.following = True
        self.wrap = True
        self.times = False
        self.query_text = ""
        self.only = ALL
        self.note = ""
        self.names: list[str] = []  # of the containers, when the log is merged of several
        self._anchor: Place = (0, 0)
        self._match = NONE
        self._shift = 0
        self._strips: dict[int, Strip] = {}
        self._places: list[Place] = []
        self._paint: Timer | None = None
        self._base = Style.null()
        self._fits: dict[int, bool] = {}
        self._counted = (0, 0)  # up to which line the matches were counted, and how many

    # --- content

    def clear(self, note: str = "") -> None:
        """Start over with an empty log; `note` is what an empty one says."""
        self.buffer = LogBuffer()
        self.note = note
        self.following, self._anchor, self._match, self._shift = True, (0, 0), NONE, 0
        self._counted = (0, 0)
        self._restyle()

    def grew(self) -> None:
        """Lines were added to the buffer: repaint soon, once for all that come meanwhile."""
        if self._paint is None:
            self._paint = self.set_timer(PAINT, self._repaint)

    def _repaint(self) -> None:
        self._paint = None
        if not self.following and self._anchor[0] < self.buffer.first:
            self._anchor = (self.buffer.first, 0)
        if len(self._strips) > 4000:
            self._strips.clear()
        if len(self._fits) > 60_000:
            self._fits.clear()
        self.refresh()
        self.post_message(self.Changed())

    def search(self, query: str) -> None:
        """Mark what contains `query` and go to the last of it; an empty one ends the search."""
        self.query_text, self._match = query, NONE
        self.only = self.only if query else ALL
        self._counted = (self.buffer.first, 0)
        self._restyle()
        if query:
            self.action_next_match(-1)

    @property
    def found(self) -> int:
        """How many lines match what is searched for, of those that were here since."""
        if not self.query_text:
            return 0
        upto, count = self._counted
        for number in range(max(upto, self.buffer.first), self.buffer.total):
            line = self.buffer.get(number)
            count += line is not None and matches(line, self.query_text)
        self._counted = (self.buffer.total, count)
        return count

    def use(self, buffer: LogBuffer) -> None:
        """Show another buffer, staying at the same line number."""
        self.buffer = buffer
        self._counted = (buffer.first, 0)
        self._restyle()

    def want_older(self) -> None:
        """The first line is in sight and the user goes up."""

    def want_newer(self) -> None:
        """The last line is in sight and the user goes down."""

    # --- moving

    def action_scroll_lines(self, step: int) -> None:
        """Move by `step` rows."""
        self._move(step)

    def action_scroll_pages(self, direction: int) -> None:
        """Move by a page less one row."""
        self._move(direction * max(1, self.size.height - 1))

    def action_first(self) -> None:
        """Go to the oldest line."""
        self.following, self._anchor = False, (self.buffer.first, 0)
        self._show()

    def action_follow(self) -> None:
        """Go to the end and stay there."""
        self.following = True
        self._show()

    def action_sideways(self, step: int) -> None:
        """Scroll unwrapped lines sideways."""
        if not self.wrap:
            self._shift = max(0, self._shift + step)
            self.refresh()

    def action_toggle_wrap(self) -> None:
        """Wrap long lines, or cut them at the edge."""
        self.wrap, self._shift = not self.wrap, 0
        self._anchor = (self._anchor[0], 0)
        self._show()

    def action_toggle_times(self) -> None:
        """Show or hide the time of each line."""
        self.times = not self.times
        self._restyle()

    def action_next_only(self) -> None:
        """Show only the lines that match, then those with their context, then all again."""
        if self.query_text:
            self.only = (self.only + 1) % 3
            self._anchor = (self._anchor[0], 0)
            self._fits.clear()
            self._show()

    def action_errors(self) -> None:
        """Go to the last line that tells of an error, and on to the ones before."""
        if self.query_text == ERRORS:
            self.action_next_match(-1)
        else:
            self.search(ERRORS)

    def action_next_match(self, direction: int) -> None:
        """Go to the next line that matches, or the one before, and show it amid its context."""
        numbers = list(self.buffer.matches(self.query_text)) if self.query_text else []
        here = self.buffer.total if self._match == NONE and direction < 0 else self._match
        ahead = [one for one in numbers if (one > here if direction > 0 else one < here)]
        if not ahead and self.query_text and self.search_beyond(direction):
            return
        if not numbers:
            return
        if direction > 0:
            self._match = ahead[0] if ahead else numbers[0]
        else:
            self._match = ahead[-1] if ahead else numbers[-1]
        self._strips.clear()
        if self._match not in [place[0] for place in self._places]:
            self.following = False
            self._anchor = (self._match, 0)
            self._move(-(self.size.height // 3))
        self._show()

    def search_beyond(self, direction: int) -> bool:
        """No line here matches any more: whether others are being looked through."""
        return False

    def _show(self) -> None:
        self.refresh()
        self.post_message(self.Changed())

    def _restyle(self) -> None:
        self._strips.clear()
        self._fits.clear()
        self._show()

    def _move(self, step: int) -> None:
        if not self._places and self.following:
            return
        place = self._places[0] if self.following and self._places else self._anchor
        for _ in range(abs(step)):
            after = self._before(place) if step < 0 else self._after(place)
            if after is None:
                if step < 0:
                    self.want_older()
                break
            place = after
        self._anchor, self.following = place, False
        if step > 0 and len(self._fill(place)) < self.size.height:
            self.following = True
            self.want_newer()
        self._show()

    # --- which rows are shown

    def _rows(self, number: int) -> int:
        if not self.wrap:
            return 1
        width = max(1, self.size.width)
        return max(1, -(-self._strip(number).cell_length // width))

    def _shown(self, line: Line) -> bool:
        if self.only == ALL:
            return True
        fits = self._fits.get(line.number)
        if fits is None:
            around = CONTEXT if self.only == AMID else 0
            near = (
                self.buffer.get(number)
                for number in range(line.number - around, line.number + around + 1)
            )
            fits = any(one is not None and matches(one, self.query_text) for one in near)
            if line.number + around < self.buffer.total:  # else what comes next may still match
                self._fits[line.number] = fits
        return fits

    def _neighbour(self, number: int, step: int) -> int | None:
        number += step
        while (line := self.buffer.get(number)) is not None:
            if self._shown(line):
                return number
            number += step
        return None

    def _after(self, place: Place) -> Place | None:
        number, row = place
        if row + 1 < self._rows(number):
            return (number, row + 1)
        following = self._neighbour(number, 1)
        return None if following is None else (following, 0)

    def _before(self, place: Place) -> Place | None:
        number, row = place
        if row > 0:
            return (number, row - 1)
        earlier = self._neighbour(number, -1)
        return None if earlier is None else (earlier, self._rows(earlier) - 1)

    def _fill(self, place: Place) -> list[Place]:
        """The places from `place` down, as many as fit."""
        line = self.buffer.get(place[0])
        current: Place | None = place
        if line is None or not self._shown(line):
            number = self._neighbour(max(self.buffer.first - 1, place[0] - 1), 1)
            current = None if number is None else (number, 0)
        places: list[Place] = []
        while current is not None and len(places) < self.size.height:
            places.append(current)
            current = self._after(current)
        return places

    def _tail(self) -> list[Place]:
        """The last places, as many as fit."""
        last = self._neighbour(self.buffer.total, -1)
        current = None if last is None else (last, self._rows(last) - 1)
        places: list[Place] = []
        while current is not None and len(places) < self.size.height:
            places.append(current)
            current = self._before(current)
        return places[::-1]

    # --- drawing

    def render_lines(self, crop: Region) -> list[Strip]:
        """Work out which lines are shown, once per repaint, then draw them."""
        self._places = self._tail() if self.following else self._fill(self._anchor)
        self._base = self.rich_style
        return super().render_lines(crop)

    def render_line(self, y: int) -> Strip:
        """Draw line `y`."""
        width, style = self.size.width, self._base
        if y >= len(self._places):
            if y == 0 and not self.buffer.lines and self.note:
                style += self.get_component_rich_style("log--empty", partial=True)
                return Strip([Segment(f" {self.note}", style)]).adjust_cell_length(width, style)
            return Strip.blank(width, style)
        number, row = self._places[y]
        start = row * width if self.wrap else self._shift
        return self._strip(number).crop(start, start + width).adjust_cell_length(width, style)

    def _strip(self, number: int) -> Strip:
        strip = self._strips.get(number)
        if strip is None:
            line = self.buffer.get(number)
            strip = Strip.blank(0) if line is None else self._draw(line)
            self._strips[number] = strip
        return strip

    def _draw(self, line: Line) -> Strip:
        base = self.rich_style
        if line.stream == 2:
            base += self.get_component_rich_style("log--stderr", partial=True)
        text = Text.from_ansi(line.text) if "\x1b" in line.text else Text(line.text)
        text.end = ""
        found = places(text.plain, self.query_text)
        if found:
            kind = "log--current" if line.number == self._match else "log--match"
            mark = self.get_component_rich_style(kind, partial=True)
            for start, end in found:
                text.stylize(mark, start, end)
        segments = [
            Segment(segment.text, base + (segment.style or Style.null()))
            for segment in text.render(self.app.console)
        ]
        if self.times and line.time:
            faint = self.rich_style + self.get_component_rich_style("log--time", partial=True)
            segments.insert(0, Segment(f"{stamp(line.time)} ", faint))
        if len(self.names) > 1:
            tone = self.get_component_rich_style(f"log--who{line.who % WHO}", partial=True)
            wide = max(map(len, self.names))
            segments.insert(0, Segment(f"{self.names[line.who]:{wide}} ", self.rich_style + tone))
        return Strip(segments)

    @property
    def about(self) -> str:
        """What the border says of it, in markup."""
        words = [] if self.wrap else ["cut"]
        if self.query_text:
            query = "errors" if self.query_text == ERRORS else f"/{escape(self.query_text)}"
            words.append(f"[$warn]{query}[/] {self.found} found")
        if self.only != ALL:
            words.append("only matches" if self.only == ONLY else "matches and context")
        words.append("following" if self.following else "held, [b]f[/] follows")
        return " · ".join(words)

    def notify_style_update(self) -> None:
        """The theme changed: every line is drawn anew."""
        self._strips.clear()
        super().notify_style_update()

    def on_resize(self) -> None:
        """Wrapping changes with the width."""
        self._anchor = (self._anchor[0], 0)

    def on_mouse_scroll_down(self, event: events.MouseScrollDown) -> None:
        """Move down three rows."""
        self._move(3)
        event.stop()

    def on_mouse_scroll_up(self, event: events.MouseScrollUp) -> None:
        """Move up three rows."""
        self._move(-3)
        event.stop()
