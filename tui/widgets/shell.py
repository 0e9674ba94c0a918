"""The Shell tab: the terminals into containers, one shown, the others living on."""

from __future__ import annotations

from ...host.errors import BayError
from ..model import Model, container_name
from ..session import Kind, Session
from ..source import Source
from .pane import Pane
from .terminal import Terminal


class Shell(Terminal, Pane):
    """Keeps the sessions of all containers and shows those of the chosen one."""

    def __init__(self, source: Source, model: Model, *, widget_id: str | None = None) -> None:
        super().__init__(widget_id=widget_id)
        self._source = source
        self._model = model
        self._sessions: dict[tuple[str, str], Session] = {}
        self._last: dict[str, Kind] = {}
        self._target = ""

    def show_target(self, kind: str, target: str) -> None:
        """Show the session that was last used in the container, or what can be opened."""
        if target == self._target and self.session is not None:
            return
        self._target = target
        self._present()

    def _present(self) -> None:
        kind = self._last.get(self._target)
        session = self._sessions.get((self._target, kind)) if kind else None
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
        return [("", f"{name} is not running."), ("s", "start it")]

    async def open(self, kind: Kind, command: list[str] | None = None) -> bool:
        """Go to the session of `kind` in the chosen container, opening it if there is none.

        False when the engine refused, which is then said in a notification.
        """
        container = self._target
        session = self._sessions.get((container, kind))
        if session is None or session.over:
            session = self._new(container, kind)
            try:
                await session.open(command)
            except BayError as error:
                self.app.notify(str(error), severity="error", markup=False)
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
        size = (max(2, self.size.width), max(2, self.size.height))
        session = Session(self._source, container, kind, *size)
        session.emulator.on_bell = self.app.bell
        session.emulator.on_copy = self.app.copy_to_clipboard
        return session

    def _keep(self, session: Session) -> None:
        self._sessions[session.container, session.kind] = session
        self._last[session.container] = session.kind
        if session.container == self._target:
            self._present()

    def release(self) -> None:
        """The keyboard went back to the app: an attach ends by that, a shell lives on."""
        if self.session is not None and self.session.kind == "attach":
            self.end()

    def end(self) -> None:
        """Close the shown session."""
        session = self.session
        if session is not None:
            session.close()
            self._sessions.pop((session.container, session.kind), None)
            self._last.pop(session.container, None)
            self._present()

    def forget_gone(self) -> None:
        """Close the sessions of containers that no longer exist."""
        alive = {one["Id"] for one in self._model.containers}
        for key in [key for key in self._sessions if key[0] not in alive]:
            self._sessions.pop(key).close()
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
        words: list[str] = [session.kind]
        if self.back:
            words.append(f"[$warn]{self.back} lines back[/]")
        if not self.has_focus:
            words.append("[b]e[/] returns")
        elif session.kind == "exec":
            words.append("[b $accent]ctrl+][/] leaves, it runs on")
        else:
            words.append("[b $accent]ctrl+][/] detaches")
        return " · ".join(words)

    def on_unmount(self) -> None:
        """The app ends: so do its shells; what was attached to runs on."""
        for session in self._sessions.values():
            session.close()
