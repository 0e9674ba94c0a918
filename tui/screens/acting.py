"""What the main screen does to things: verbs, questions, terminals, runs, clean-ups, undo."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any, TypeVar

from textual import work
from textual.screen import ModalScreen
from textual.worker import Worker

from ...host.errors import BayError, NotFoundError
from .. import forms, projects, prune, verbs
from ..deeds import carry_out
from ..dialing import Dialer
from ..feed import Feed
from ..frames import Framed
from ..model import Json, Model, container_name
from ..passthrough import Passthrough
from ..runspec import RunSpec
from ..session import Kind
from ..settings import Settings
from ..source import Source
from ..verbs import Deed
from ..widgets.detail import Detail
from ..widgets.shell import Shell
from ..widgets.table import Table
from .confirm import Confirm
from .prune import Prune
from .run import Run

if TYPE_CHECKING:
    from ..forms import Form


Answer = TypeVar("Answer")


class Acting(Framed):
    """The half of the main screen that changes the engine's world; the other half shows it."""

    source: Source
    model: Model
    feed: Feed
    kind: str
    last_command: str
    settings: Settings
    dialer: Dialer

    def __init__(self) -> None:
        super().__init__()
        self._undo: list[Deed] = []
        self._under_way: set[asyncio.Future[list[str]]] = set()

    def table(self, kind: str) -> Table:
        """The list of `kind`."""
        return self.query_one(f"#{kind}", Table)

    @property
    def detail(self) -> Detail:
        """The pane about the chosen object."""
        return self.query_one(Detail)

    @property
    def shell(self) -> Shell:
        """The terminals into the containers."""
        return self.detail.query_one(Shell)

    def under_cursor(self, kind: str) -> str:
        """The id of what the cursor stands on in the list `kind`, "" for nothing."""
        row = self.table(kind).current
        return row.id if row is not None else ""

    def chosen(self, kind: str) -> list[str]:
        """The ids of what is marked in a list, else of what the cursor stands on."""
        return self.table(kind).chosen

    def logged(self, kind: str) -> list[str]:
        """The ids of what has one log: what is marked, else what the cursor stands on."""
        return self.chosen(kind)

    async def ask(self, dialog: ModalScreen[Answer]) -> Answer | None:
        """Show a dialog; its answer."""
        return await self.app.push_screen_wait(dialog)

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

    def refused(self) -> bool:
        """Whether this is a read-only screen, which is then said."""
        if self.source.read_only:
            self.notify("This screen is read-only.", severity="warning")
        return self.source.read_only

    # --- verbs

    def _targets(self) -> list[Json]:
        found = [self.model.container(one) for one in self.chosen("containers")]
        return [one for one in found if one is not None]

    def action_do(self, verb: str) -> None:
        """Do `verb` to what is marked, or to what the cursor stands on."""
        if self.refused():
            return
        deed = self._deed(verb)
        if deed is not None:
            self.do(deed)
        elif self.kind == "containers" and (found := self._targets()):
            one = f"{container_name(found[0])} is {found[0]['State']}"
            who = one if len(found) == 1 else f"None of these {len(found)} is in a state for it"
            self.notify(f"{who}: nothing to {verb}.", severity="warning", markup=False)

    def _deed(self, verb: str) -> Deed | None:
        if self.kind == "containers":
            return verbs.container(verb, self._targets())
        if self.kind == "projects":
            found = [projects.find(self.model, one) for one in self.chosen("projects")]
            deeds = [projects.deed(verb, one, self.model) for one in found if one is not None]
            return verbs.together([one for one in deeds if one is not None])
        if verb == "remove":
            return verbs.remove_other(self.kind, self.chosen(self.kind), self.model)
        return None

    @work
    async def do(self, deed: Deed) -> None:
        """Ask if something is lost by it, then carry it out and say what failed."""
        asked = deed.title.lower() in self.settings.confirm
        deed = verbs.questioned(deed) if asked else deed
        if deed.question and not asked:
            deed = verbs.with_options(deed, {name: on for name, _, on in deed.options})
        elif deed.question:
            answer = await self.ask(Confirm(deed))
            if answer is None:
                return
            deed = verbs.with_options(deed, answer)
        await self._carry_out(deed)

    async def _carry_out(self, deed: Deed) -> list[str]:
        self.table(self.kind).clear_marks()
        self.tell(deed.command)
        under_way = asyncio.ensure_future(self._perform(deed))
        self._under_way.add(under_way)
        under_way.add_done_callback(self._under_way.discard)
        failed = await under_way
        if deed.undo is not None and len(failed) < len(deed.steps):
            self._undo.append(deed.undo)
        for text in failed[:3]:
            self.complain(text, f"{deed.title} failed")
        if len(failed) > 3:
            self.complain(f"and {len(failed) - 3} more")
        return failed

    async def _perform(self, deed: Deed) -> list[str]:
        """Send the steps of a deed; the sentences of those that failed."""
        return await carry_out(deed, self.source, self.model, lambda: self.redraw("containers"))

    @work
    async def action_undo(self) -> None:
        """Take back what was done last, where the engine can."""
        if self.refused():
            return
        while self._under_way:  # an effect is seen before its reply is
            await asyncio.wait(self._under_way)
            await asyncio.sleep(0)
        if not self._undo:
            self.notify("There is nothing to undo. What was removed is gone.")
            return
        deed = self._undo.pop()
        await self._carry_out(deed)
        self.notify(deed.command, title="Undone by", markup=False)

    async def ask_form(self, form: Form) -> Any:
        """Show a form; what it made, None when it was left."""
        from .form import FormDialog

        return await self.ask(FormDialog(form))

    @work
    async def action_ask(self, about: str) -> None:
        """Ask what `rename`, `commit`, `execute`, `tag`, `connect` or `disconnect` must know."""
        form = None if self.refused() else self._form(about)
        made = await self.ask_form(form) if form is not None else None
        if isinstance(made, forms.Command):
            self.tell(made.command)
            self._open_terminal("exec", made.words, True)
        elif made is not None:
            await self._carry_out(made)
            self.feed.touch()

    def _form(self, about: str) -> Form | None:
        here = self.under_cursor(self.kind)
        container = self.model.container(here) if self.kind == "containers" else None
        network = next((one for one in self.model.networks if one["Id"] == here), None)
        if about == "tag" and here and self.kind == "images":
            return forms.tag(*forms.image_called(here))
        if about in ("connect", "disconnect") and (container or network):
            make = forms.connect if about == "connect" else forms.disconnect
            return make(self.model, container, network)
        if container is None:
            return None
        simple = {"rename": forms.rename, "commit": forms.commit, "execute": forms.execute}
        return simple[about](container) if about in simple else None

    async def _create(self, form: Form) -> None:
        deed = await self.ask_form(form)
        if deed is not None:
            await self._carry_out(deed)
            self.feed.touch("networks", "volumes")

    @work(exclusive=True, group="prune")
    async def action_prune(self) -> None:
        """Show what nobody uses, and remove what of it is chosen."""
        if self.refused():
            return
        try:
            wastes = await prune.look(self.source, self.model)
        except BayError as error:
            self.complain(error)
            return
        chosen = await self.ask(Prune(wastes))
        if chosen:
            deed = prune.deed(chosen)
            failed = await self._carry_out(deed)
            self.notify(prune.result(chosen, failed), title="Cleaned up", markup=False)
            self.feed.touch()

    # --- terminals

    def action_shell(self, kind: Kind, new: bool = False) -> None:
        """Go to a terminal into the container under the cursor; `new` opens another one."""
        if not self.refused():
            self._open_terminal(kind, None, new)

    def _open_terminal(self, kind: Kind, command: list[str] | None, new: bool) -> None:
        if self.kind == "containers" and self.table("containers").current is not None:
            self.detail.open("shell")
            self.call_after_refresh(self._open_shell, kind, command, new)

    async def _open_shell(self, kind: Kind, command: list[str] | None, new: bool) -> None:
        shell = self.shell
        if await shell.open(kind, command, new=new):
            shell.focus()

    async def action_fullscreen(self) -> None:
        """Give the real terminal to the container's shell, until ctrl+]; elsewhere, zoom."""
        shell = self.shell
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
        self.shell.release()
        self.remove_class("-zoomed")
        self.table(self.kind).focus()

    def action_end_session(self) -> None:
        """End the shown terminal session."""
        if self.detail.tab == "shell":
            self.shell.end()

    # --- run

    def pull(self, reference: str) -> Worker[bool]:
        """Pull an image; whether it worked."""
        raise NotImplementedError

    @work
    async def action_new(self) -> None:
        """A new one of what the list has: a container, a network, a volume."""
        if self.refused():
            return
        if self.kind == "networks":
            await self._create(forms.network())
        elif self.kind == "volumes":
            await self._create(forms.volume())
        else:
            await self._ask_run()

    async def _ask_run(self) -> None:
        """Ask what to run, then run it: pulled if it is not here, shown when it is up."""
        names = [name for one in self.model.images for name in one.get("RepoTags") or []]
        here = self.under_cursor(self.kind)
        image = ""
        if self.kind == "images" and here:
            identifier, _, name = here.partition(" ")
            image = name or identifier.removeprefix("sha256:")[:12]
        networks = [str(one["Name"]) for one in self.model.networks]
        spec = await self.ask(Run(image, names, networks))
        if spec is not None:
            try:
                await self._run(spec)
            except BayError as error:
                self.complain(error, "Run failed")

    async def _run(self, spec: RunSpec) -> None:
        shell = self.shell
        body, query = spec.request(shell.room), {"name": spec.name.strip() or None}
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
        here = self.under_cursor(self.kind)
        if here:
            identifier, _, name = here.partition(" ")
            copied = name or identifier
            self.app.copy_to_clipboard(copied)
            self.notify(f"Copied {copied[:40]}", markup=False)
