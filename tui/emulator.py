"""A terminal's screen in memory: bytes in, cells out, keys back; the only door to bittty.

bittty's API still moves between releases and it keeps no scrollback: what we need of it is here, so
that another emulator could take its place. Cells are (style, character); the second column of a
wide character is an empty string.
"""

from __future__ import annotations

import codecs
import re
from collections import deque
from collections.abc import Callable
from typing import Any

from bittty import Board, constants
from bittty.present import Bell, ClipboardChanged, SyncOutputChanged, TitleChanged
from bittty.video import Video
from rich.color import Color
from rich.style import Style
from textual.keys import key_to_character

from .sequences import feed

# Combining accents, joiners, variation selectors: the blocks that hold nothing else.
_MARKS = re.compile(
    "[\u0300-\u036f\u0483-\u0489\u0591-\u05bd\u064b-\u065f\u0e31\u0e34-\u0e3a"
    "\u0e47-\u0e4e\u1ab0-\u1aff\u1dc0-\u1dff\u200b-\u200d\u20d0-\u20ff\ufe00-\ufe0f"
    "\ufe20-\ufe2f]+"
)
LONGEST = 16  # code points in one cell
KEEP = 10_000  # lines of scrollback
Cells = list[tuple[Any, str]]

_MODIFIERS = {"shift": 1, "alt": 2, "meta": 2, "ctrl": 4}
_PLAIN = {"enter": "\r", "tab": "\t", "escape": "\x1b", "space": " ", "backspace": "\x7f"}
# Control characters that are not a letter, by the names Textual gives the keys.
_CONTROLS = {
    "@": "\x00",
    "at": "\x00",
    "space": "\x00",
    "left_square_bracket": "\x1b",
    "backslash": "\x1c",
    "right_square_bracket": "\x1d",
    "circumflex_accent": "\x1e",
    "underscore": "\x1f",
    "slash": "\x1f",
}
_NAMED = ("up", "down", "left", "right", "home", "end", "pageup", "pagedown", "insert", "delete")
_BUTTONS = {1: 0, 2: 1, 3: 2}


class _Recorder(Video):  # type: ignore[misc]  # bittty has no type information
    """The main screen's memory, keeping the lines that leave it at the top."""

    def __init__(self, width: int, height: int, policy: Any, gone: deque[Cells]) -> None:
        super().__init__(width, height, policy)
        self._gone = gone

    def scroll_region_up(self, top: int, bottom: int, count: int) -> None:
        """Keep what scrolls off, then scroll."""
        if top == 0 and bottom < self.height:
            self._gone.extend(self.grid[: min(count, bottom + 1)])
        super().scroll_region_up(top, bottom, count)

    def scroll_rectangle_up(self, top: int, bottom: int, count: int, **edges: Any) -> None:
        """Likewise, when the whole width scrolls; a part of it leaves no line behind."""
        whole = edges.get("left", 0) == 0 and edges.get("right") in (None, self.width - 1)
        plain = whole and edges.get("right") is None and edges.get("style_or_ansi") is None
        if top == 0 and whole and not plain:
            self._gone.extend([list(row) for row in self.grid[: min(count, bottom + 1)]])
        super().scroll_rectangle_up(top, bottom, count, **edges)


