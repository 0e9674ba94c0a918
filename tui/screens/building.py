"""A build as it goes: its steps, what they say, and the line of the Dockerfile at fault."""

from __future__ import annotations

from rich.text import Text
from textual.app import ComposeResult
from textual.binding import Binding
from textual.containers import Vertical
from textual.screen import ModalScreen
from textual.strip import Strip
from textual.widgets import Static

from ..builds import Build, BuildStep
from ..cells import Column, Row, Tone, cell
from ..widgets.table import Table
from ..widgets.toned import Toned
from .progress import LOOK

COLUMNS = (
    Column("state", "", 2),
    Column("stage", "STAGE", 8, 14, rank=2),
    Column("line", "LINE", 4, rank=1, right=True),
    Column("text", "STEP", 20, 500),
    Column("took", "TIME", 7, right=True),
)
_GLYPHS: dict[str, tuple[str, Tone]] = {
    "running": ("▸", "accent"),
    "done": ("✓", "good"),
    "cached": ("✓", "dim"),
    "failed": ("✗", "bad"),
    "stopped": ("·", "dim"),
}


def row(number: int, step: BuildStep) -> Row:
    """One step as a row."""
    glyph, tone = _GLYPHS[step.state]
    took = "cached" if step.state == "cached" else f"{step.took:.1f}s" if step.took else ""
    cells = {
        "state": cell(glyph, tone),
        "stage": cell(step.name, "accent"),
        "line": cell(str(step.line) if step.line else "", "dim"),
        "text": cell(step.text, "bad" if step.state == "failed" else "bright"),
        "took": cell(took, "dim"),
    }
    return Row(str(number), cells, {}, step.text.lower(), step.state == "cached")


class _Said(Toned):
    """The last lines of a step."""

    def __init__(self) -> None:
        super().__init__(classes="said")
        self.step: BuildStep | None = None

    def render_line(self, y: int) -> Strip:
        step, height = self.step, self.size.height
        if step is None:
            return self.strip([], self.size.width)
        lines = [line for line in step.said if line.strip()][-height:]
        if not lines and not y:
            words = f"not cached: {step.note}" if step.note else "It has said nothing."
            return self.strip([(f" {words}", "dim")], self.size.width)
        return self.strip([(f" {lines[y]}" if y < len(lines) else "", "")], self.size.width)


class Building(ModalScreen[str]):
    """One build. The answer: "cancel", "edit" for its failing line, "" to hide it."""

    BINDINGS = [
        Binding("escape,q", "dismiss('')", "Hide"),
        Binding("ctrl+x", "cancel", "Cancel"),
        Binding("v", "show_line", "The Dockerfile", show=False),
    ]

    def __init__(self, build: Build) -> None:
        super().__init__(id="building")
        self.build_job = build
        self._follows = True
        self._over = False

    def compose(self) -> ComposeResult:
        """The steps over what the current one says."""
        with Vertical(classes="dialog building") as box:
            box.border_title = self.build_job.title
            yield Table(COLUMNS, empty="Sending the context…", widget_id="steps", marks=False)
            yield _Said()
            yield Static("", id="source", markup=False)
            yield Static("", id="outcome", markup=False)

    def on_mount(self) -> None:
        """Look twice a second."""
        self.query_one(Table).focus()
        self._look()
        self.set_interval(LOOK, self._look)

    def _look(self) -> None:
        job = self.build_job
        if self._over:
            return
        self._over = job.over
        table = self.query_one(Table)
        table.show([row(number, step) for number, step in sorted(job.steps.items())])
        busy = [n for n, (_, one) in enumerate(sorted(job.steps.items())) if one.state == "running"]
        bad = [n for n, (_, one) in enumerate(sorted(job.steps.items())) if one.state == "failed"]
        if job.over and bad:
            table.go(bad[0])
            self._source()
        elif busy and self._follows:
            table.go(busy[0])
        self._say()
        keys = "esc closes" if job.over else "esc hides · ctrl+x cancels"
        view = " · v the Dockerfile" if job.failed_line else ""
        self.query_one(Vertical).border_subtitle = f"{keys}{view}"
        outcome = self.query_one("#outcome", Static)
        outcome.set_class(bool(job.error), "-bad")
        if job.error:
            # The engine's error repeats the lines that stand above.
            outcome.update(job.error.splitlines()[0] if job.failed_line else job.error)
        elif job.over:
            outcome.update(f"Built {job.what} {job.image.removeprefix('sha256:')[:12]}")
        else:
            outcome.update(f"{job.share:.0%} of {max(job.planned, len(job.steps))} steps")

    def _source(self) -> None:
        """The lines around the one at fault, which is marked."""
        job = self.build_job
        if not job.failed_line:
            return
        try:
            lines = (job.folder / job.dockerfile).read_text(errors="replace").splitlines()
        except OSError:
            return
        tones = self.app.theme_variables
        shown = Text()
        for number in range(max(1, job.failed_line - 2), min(len(lines), job.failed_line + 1) + 1):
            mark = "▸" if number == job.failed_line else " "
            tone = tones["bad"] if number == job.failed_line else tones["dim"]
            line = f"{mark} {number:3} {lines[number - 1]}\n"
            shown.append(line, tone.removeprefix("ansi_"))
        shown.right_crop(1)
        self.query_one("#source", Static).update(shown)

    def _say(self) -> None:
        table, said = self.query_one(Table), self.query_one(_Said)
        current = table.current
        said.step = self.build_job.steps.get(int(current.id)) if current else None
        said.refresh()

    def on_table_highlighted(self) -> None:
        """What the step under the cursor says; who moves the cursor reads, and is not led on."""
        self._follows = self.query_one(Table).position >= len(self.build_job.steps) - 1
        self._say()

    def action_cancel(self) -> None:
        """End it; a finished one is only closed."""
        self.dismiss("" if self.build_job.over else "cancel")

    def action_show_line(self) -> None:
        """The whole Dockerfile, at the line at fault."""
        if self.build_job.failed_line:
            self.dismiss("view")
