"""The snapshots of one container's writable layer: taken, rolled back to, branched, removed."""

from __future__ import annotations

from textual import work
from textual.app import ComposeResult
from textual.binding import Binding
from textual.containers import Vertical
from textual.screen import ModalScreen

from ...host import clock
from ...host.errors import BayError
from .. import text, tree
from ..cells import Column, Row, cell
from ..later import Later
from ..model import Json
from ..source import Source
from ..widgets.edges import entitle
from ..widgets.table import Table
from .ask import Ask

COLUMNS = (
    Column("name", "NAME", 10, 24),
    Column("when", "TAKEN", 16),
    Column("size", "SIZE", 5, right=True),
    Column("comment", "COMMENT", 8, 200, rank=1),
)
# How many changes the question before a rollback names.
_LISTED = 6
_MARKS = {"added": "+", "changed": "~", "removed": "-"}
_EMPTY = "No snapshots. Press n to take one."


class Snapshots(ModalScreen[None]):
    """Lists them and acts on the one under the cursor; escape leaves."""

    BINDINGS = [
        Binding("escape,q", "dismiss(None)", "Leave", show=False),
        Binding("n", "take", "Take", show=False),
        Binding("r", "roll_back", "Roll back", show=False),
        Binding("b", "branch", "Branch", show=False),
        Binding("d,delete", "remove", "Remove", show=False),
    ]

    def __init__(self, source: Source, container: str, name: str) -> None:
        super().__init__()
        self._source = source
        self._path = f"/bay/containers/{container}/snapshots"
        self._container = container
        self._called = name
        self._rows: dict[str, Json] = {}

    def compose(self) -> ComposeResult:
        """A list."""
        with Vertical(classes="dialog snapshots"):
            yield Table(COLUMNS, widget_id="snapshots", marks=False)

    def on_mount(self) -> None:
        """Read them."""
        table = self.query_one(Table)
        table.focus()
        keys = "[b]n[/] take · [b]r[/] roll back · [b]b[/] branch · [b]d[/] remove · esc"
        entitle(self.query_one(Vertical), f"Snapshots of {self._called}", keys)
        self.read()

    @work(exclusive=True, group="snapshots")
    async def read(self) -> None:
        """Read the list again."""
        table = self.query_one(Table)
        try:
            found: list[Json] = await self._source.get(self._path)
        except BayError as error:
            table.empty = str(error)
            found = []
        else:
            table.empty = _EMPTY
        self._rows = {str(one["Id"]): one for one in found}
        table.show([_row(one) for one in reversed(found)])

    def _chosen(self) -> Json | None:
        row = self.query_one(Table).current
        return self._rows.get(row.id) if row is not None else None

    def _do(self, done: str, method: str, path: str, body: Json | None = None) -> None:
        self.run_worker(Later(self._done, done, method, path, body), group="do")

    async def _done(self, done: str, method: str, path: str, body: Json | None) -> None:
        try:
            await self._source.call(method, path, None, body)
        except BayError as error:
            self.notify(str(error), severity="error", markup=False, timeout=10)
        else:
            self.notify(done, markup=False)
        self.read()

    def action_take(self) -> None:
        """Ask for a name, then take one; a running container stands still for the copy."""

        def named(name: str | None) -> None:
            if name is not None:
                body = {"Name": name.strip(), "Pause": True}
                self._do("Snapshot taken", "POST", self._path, body)

        question = "Its name; none for snap0, snap1 and so on"
        self.app.push_screen(Ask("Take a snapshot", question), named)

    def action_roll_back(self) -> None:
        """Say what that loses and ask, then put the writable layer back to what it was."""
        one = self._chosen()
        if one is not None:
            self._ask_roll_back(str(one["Name"]))

    @work(exclusive=True, group="preview")
    async def _ask_roll_back(self, name: str) -> None:
        try:
            found: Json = await self._source.get(f"{self._path}/{name}/changes", limit=_LISTED)
        except BayError as error:
            self.notify(str(error), severity="error", markup=False, timeout=10)
            return

        def sure(word: str | None) -> None:
            if word is not None and word.strip() == name:
                done = f"{self._called} is as it was at {name}"
                self._do(done, "POST", f"{self._path}/{name}/rollback")

        question = f"{_preview(found)}\n{self._called} must not run. Type {name} to roll back:"
        self.app.push_screen(Ask("Roll back", question), sure)

    def action_branch(self) -> None:
        """Ask for a name, then make a new container of what was written at that moment."""
        one = self._chosen()
        if one is None:
            return

        def named(name: str | None) -> None:
            if name and name.strip():
                path = f"{self._path}/{one['Name']}/branch"
                self._do(f"{name.strip()} is made", "POST", path, {"Name": name.strip()})

        question = f"A new container with what {self._called} had written at {one['Name']}:"
        name = f"{self._called}-{one['Name']}"
        self.app.push_screen(Ask("Branch", question, name), named)

    def action_remove(self) -> None:
        """Ask, then remove the snapshot."""
        one = self._chosen()
        if one is None:
            return
        name = str(one["Name"])

        def sure(word: str | None) -> None:
            if word is not None and word.strip() == name:
                self._do(f"{name} is gone", "DELETE", f"{self._path}/{name}")

        self.app.push_screen(Ask("Remove", f"Type {name} to remove the snapshot:"), sure)


def _preview(found: Json) -> str:
    """What a rollback loses and brings back, the first of it by name."""
    changes = found["Changes"]
    count = found["Added"] + found["Changed"] + found["Removed"]
    if not count:
        return "Nothing was written since: nothing is lost."
    lines = [
        f"{_MARKS.get(one['Change'], '?')} {text.size(one['Size'] or one['SizeBefore']):>6}"
        f" {one['Path']}" + (f" ({one['Held']} in it)" if one.get("Held") else "")
        for one in changes
    ]
    if count > len(changes):
        lines.append(f"  and {count - len(changes)} more")
    lost, back = text.size(found["SizeLost"]), text.size(found["SizeBack"])
    kinds = f"{found['Added']} added, {found['Changed']} changed, {found['Removed']} removed"
    return "\n".join([f"Since then {kinds}: {lost} lost, {back} back.", *lines])


def _row(one: Json) -> Row:
    cells = {
        "name": cell(str(one["Name"]), "bright"),
        "when": cell(tree.when(clock.to_ns(one["Created"]) / 1e9), ""),
        "size": cell(text.size(one.get("Size") or 0), "bright"),
        "comment": cell(str(one.get("Comment") or ""), "dim"),
    }
    return Row(str(one["Id"]), cells, {})