class Emulator:
    """One terminal of `columns` x `rows`; `send` gets what it writes back to the program."""

    def __init__(self, columns: int, rows: int, send: Callable[[bytes], None]) -> None:
        self._board: Any = Board(command="", width=columns, height=rows)
        self._board.host.attach(_Line(send))
        self._board.display.attach(self)
        self.scrollback: deque[Cells] = deque(maxlen=KEEP)
        blitter = self._board.blitter
        blitter.primary_buffer = _Recorder(columns, rows, self._board.width_policy, self.scrollback)
        blitter.current_buffer = blitter.primary_buffer
        erase = self._board.registry["ED"]
        self._board.registry["ED"] = lambda operation: self._erase(operation, erase)
        self._decoder = codecs.getincrementaldecoder("utf-8")("replace")
        self._styles: dict[Any, Style] = {}
        self._palette = self._board.palette.generation
        self._fresh_palette = self._palette
        self._page: Any = None
        self._seen = -1
        self._cursor_was: tuple[int, int] | None = None
        self.title = ""
        self.holding = False
        self.on_bell: Callable[[], None] = lambda: None
        self.on_copy: Callable[[str], None] = lambda text: None

    # --- the program's side

    def feed(self, data: bytes) -> None:
        """Take what the program wrote."""
        text = self._decoder.decode(data)
        if text.isascii():
            feed(self._board.parser, text)
            return
        start = 0
        for match in _MARKS.finditer(text):
            feed(self._board.parser, text[start : match.start()])
            self._combine(match[0])
            start = match.end()
        feed(self._board.parser, text[start:])

    def _combine(self, marks: str) -> None:
        """Put characters without a width onto the one before the cursor, as terminals do.

        bittty would give each a column of its own, and what follows would stand in the wrong one.
        """
        page, cursor = self._board.blitter.current_buffer, self._board.cursor
        y = min(cursor.y, page.height - 1)
        row = page.grid[y]
        x = min(cursor.x, len(row)) - 1
        if x > 0 and not row[x][1]:
            x -= 1
        if x >= 0:
            style, character = row[x]
            row[x] = (style, (character + marks)[:LONGEST])
            page._touch_row(y)

    def present(self, event: Any) -> None:
        """bittty's side effects."""
        if isinstance(event, Bell):
            self.on_bell()
        elif isinstance(event, TitleChanged):
            self.title = event.title
        elif isinstance(event, ClipboardChanged) and event.selection == "c":
            self.on_copy(event.text)
        elif isinstance(event, SyncOutputChanged):
            self.holding = event.enabled

    def _erase(self, operation: Any, erase: Callable[[Any], None]) -> None:
        if operation.args[0] == 3:  # xterm: erase saved lines
            self.scrollback.clear()
        erase(operation)

    # --- size

    @property
    def columns(self) -> int:
        """Width in characters."""
        return int(self._board.width)

    @property
    def rows(self) -> int:
        """Height in lines."""
        return int(self._board.height)

    def resize(self, columns: int, rows: int) -> None:
        """Change the size; lines above a cursor that no longer fits go to the scrollback."""
        board = self._board
        lost = board.cursor.y - rows + 1
        if lost > 0 and not board.blitter.in_alt_screen:
            page = board.blitter.primary_buffer
            page.scroll_region_up(0, page.height - 1, lost)
            board.cursor.y -= lost
        board.resize(columns, rows)
        self._page = None

    # --- what is on the screen

    def row(self, y: int) -> Cells:
        """The cells of line `y` of the screen."""
        page = self._board.blitter.current_buffer
        return list(page.grid[y]) if y < page.height else []

    @property
    def cursor(self) -> tuple[int, int] | None:
        """Where the cursor is (column, line), None while the program hides it."""
        if not self._board.modes.cursor_visible:
            return None
        return min(self._board.cursor.x, self.columns - 1), self._board.cursor.y

    @property
    def cursor_shape(self) -> str:
        """block, underline or bar."""
        return str(self._board.cursor.shape)

    def changed_rows(self) -> list[int]:
        """The lines that differ from the last call, the cursor's included."""
        page = self._board.blitter.current_buffer
        rows = set(page.dirty_rows(self._seen)) if page is self._page else set(range(page.height))
        self._page, self._seen = page, page.observe()
        cursor = self.cursor
        if cursor != self._cursor_was:
            rows |= {place[1] for place in (cursor, self._cursor_was) if place is not None}
            self._cursor_was = cursor
        return sorted(rows)

    def text(self) -> list[str]:
        """The screen as plain text, a string per line without the blanks at its end."""
        return ["".join(char for _, char in self.row(y)).rstrip() for y in range(self.rows)]

    def style(self, style: Any) -> Style:
        """A cell's style as Rich has it; the program's default colours are left open."""
        palette = self._board.palette
        if palette.generation != self._palette:
            self._palette = palette.generation
            self._styles.clear()
        found = self._styles.get(style)
        if found is None:
            found = self._styles[style] = Style(
                color=self._color(style.fg),
                bgcolor=self._color(style.bg),
                bold=style.bold,
                dim=style.dim,
                italic=style.italic,
                underline=style.underline,
                reverse=style.reverse,
                conceal=style.conceal,
                strike=style.strike,
                overline=style.overline,
            )
        return found

    def _color(self, color: Any) -> Color | None:
        if color is None or color.mode == "default":
            return None
        if color.mode == "indexed" and self._palette == self._fresh_palette:
            return Color.from_ansi(color.value)
        rgb = self._board.palette.resolve(color)
        return None if rgb is None else Color.from_rgb(*rgb)

    def paint(self) -> str:
        """The screen as a stream that draws it on an empty terminal."""
        x, y = self.cursor or (0, 0)
        body = self._board.capture_pane().replace("\n", "\r\n")
        return f"\x1b[0m\x1b[H\x1b[2J{body}\x1b[0m\x1b[{y + 1};{x + 1}H"

    # --- the user's side

    @property
    def alternate(self) -> bool:
        """Whether a full-screen program holds the screen: then there is no scrolling back."""
        return bool(self._board.blitter.in_alt_screen)

    @property
    def wants_mouse(self) -> bool:
        """Whether the program asked for the mouse."""
        return str(getattr(self._board.modes.mouse_protocol, "name", "OFF")) != "OFF"

    def key(self, name: str, character: str | None) -> bool:
        """Type a key by its Textual name; whether it stands for anything in a terminal."""
        *held, base = name.split("+")
        modifier = 1 + sum({_MODIFIERS[one] for one in held if one in _MODIFIERS})
        board = self._board
        if base in _NAMED:
            board.input_key(base, modifier)
        elif base[0] == "f" and base[1:].isdigit():
            board.input_fkey(int(base[1:]), modifier)
        elif base == "tab" and "shift" in held:
            board.input("\x1b[Z")
        else:
            return self._type(held, base, character, modifier)
        return True

    def _type(self, held: list[str], base: str, character: str | None, modifier: int) -> bool:
        """A key that stands for a character, by itself or with ctrl and alt."""
        board, keyboard = self._board, self._board.keyboard
        if "ctrl" in held and base in _CONTROLS:
            board.input(_CONTROLS[base])
            return True
        plain = _PLAIN.get(base) or (base if len(base) == 1 else key_to_character(base))
        if set(held) <= {"shift"} and base not in _PLAIN:
            plain = character or plain
        if not plain:
            return False
        special = bool(keyboard.kitty_flags or keyboard.modify_other_keys)
        if special and not set(held) <= {"shift"}:
            board.input_key(plain, modifier)
            return True
        if "ctrl" in held:
            letter = plain.upper()
            plain = chr(ord(letter) - 64) if "A" <= letter <= "Z" else plain
        board.input(f"\x1b{plain}" if {"alt", "meta"} & set(held) else plain)
        return True

    def paste(self, text: str) -> None:
        """Insert `text`, bracketed when the program asked for that."""
        # A paste must not end its own bracket and so run as typed.
        self._board.input_paste(text.replace("\x1b[201~", ""))

    def mouse(self, x: int, y: int, button: int, kind: str, held: set[str]) -> None:
        """A mouse event at column `x`, line `y` (from 0); `kind` is press, release or move."""
        self._board.input_mouse(x + 1, y + 1, _BUTTONS.get(button, button), kind, held)

    def wheel(self, x: int, y: int, up: bool, held: set[str]) -> None:
        """One notch of the wheel; a full-screen program without a mouse gets three arrow keys."""
        if self.alternate and not self.wants_mouse:
            for _ in range(3):
                self._board.input_key("up" if up else "down", 1)
            return
        button = constants.MOUSE_BUTTON_WHEEL_UP if up else constants.MOUSE_BUTTON_WHEEL_DOWN
        self._board.input_mouse(x + 1, y + 1, button, "press", held)

    def focus(self, gained: bool) -> None:
        """Tell the program that its pane is worked in, if it wants to know."""
        self._board.set_focus(gained)


class _Line:
    """bittty's cable to the program."""

    def __init__(self, send: Callable[[bytes], None]) -> None:
        self._send = send

    def write(self, data: str) -> None:
        """Text, as UTF-8."""
        self._send(data.encode(errors="surrogateescape"))

    def write_bytes(self, data: bytes) -> None:
        """Bytes as they are."""
        self._send(data)
