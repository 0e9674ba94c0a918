"""The journal of containers: every container there is, in memory and in the database.

A change is made in memory and then saved; what a crash leaves behind is what was saved last, and
`core.reconcile` holds it against the world. `phase` says what was under way: "" nothing,
"starting" from before the first mount until the process runs.
"""

from __future__ import annotations

import dataclasses
import json
import re
import threading
from collections.abc import Callable
from pathlib import Path

from ..host.errors import BayError, ConflictError, InvalidError, NotFoundError
from ..host.threads import offload
from ..storage.db import Database
from .types import Container, Json, State

_TABLE = (
    "CREATE TABLE containers (id TEXT PRIMARY KEY, name TEXT NOT NULL UNIQUE, body TEXT NOT NULL)"
)
_JSON = json.JSONEncoder(separators=(",", ":"))
_NAME = re.compile(r"[a-zA-Z0-9][a-zA-Z0-9_.-]+")


class Roster:
    """All containers by id, and who a name or a prefix of an id means."""

    def __init__(self, db: Database, folder: Path) -> None:
        self._db = db
        self._folder = folder
        self._by_id: dict[str, Container] = {}
        self._by_name: dict[str, str] = {}
        # The saves are numbered as they are asked for; the last one written of each container.
        self._number = 0
        self._written: dict[str, int] = {}
        self._writing = threading.Lock()

    def load(self) -> None:
        """Read every row; blocks. Called once, when the engine opens.

        Raises BayError for a row that cannot be read: what nobody knows of is cleared away, and its
        files are not to go that way.
        """
        self._db.migrate("containers", [_TABLE])
        for key, name, body in self._db.execute("SELECT id, name, body FROM containers"):
            try:
                container = _decode(json.loads(body), self._folder / key)
            except (ValueError, TypeError, AttributeError) as error:
                raise BayError(
                    f"the row of container {name} ({key[:12]}) in the engine's database is damaged"
                    f" ({error}): restore bay.db from a copy, or delete that row and with it the"
                    " container"
                ) from error
            container.name = name
            self._by_id[key] = container
            self._by_name[name] = key

    def all(self) -> list[Container]:
        """Every container, oldest first."""
        return sorted(self._by_id.values(), key=lambda container: container.created)

    def ids(self) -> set[str]:
        """The ids of every container."""
        return set(self._by_id)

    def find(self, ref: str) -> Container:
        """The container `ref` means: its full id, its name, or a prefix of one id.

        Raises NotFoundError, or InvalidError when several ids start so.
        """
        name = ref.removeprefix("/")
        if name in self._by_id:
            return self._by_id[name]
        if name in self._by_name:
            return self._by_id[self._by_name[name]]
        if "/" in name and (linked := self._linked(*name.split("/", 1))):
            return linked
        hits = [key for key in self._by_id if key.startswith(name)] if name else []
        if len(hits) == 1:
            return self._by_id[hits[0]]
        if hits:
            raise InvalidError(
                f"Multiple IDs found with provided prefix: {ref}; give more of its digits"
            )
        raise NotFoundError(f"No such container: {ref}")

    def _linked(self, parent: str, alias: str) -> Container | None:
        """What PARENT/ALIAS is, the legacy name that a link on the default bridge gives."""
        owner = self._by_id.get(self._by_name.get(parent, ""))
        for link in (owner.host_config.get("Links") or []) if owner else []:
            target, _, own = str(link).partition(":")
            if own.rpartition("/")[2] == alias:
                return self._by_id.get(target)
        return None

    def get(self, key: str) -> Container | None:
        """The container of that full id, or None."""
        return self._by_id.get(key)

    def check_name(self, name: str) -> None:
        """Raise InvalidError for a bad name, ConflictError for one in use; Docker's words."""
        if not _NAME.fullmatch(name):
            raise InvalidError(
                f"Invalid container name ({name}), only [a-zA-Z0-9][a-zA-Z0-9_.-] are allowed"
            )
        owner = self._by_name.get(name)
        if owner:
            raise ConflictError(
                f'Conflict. The container name "/{name}" is already in use by container "{owner}". '
                "You have to remove (or rename) that container to be able to reuse that name."
            )

    def has_name(self, name: str) -> bool:
        """Whether a container is called `name`."""
        return name in self._by_name

    async def add(self, container: Container) -> None:
        """Write a new container's row. The name is taken from this call on.

        Raises ConflictError or InvalidError for the name.
        """
        self.check_name(container.name)
        self._by_id[container.id] = container
        self._by_name[container.name] = container.id
        try:
            await offload(
                self._db.execute,
                "INSERT INTO containers (id, name, body) VALUES (?, ?, ?)",
                container.id,
                container.name,
                _encode(container),
            )
        except BaseException:
            self._forget(container)
            raise

    async def save(self, container: Container) -> None:
        """Write what has changed of a container; nothing when it is no longer in the journal."""
        if container.id in self._by_id:
            await offload(self.saving(container))

    def saving(self, container: Container) -> Callable[[], None]:
        """`save` of the container as it is now, to be called in a thread before what follows it."""
        self._number += 1
        number, body, key = self._number, _encode(container), container.id

        def write() -> None:
            if key in self._by_id:
                self._write(key, number, body)

        return write

    def _write(self, key: str, number: int, body: str) -> None:
        """Write a body, unless a later one was written already: threads come in any order."""
        with self._writing:
            if number > self._written.get(key, 0):
                self._db.execute("UPDATE containers SET body = ? WHERE id = ?", body, key)
                self._written[key] = number

    async def rename(self, container: Container, name: str) -> None:
        """Give a container another name. Raises ConflictError or InvalidError."""
        self.check_name(name)
        old, container.name = container.name, name
        self._by_name[name] = container.id
        try:
            await offload(
                self._db.execute,
                "UPDATE containers SET name = ?, body = ? WHERE id = ?",
                name,
                _encode(container),
                container.id,
            )
        except BaseException:
            container.name = old
            del self._by_name[name]
            raise
        self._by_name.pop(old, None)

    async def drop(self, container: Container) -> None:
        """Delete a container's row; its name is free again."""
        await offload(self._db.execute, "DELETE FROM containers WHERE id = ?", container.id)
        self._forget(container)

    def _forget(self, container: Container) -> None:
        self._by_id.pop(container.id, None)
        self._written.pop(container.id, None)
        if self._by_name.get(container.name) == container.id:
            del self._by_name[container.name]


def _encode(container: Container) -> str:
    # Not dataclasses.asdict: its deep copy was a fifth of the engine's work for a container.
    body = {**vars(container), "state": vars(container.state)}
    del body["bundle"]
    return _JSON.encode(body)


def _decode(body: Json, bundle: Path) -> Container:
    known = {field.name for field in dataclasses.fields(Container)}
    body = {key: value for key, value in body.items() if key in known}
    known = {field.name for field in dataclasses.fields(State)}
    state = {key: value for key, value in body.pop("state", {}).items() if key in known}
    return Container(**body, state=State(**state), bundle=bundle)
