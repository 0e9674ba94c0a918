"""Long work as it goes: bars, speed, time left; and the list of what is under way."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence

from textual.app import ComposeResult
from textual.binding import Binding
from textual.containers import Vertical
from textual.screen import ModalScreen
from textual.strip import Strip
from textual.widgets import Label

from .. import text
from ..cells import Cell, Span
from ..hostwords import meter
from ..jobs import Job
from ..pulls import Transfer
from ..widgets.toned import Toned

BAR = 24
LOOK = 0.5  # seconds: the stream itself says hundreds of times a second how far it is


def bar(share: float, width: int) -> list[Span]:
    """A bar filled to `share`, 0 to 1; green when it is full."""
    return [("━" * width, "good")] if share >= 1 else meter(share * 69, width)


def figures(job: Job, now: float) -> str:
    """How much, how fast, how long still: `12M of 80M · 4.1M/s · 17s left`."""
    speed, left = job.moved(now)
    parts = []
    if job.current:
        of = f" of {text.size(job.total, 1000)}" if job.total else ""
        parts.append(f"{text.size(job.current, 1000)}{of}")
        parts.append(f"{text.size(speed, 1000)}/s" if speed >= 1 else "waiting")
    if left is not None and job.share < 1:
        parts.append(f"{text.span(left)} left")
    return " · ".join(parts)


class _Layers(Toned):
    def __init__(self, job: Transfer) -> None:
        super().__init__()
        self._job = job

    def render_line(self, y: int) -> Strip:
        # The last ones when they do not all fit: the first are done first.
        layers = list(self._job.layers.items())[-max(1, self.size.height) :]
        if y >= len(layers):
            return Strip.blank(self.size.width, self.style_of(""))
        identifier, layer = layers[y]
        known = ""
        if layer.current and not layer.done:
            known = f" {text.size(layer.current, 1000)}/{text.size(layer.total, 1000)}"
        spans: list[Span] = [(f"{identifier[:12]:12} ", "dim"), *bar(layer.share, BAR)]
        return self.strip([*spans, (f" {layer.status}", ""), (known, "dim")], self.size.width)


class _Whole(Toned):
    def __init__(self, job: Job) -> None:
        super().__init__(classes="whole")
        self._job = job

    def render_line(self, y: int) -> Strip:
        width = max(10, self.size.width - 6)
        share = self._job.share
        return self.strip([*bar(share, width), (f" {share:4.0%}", "bright")], self.size.width)


class Progress(ModalScreen[bool]):
    """One piece of work as it goes; hiding it does not stop it. True to cancel it."""

    BINDINGS = [
        Binding("escape,q,enter", "dismiss(False)", "Hide"),
        Binding("ctrl+x", "dismiss(True)", "Cancel"),
    ]

    def __init__(self, job: Job) -> None:
        super().__init__()
        self._job = job

    def compose(self) -> ComposeResult:
        """The whole, its figures, then a line per layer."""
        with Vertical(classes="dialog pull") as box:
            box.border_title = self._job.title
            box.border_subtitle = "esc hides, it goes on · ctrl+x cancels"
            yield _Whole(self._job)
            yield Label("", id="figures", markup=False)
            if isinstance(self._job, Transfer):
                yield _Layers(self._job)
            yield Label(f"$ {self._job.command}", classes="command", markup=False)

    def on_mount(self) -> None:
        """Look twice a second."""
        self._look()
        self.set_interval(LOOK, self._look)

    def _look(self) -> None:
        job = self._job
        if job.over:
            self.dismiss(False)
            return
        for layers in self.query(_Layers):
            assert isinstance(job, Transfer)
            layers.styles.height = min(14, max(1, len(job.layers)))
            layers.refresh()
        self.query_one(_Whole).refresh()
        said = [part for part in (figures(job, time.monotonic()), job.status) if part]
        self.query_one("#figures", Label).update(" · ".join(said))


class Jobs(ModalScreen[Job | None]):
    """What is under way; the answer is the one to look at."""

    BINDINGS = [
        Binding("escape,q,percent_sign", "dismiss(None)", "Close"),
        Binding("up,k", "move(-1)", "Up", show=False),
        Binding("down,j", "move(1)", "Down", show=False),
        Binding("enter", "open", "Look", show=False),
        Binding("ctrl+x", "cancel", "Cancel", show=False),
    ]

    def __init__(self, jobs: Callable[[], Sequence[Job]], cancel: Callable[[Job], None]) -> None:
        super().__init__()
        self._jobs = jobs
        self._cancel = cancel
        self._at = 0

    def compose(self) -> ComposeResult:
        """A line per job."""
        with Vertical(classes="dialog pull") as box:
            box.border_title = "Under way"
            box.border_subtitle = "↵ look · ctrl+x cancels · esc"
            yield _List(self)

    def on_mount(self) -> None:
        """Look twice a second."""
        self._look()
        self.set_interval(LOOK, self._look)

    def _look(self) -> None:
        listing = self.query_one(_List)
        listing.styles.height = max(1, len(self._jobs()))
        listing.refresh()

    @property
    def current(self) -> Job | None:
        """The one under the cursor."""
        jobs = self._jobs()
        return jobs[min(self._at, len(jobs) - 1)] if jobs else None

    def line(self, y: int) -> Cell:
        """Job `y` as spans."""
        jobs = self._jobs()
        if y >= len(jobs):
            return ((" Nothing is under way.", "dim"),) if not jobs and not y else ()
        job = jobs[y]
        edge: Span = ("▌" if job is self.current else " ", "accent")
        name: Span = (f"{job.title[:30]:30} ", "bright")
        return (edge, name, *bar(job.share, 16), (f" {job.share:4.0%} ", ""), (job.status, "dim"))

    def action_move(self, step: int) -> None:
        """The next, the one before."""
        self._at = max(0, min(self._at + step, len(self._jobs()) - 1))
        self._look()

    def action_open(self) -> None:
        """Look at it."""
        self.dismiss(self.current)

    def action_cancel(self) -> None:
        """End it."""
        if self.current is not None:
            self._cancel(self.current)


class _List(Toned):
    def __init__(self, owner: Jobs) -> None:
        super().__init__()
        self._owner = owner

    def render_line(self, y: int) -> Strip:
        return self.strip(self._owner.line(y), self.size.width)
