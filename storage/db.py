"""The engine's database: one SQLite file, one connection, one writer.

apsw brings its own SQLite: the system's 3.40 can corrupt a WAL database under two connections
(sqlite.org/wal.html, "the WAL-reset bug"). There is one connection here anyway, and a lock.
"""

from __future__ import annotations

import contextlib
import os
import threading
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import apsw

from ..host.errors import BayError, NoSpaceError

# 1000 pages of 4 KiB, SQLite's wal_autocheckpoint, with their headers and some more.
_LOG_SIZE = 5 << 20


class Database:
    """`bay.db`. Thread-safe; every write is in a `BEGIN IMMEDIATE` transaction.

    `synchronous=NORMAL` in WAL mode: kill -9 loses nothing, a power cut may lose the last
    transactions but never leaves half of one. What must not be lost with them (volumes) is
    found again on disk at open.
    """

    def __init__(self, path: Path) -> None:
        self._lock = threading.RLock()
        self._depth = 0
        self._after: list[Callable[[], None]] = []
        self._undo: list[Callable[[], None]] = []
        _close_to_others(path)
        self._path = path
        with _explained(path):
            self._connection = apsw.Connection(str(path))
        self._connection.set_busy_timeout(30_000)
        for pragma in ("journal_mode=WAL", "synchronous=NORMAL", "foreign_keys=ON"):
            self.execute(f"PRAGMA {pragma}")
        with self.transaction():
            self.execute(
                "CREATE TABLE IF NOT EXISTS versions (owner TEXT PRIMARY KEY, version INT)"
            )
        _reserve(path)

    def execute(self, sql: str, *args: Any) -> list[tuple[Any, ...]]:
        """Run one statement with `?` parameters; its rows."""
        with self._lock, _explained(self._path):
            return list(self._connection.execute(sql, args))

    @contextlib.contextmanager
    def transaction(self) -> Iterator[None]:
        """All or nothing. Reentrant: an inner one that raises undoes only itself."""
        with self._lock:
            outer = self._depth == 0
            behind, undone = len(self._after), len(self._undo)
            committed: list[Callable[[], None]] = []
            mark = f"level{self._depth}"
            with _explained(self._path):
                self._connection.execute("BEGIN IMMEDIATE" if outer else f"SAVEPOINT {mark}")
            self._depth += 1
            try:
                yield
                with _explained(self._path):
                    self._connection.execute("COMMIT" if outer else f"RELEASE {mark}")
                if outer:
                    committed, self._after, self._undo = self._after, [], []
            except BaseException:
                self._after = self._after[:behind]
                # SQLite may have rolled back by itself, on a full disk for one.
                if not self._connection.in_transaction:
                    pass
                elif outer:
                    self._connection.execute("ROLLBACK")
                else:
                    self._connection.execute(f"ROLLBACK TO {mark}; RELEASE {mark}")
                acts, self._undo = self._undo[undone:], self._undo[:undone]
                for act in reversed(acts):
                    act()
                raise
            finally:
                self._depth -= 1
            # Still locked: what comes after, the same layer unpacked anew, finds its place empty.
            for act in committed:
                act()

    def after_commit(self, act: Callable[[], None]) -> None:
        """Call `act` once all transactions around this are committed; never, if one is undone.

        At once outside of any. So a row goes before the files it speaks of.
        """
        with self._lock:
            if self._depth:
                self._after.append(act)
                return
        act()

    def after_undo(self, act: Callable[[], None]) -> None:
        """Call `act`, still locked, should a transaction around this be undone, its end included.

        For what was done beside the rows that go: nobody sees the one without the other.
        """
        with self._lock:
            self._undo.append(act)

    def migrate(self, owner: str, steps: Sequence[str]) -> None:
        """Bring `owner`'s tables up to date: run each step (SQL script) not run before, once.

        Steps are only ever appended. Raises apsw.Error when one fails; then none was kept.
        BayError for a file that a newer version has changed. Nothing is written when all was run:
        an engine must come up on a full disk, or nobody could make room.
        """
        with self.transaction():
            rows = self.execute("SELECT version FROM versions WHERE owner=?", owner)
            done = rows[0][0] if rows else 0
            if done > len(steps):
                raise BayError(
                    f"the engine's database is a newer version's ({owner} {done}, this one knows"
                    f" {len(steps)}): run that version, or choose another --root"
                )
            if done == len(steps):
                return
            for step in steps[done:]:
                with _explained(self._path):
                    self._connection.execute(step)
            self.execute("INSERT OR REPLACE INTO versions VALUES (?,?)", owner, len(steps))

    def close(self) -> None:
        """Close the file; the WAL is folded into it."""
        with self._lock:
            self._connection.close()


def _reserve(path: Path) -> None:
    """Have the whole write-ahead log on the disk, as large as it gets between two checkpoints.

    So what is written to it needs no room: on a full disk containers can be stopped and removed.
    """
    with contextlib.suppress(OSError):
        fd = os.open(path.with_name(f"{path.name}-wal"), os.O_RDWR | os.O_CLOEXEC)
        try:
            os.posix_fallocate(fd, 0, _LOG_SIZE)
        finally:
            os.close(fd)


def _close_to_others(path: Path) -> None:
    """Mode 0600 for the file, and with it for those SQLite puts beside it: containers' rows have
    their variables, which may be secrets.
    """
    os.close(os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600))
    for one in (path, path.with_name(f"{path.name}-wal"), path.with_name(f"{path.name}-shm")):
        with contextlib.suppress(FileNotFoundError):
            os.chmod(one, 0o600)


@contextlib.contextmanager
def _explained(path: Path) -> Iterator[None]:
    """SQLite's failures of the disk in this project's words; mistakes in SQL stay as they are."""
    try:
        yield
    except apsw.FullError as error:
        full = f"cannot write the engine's database: no space left on disk ({path})"
        raise NoSpaceError(full) from error
    except (
        *(apsw.IOError, apsw.CorruptError, apsw.NotADBError, apsw.ReadOnlyError),
        *(apsw.CantOpenError, apsw.BusyError, apsw.PermissionsError),
    ) as error:
        # SQLite says "disk I/O error" of a disk that the kernel writes to no more.
        reason = "its file system is read-only" if _is_read_only(path) else error
        raise BayError(f"cannot use the engine's database {path}: {reason}") from error


def _is_read_only(path: Path) -> bool:
    with contextlib.suppress(OSError):
        return bool(os.statvfs(path).f_flag & os.ST_RDONLY)
    return False
