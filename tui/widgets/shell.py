"""The Shell tab: the terminals into containers, one shown, the others living on."""

from __future__ import annotations

import asyncio
import contextlib

from textual.binding import Binding
from textual.widget import Widget

from ...host.errors import BayError
from .. import tabs
from ..later import Later
from ..model import Json, Model, container_name
from ..session import GRACE, Kind, Session
from ..source import Source
from .pane import Pane
from .terminal import Terminal

# Columns and lines while nothing is laid out: what terminals have when nobody says.
UNKNOWN_SIZE = (80, 24)


class Shell(Terminal, Pane):
    """Keeps the sessions of all containers and shows those of the chosen one."""

    BINDINGS = [
        Binding("comma", "other(-1)", "The shell before", show=False),
        Binding("full_stop", "other(1)", "The next shell", show=False),
        Binding("c", "copy_screen", "Copy what is seen", show=False),
    ]

    def __init__(self, source: Source, model: Model, *, widget_id: str | None = None) -> None:
        super().__init__(widget_id=widget_id)
        self._source = source
        self._model = model
        self._sessions: dict[str, list[Session]] = {}
        self._shown: dict[str, Session] = {}
        self._target = ""

    def show_target(self, kind: str, target: str) -> None:
        """Show the session that was last used in the container, or what can be opened."""
        if target == self._target and self.session is not None:
            return
        self._target = target
        self._present()

    def _present(self) -> None:
        session = self._shown.get(self._target)
        if session is not self.session or session is None:
            self.show(session, None if session else self._offer())

    def _offer(self) -> list[tuple[str, str]]:
        summary = self._model.container(self._target)
        if summary is None:
            return [("", "No container chosen.")]
        name = container_name(summary)
        if summary["State"] == "running":
            return [
                ("e", f"open a shell in {name}"),
                ("a", "attach to its main process"),
                ("+", "the same over the whole screen"),
            ]
        if summary["State"] == "paused":
            return [("", f"{name} is paused."), ("p", "let it go on")]
        return [("", f"{name} is not running."), ("s", "start it")]

    async def open(
        self, kind: Kind, command: list[str] | None = None, *, new: bool = False
    ) -> bool:
        """Go to the session of `kind` in the chosen container, opening it if there is none.

        `new` opens another one beside those there are. False when the engine refused, which is then
        said in a notification.
        """
        container = self._target
        summary = self._model.container(container)
        name = container_name(summary) if summary else container[:12]
        there = [one for one in self._sessions.get(container, []) if one.kind == kind]
        session = next((one for one in reversed(there) if not one.over), None)
        if self._shown.get(container) in there:
            session = self._shown[container] if not self._shown[container].over else session
        if session is None or (new and kind == "exec"):
            if summary is not None and (why := _idle(summary)):
                self.app.notify(f"{name} {why}", severity="warning", markup=False)
                return False
            session = self._new(container, kind)
            try:
                await session.open(command)
            except BayError as error:
                why = str(error).replace(container, name)
                self.app.notify(why, severity="error", markup=False)
                return False
        self._keep(session)
        return True

    async def run(self, container: str) -> None:
        """Attach to `container`, which was only created, start it and show its terminal.

        Raises BayError when the engine refuses.
        """
        session = self._new(container, "attach")
        await session.open(start=True)
        self._keep(session)

    def _new(self, container: str, kind: Kind) -> Session:
        session = Session(self._source, container, kind, *self.room)
        session.emulator.on_bell = self.app.bell
        session.emulator.on_copy = self.app.copy_to_clipboard
        return session

    @property
    def live(self) -> bool:
        """Whether what is typed goes into a session."""
        return self.session is not None and not self.session.over

    @property
    def room(self) -> tuple[int, int]:
        """The columns and lines a session is going to have.

        A tab that was turned to just now has no size before the next layout: it fills its parent.
        What a program writes into fewer columns than it is shown in stays torn.
        """
        own, parent = self.size, self.parent
        if not own and isinstance(parent, Widget):
            own = parent.content_size
        return (own.width, own.height) if own else UNKNOWN_SIZE

    def _keep(self, session: Session) -> None:
        there = self._sessions.setdefault(session.container, [])
        if session not in there:
            there[:] = [one for one in there if not one.over]
            there.append(session)
        self._shown[session.container] = session
        if session.container == self._target:
            self._present()

    def action_other(self, step: int) -> None:
        """Show the next session of this container, or the one before."""
        there = self._sessions.get(self._target, [])
        if self.session in there and len(there) > 1:
            self._shown[self._target] = there[(there.index(self.session) + step) % len(there)]
            self._present()

    def action_copy_screen(self) -> None:
        """Copy the lines that are seen, of the screen or of what was scrolled back to."""
        if self.session is None:
            return
        emulator, height = self.session.emulator, self.size.height
        history = ["".join(char for _, char in row).rstrip() for row in emulator.scrollback]
        lines = [*history, *emulator.text()]
        first = max(0, len(history) - self.back)
        self.app.copy_to_clipboard("\n".join(lines[first : first + height]))
        self.app.notify("Copied what is seen", markup=False)

    def release(self) -> None:
        """The keyboard went back to the app: an attach ends by that, a shell lives on."""
        if self.session is not None and self.session.kind == "attach":
            self.end()

    def end(self) -> None:
        """Close the shown session."""
        session = self.session
        if session is not None:
            self.run_worker(Later(self._end, session), group="end")
            there = self._sessions.get(session.container, [])
            if session in there:
                there.remove(session)
            self._shown.pop(session.container, None)
            if there:
                self._shown[session.container] = there[-1]
            self._present()

    async def _end(self, session: Session) -> None:
        if not await session.end():
            engine = tabs.engine_name(self._model.version)
            self.app.notify(
                f"What runs in that shell runs on: {engine} cannot hang up, Bayplan's engine can",
                severity="warning",
                markup=False,
            )

    def forget_gone(self) -> None:
        """Close the sessions of containers that no longer exist."""
        alive = {one["Id"] for one in self._model.containers}
        for container in [one for one in self._sessions if one not in alive]:
            for session in self._sessions.pop(container):
                session.close()
            self._shown.pop(container, None)
        if self.session is None:
            self._present()

    @property
    def about(self) -> str:
        """What the border says of the shown session."""
        session = self.session
        if session is None:
            return ""
        if session.over:
            return f"{session.outcome} · [b]e[/] opens another"
        there = self._sessions.get(session.container, [])
        words: list[str] = [session.kind]
        if len(there) > 1 and session in there:
            words = [f"{session.kind} {there.index(session) + 1} of {len(there)}"]
        if self.back:
            words.append(f"[$warn]{self.back} lines back[/]")
        if not self.has_focus:
            words.append("[b]e[/] returns")
            words.append("[b], .[/] others" if len(there) > 1 else "[b]E[/] another")
        elif session.kind == "exec":
            words.append("[b $accent]ctrl+][/] leaves, it runs on")
        else:
            words.append("[b $accent]ctrl+][/] detaches")
        return " · ".join(words)

    async def on_unmount(self) -> None:
        """The app ends: so do its shells; what was attached to runs on."""
        sessions = [one for there in self._sessions.values() for one in there]
        with contextlib.suppress(TimeoutError):  # an engine that is gone has no say in this
            await asyncio.wait_for(asyncio.gather(*(one.end() for one in sessions)), GRACE)


def _idle(summary: Json) -> str:
    """Why nothing can be opened in a container now; "" where it can."""
    state = summary["State"]
    if state == "running":
        return ""
    if state == "paused":
        return "is paused: p lets it go on"
    return "is restarting" if state == "restarting" else "is not running: s starts it"
