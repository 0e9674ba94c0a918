"""What the main screen does to things: verbs, terminals, runs, pulls, clean-ups."""

from __future__ import annotations

from textual import work
from textual.screen import Screen
from textual.worker import Worker

from ...host.errors import BayError, NotFoundError
from .. import prune, verbs
from ..deeds import carry_out
from ..feed import Feed
from ..model import Json, Model, container_name
from ..passthrough import Passthrough
from ..pulls import Pull
from ..runspec import RunSpec
from ..session import Kind
from ..source import Source
from ..verbs import Deed
from ..widgets.detail import Detail
from ..widgets.shell import Shell
from ..widgets.table import Table
from .confirm import Confirm
from .prune import Prune
from .pull import AskImage, Progress
from .run import Run


class Acting(Screen[None]):
    """The half of the main screen that changes the engine's world; the other half shows it."""

    source: Source
    model: Model
    feed: Feed
    kind: str
    last_command: str
    pulls: dict[str, Pull]

    def table(self, kind: str) -> Table:
        """The list of `kind`."""
        return self.query_one(f"#{kind}", Table)

    @property
    def detail(self) -> Detail:
        """The pane about the chosen object."""
        return self.query_one(Detail)

    def redraw(self, kind: str) -> None:
        """Draw the list `kind` anew from the model."""
        raise NotImplementedError

    def tell(self, command: str) -> None:
        """Remember the command that equals what was just done, for the hint line."""
        raise NotImplementedError

    def go_to(self, kind: str, identifier: str = "") -> None:
        """Go to a list, and to the row that begins with `identifier` as soon as it is there."""
        raise NotImplementedError

    def action_zoom(self) -> None:
        """Give the whole screen to the detail, or take it back."""
        raise NotImplementedError

    def complain(self, error: object, title: str = "") -> None:
        """Show a sentence of the engine as what went wrong."""
        self.notify(str(error), severity="error", title=title, markup=False, timeout=10)

    # --- verbs

    def _targets(self) -> list[Json]:
        found = [self.model.container(one) for one in self.table("containers").chosen]
        return [one for one in found if one is not None]

    def action_do(self, verb: str) -> None:
        """Do `verb` to what is marked, or to what the cursor stands on."""
        if self.kind == "containers":
            deed = verbs.container(verb, self._targets())
        elif verb == "remove":
            deed = verbs.remove_other(self.kind, self.table(self.kind).chosen, self.model)
        else:
            return
        if deed is not None:
            self.do(deed)

    def action_pause_or_pull(self) -> None:
        """Pause or go on in Containers, pull in the other lists."""
        if self.kind == "containers":
            self.action_do("pause")
        else:
            self.pull_dialog()

    @work
    async def do(self, deed: Deed) -> None:
        """Ask if something is lost by it, then carry it out and say what failed."""
        if deed.question:
            answer = await self.app.push_screen_wait(Confirm(deed))
            if answer is None:
                return
            deed = verbs.with_options(deed, answer)
        await self._carry_out(deed)

    async def _carry_out(self, deed: Deed) -> None:
        self.table(self.kind).clear_marks()
        self.tell(deed.command)
        failed = await carry_out(deed, self.source, self.model, lambda: self.redraw("containers"))
        for text in failed[:3]:
            self.complain(text, f"{deed.title} failed")
        if len(failed) > 3:
            self.complain(f"and {len(failed) - 3} more")

    @work(exclusive=True, group="prune")
    async def action_prune(self) -> None:
        """Show what nobody uses, and remove what of it is chosen."""
        try:
            wastes = await prune.look(self.source, self.model)
        except BayError as error:
            self.complain(error)
            return
        chosen = await self.app.push_screen_wait(Prune(wastes))
        if chosen:
            await self._carry_out(prune.deed(chosen))
            self.feed.touch()

    # --- terminals

    def action_shell(self, kind: Kind, new: bool = False) -> None:
        """Go to a terminal into the container under the cursor; `new` opens another one."""
        if self.kind == "containers" and self.table("containers").current is not None:
            self.detail.open("shell")
            self.call_after_refresh(self._open_shell, kind, new)

    async def _open_shell(self, kind: Kind, new: bool) -> None:
        shell = self.query_one(Shell)
        if await shell.open(kind, new=new):
            shell.focus()

    async def action_fullscreen(self) -> None:
        """Give the real terminal to the container's shell, until ctrl+]; elsewhere, zoom."""
        shell = self.query_one(Shell)
        if self.kind != "containers" or self.detail.tab != "shell":
            self.action_zoom()
            return
        if shell.session is None or shell.session.over:
            await shell.open("exec")
        session = shell.session
        if session is None or session.over:
            return
        summary = self.model.container(session.container)
        name = container_name(summary) if summary else ""
        trouble = await Passthrough(session, name).run(self.app)
        session.resize(shell.size.width, shell.size.height)
        shell.show(session)
        if trouble:
            self.complain(trouble)

    def on_terminal_released(self) -> None:
        """ctrl+]: the keyboard goes back to the list."""
        self.query_one(Shell).release()
        self.remove_class("-zoomed")
        self.table(self.kind).focus()

    def action_end_session(self) -> None:
        """End the shown terminal session."""
        if self.detail.tab == "shell":
            self.query_one(Shell).end()

    # --- pull

    @work
    async def pull_dialog(self) -> None:
        """Ask what to pull, then pull it."""
        reference = await self.app.push_screen_wait(AskImage())
        if reference:
            await self.pull(reference).wait()

    def pull(self, reference: str) -> Worker[bool]:
        """Pull in the background, the progress shown over the screen; whether it worked."""
        return self._pull(reference)

    @work
    async def _pull(self, reference: str) -> bool:
        pull = Pull(reference)
        self.pulls[reference] = pull
        self.tell(f"bay pull {reference}")
        self.app.push_screen(Progress(pull))
        try:
            await pull.run(self.source)
        finally:
            self.pulls.pop(reference, None)
            self.redraw("images")
        if pull.error:
            self.complain(pull.error, f"Pulling {reference} failed")
            return False
        self.notify(f"{reference} is here", title="Pulled", markup=False)
        self.feed.touch("images")
        return True

    # --- run

    @work
    async def action_run(self) -> None:
        """Ask what to run, then run it: pulled if it is not here, shown when it is up."""
        names = [name for one in self.model.images for name in one.get("RepoTags") or []]
        row = self.table(self.kind).current
        image = ""
        if self.kind == "images" and row is not None:
            identifier, _, name = row.id.partition(" ")
            image = name or identifier.removeprefix("sha256:")[:12]
        networks = [str(one["Name"]) for one in self.model.networks]
        spec = await self.app.push_screen_wait(Run(image, names, networks))
        if spec is not None:
            try:
                await self._run(spec)
            except BayError as error:
                self.complain(error, "Run failed")

    async def _run(self, spec: RunSpec) -> None:
        shell = self.query_one(Shell)
        size = (max(20, shell.size.width or 80), max(5, shell.size.height or 24))
        body, query = spec.request(size), {"name": spec.name.strip() or None}
        self.tell(spec.line())
        try:
            reply = await self.source.call("POST", "/containers/create", query, body)
        except NotFoundError as error:
            if "image" not in str(error).lower() or not await self.pull(spec.image.strip()).wait():
                raise
            reply = await self.source.call("POST", "/containers/create", query, body)
        identifier = reply["Id"]
        for warning in reply.get("Warnings") or []:
            self.notify(str(warning), severity="warning", markup=False)
        if not spec.terminal:
            self.go_to("containers", identifier)
            await self.source.post(f"/containers/{identifier}/start")
            return
        # Attached before it starts, so that its first bytes are seen.
        self.feed.touch("containers")
        self.go_to("containers", identifier)
        self.detail.show("containers", identifier)
        self.detail.open("shell")
        await shell.run(identifier)
        shell.focus()

    def action_copy(self) -> None:
        """Copy the full id, by the terminal's own clipboard (OSC 52), so over SSH too."""
        row = self.table(self.kind).current
        if row is not None:
            identifier, _, name = row.id.partition(" ")
            self.app.copy_to_clipboard(name or identifier)
            self.notify(f"Copied {name or identifier[:12]}", markup=False)
