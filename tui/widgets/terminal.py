"""A terminal in a pane: draws a session's screen and types into it."""

from __future__ import annotations

from time import monotonic
from typing import TYPE_CHECKING

from rich.segment import Segment
from rich.style import Style
from textual import events
from textual.geometry import Region
from textual.message import Message
from textual.strip import Strip
from textual.timer import Timer
from textual.widget import Widget

if TYPE_CHECKING:
    from ..emulator import Cells
    from ..session import Session

DETACH = ("ctrl+right_square_bracket", "ctrl+]")
FRAME = 1 / 30  # seconds between two repaints of a program that writes without pause
HOLD = 0.15  # seconds a program may keep its frame back (mode 2026)


class Terminal(Widget, can_focus=True):
    """Shows one session, or a note when there is none.

    Every key goes to the program but ctrl+], which gives the keyboard back, and shift with page up
    and down, which scroll.
    """

    STEADY = True
    COMPONENT_CLASSES = {"terminal--note", "terminal--key"}

    class Released(Message):
        """ctrl+]: the keyboard is the app's again."""

    class Changed(Message):
        """The session scrolled, ended or took another title."""

    def __init__(self, *, widget_id: str | None = None) -> None:
        super().__init__(id=widget_id)
        self.session: Session | None = None
        self.note: list[tuple[str, str]] = []
        self.back = 0  # lines scrolled back
        self._timer: Timer | None = None
        self._painted = 0.0
        self._held = 0.0

    def show(self, session: Session | None, note: list[tuple[str, str]] | None = None) -> None:
        """Show `session`, or without one `note`: pairs of a key and what it does."""
        if self.session is not None and self.session is not session:
            self.session.on_output = lambda: None
        self.session, self.note, self.back = session, note or [], 0
        if session is not None:
            session.on_output = self._output
            session.resize(self.size.width, self.size.height)
            session.emulator.changed_rows()
        self.refresh()
        self.post_message(self.Changed())

    # --- painting

    def _output(self) -> None:
        """The screen changed: paint at once after a pause, else once per frame."""
        if self._timer is None:
            wait = self._painted + FRAME - monotonic()
            self._timer = self.set_timer(max(0.001, wait), self._paint)

    def _paint(self) -> None:
        self._timer = None
        session = self.session
        if session is None:
            return
        now = monotonic()
        if session.emulator.holding and not session.over:
            self._held = self._held or now
            if now - self._held < HOLD:
                self._output()
                return
        self._held, self._painted = 0.0, now
        rows = session.emulator.changed_rows()
        if self.back:
            self.refresh()
        elif rows:
            width = self.size.width
            self.refresh(*(Region(0, y, width, 1) for y in rows if y < self.size.height))
        if session.over:
            self.refresh()
            self.post_message(self.Changed())

    def render_line(self, y: int) -> Strip:
        """Draw line `y` of the screen, or of what was scrolled back to."""
        width, base = self.size.width, self.rich_style
        session = self.session
        if session is None:
            return self._note(y, width, base)
        emulator = session.emulator
        if self.back:
            history = emulator.scrollback
            index = len(history) - self.back + y
            if index < len(history):
                return self._strip(history[index], -1, width, base)
            y = index - len(history)
        cursor = emulator.cursor
        column = -1
        if cursor and cursor[1] == y and self.has_focus and not session.over:
            column = cursor[0]
        return self._strip(emulator.row(y), column, width, base)

    def _strip(self, cells: Cells, cursor: int, width: int, base: Style) -> Strip:
        assert self.session is not None
        style_of = self.session.emulator.style
        segments: list[Segment] = []
        run: list[str] = []
        before = None
        for x, (style, character) in enumerate(cells[:width]):
            if x == cursor:
                if run:
                    segments.append(Segment("".join(run), base + style_of(before)))
                    run = []
                shape = self.session.emulator.cursor_shape
                mark = Style(underline=True) if shape == "underline" else Style(reverse=True)
                segments.append(Segment(character or " ", base + style_of(style) + mark))
                before = None
                continue
            if style is not before and style != before:
                if run:
                    segments.append(Segment("".join(run), base + style_of(before)))
                    run = []
                before = style
            run.append(character)
        if run:
            segments.append(Segment("".join(run), base + style_of(before)))
        return Strip(segments).adjust_cell_length(width, base)

    def _note(self, y: int, width: int, base: Style) -> Strip:
        index = y - max(0, (self.size.height - len(self.note)) // 2)
        if not 0 <= index < len(self.note):
            return Strip.blank(width, base)
        key, text = self.note[index]
        faint = base + self.get_component_rich_style("terminal--note", partial=True)
        strong = base + self.get_component_rich_style("terminal--key", partial=True)
        line = [Segment(f"{key:>8}  " if key else "", strong), Segment(text, faint)]
        left = max(0, (width - 44) // 2)
        return Strip([Segment(" " * left, base), *line]).adjust_cell_length(width, base)

    # --- size and focus

    def on_resize(self, event: events.Resize) -> None:
        """The program is told its new size."""
        if self.session is not None:
            self.session.resize(event.size.width, event.size.height)

    def on_focus(self) -> None:
        """The cursor appears."""
        if self.session is not None:
            self.session.emulator.focus(True)
        self.refresh()

    def on_blur(self) -> None:
        """The cursor goes."""
        if self.session is not None:
            self.session.emulator.focus(False)
        self.refresh()

    # --- keys, mouse, paste

    @property
    def typing(self) -> bool:
        """Whether keys go to a program."""
        return self.has_focus and self.session is not None and not self.session.over

    def on_key(self, event: events.Key) -> None:
        """Type, unless nobody reads."""
        if event.key in DETACH:
            event.stop()
            event.prevent_default()
            self.post_message(self.Released())
            return
        if not self.typing or self.session is None:
            return
        if event.key in ("shift+pageup", "shift+pagedown"):
            page = max(1, self.size.height - 1)
            self._scroll(page if event.key == "shift+pageup" else -page)
        else:
            self._scroll(-self.back)
            self.session.emulator.key(event.key, event.character)
        event.stop()
        event.prevent_default()

    def on_paste(self, event: events.Paste) -> None:
        """Insert what was pasted."""
        if self.typing and self.session is not None:
            self.session.emulator.paste(event.text)
            event.stop()

    def _scroll(self, lines: int) -> None:
        if self.session is None:
            return
        most = 0 if self.session.emulator.alternate else len(self.session.emulator.scrollback)
        back = max(0, min(most, self.back + lines))
        if back != self.back:
            self.back = back
            self.refresh()
            self.post_message(self.Changed())

    def _wheel(self, event: events.MouseEvent, up: bool) -> None:
        session = self.session
        if session is None:
            return
        event.stop()
        if self.typing and (session.emulator.wants_mouse or session.emulator.alternate):
            session.emulator.wheel(event.x, event.y, up, _held(event))
        else:
            self._scroll(3 if up else -3)

    def on_mouse_scroll_up(self, event: events.MouseScrollUp) -> None:
        """Scroll back, or give it to a program that wants the mouse."""
        self._wheel(event, True)

    def on_mouse_scroll_down(self, event: events.MouseScrollDown) -> None:
        """Likewise forward."""
        self._wheel(event, False)

    def _mouse(self, event: events.MouseEvent, kind: str) -> None:
        session = self.session
        if session is not None and self.typing and session.emulator.wants_mouse:
            session.emulator.mouse(event.x, event.y, event.button or 0, kind, _held(event))
            event.stop()

    def on_mouse_down(self, event: events.MouseDown) -> None:
        """A button went down."""
        self._mouse(event, "press")

    def on_mouse_up(self, event: events.MouseUp) -> None:
        """A button came up."""
        self._mouse(event, "release")

    def on_mouse_move(self, event: events.MouseMove) -> None:
        """The mouse moved."""
        self._mouse(event, "move")


def _held(event: events.MouseEvent) -> set[str]:
    held = {"shift": event.shift, "meta": event.meta, "ctrl": event.ctrl}
    return {name for name, down in held.items() if down}
