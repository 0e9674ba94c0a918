"""The database keeps all of a transaction or nothing, and migrates once."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from bayplan.core.roster import Roster
from bayplan.host.errors import BayError, NoSpaceError
from bayplan.storage.db import Database


@pytest.fixture
def db(tmp_path: Path) -> Iterator[Database]:
    db = Database(tmp_path / "test.db")
    db.migrate("t", ["CREATE TABLE t (a INT PRIMARY KEY)"])
    yield db
    db.close()


def rows(db: Database) -> list[int]:
    return [row[0] for row in db.execute("SELECT a FROM t ORDER BY a")]


def test_a_transaction_that_raises_leaves_nothing(db: Database) -> None:
    with pytest.raises(RuntimeError), db.transaction():
        db.execute("INSERT INTO t VALUES (?)", 1)
        raise RuntimeError
    assert rows(db) == []


def test_an_inner_one_undoes_only_itself(db: Database) -> None:
    with db.transaction():
        db.execute("INSERT INTO t VALUES (1)")
        with pytest.raises(RuntimeError), db.transaction():
            db.execute("INSERT INTO t VALUES (2)")
            raise RuntimeError
        with db.transaction():
            db.execute("INSERT INTO t VALUES (3)")
    assert rows(db) == [1, 3]


def test_an_outer_one_undoes_the_inner_ones(db: Database) -> None:
    with pytest.raises(RuntimeError), db.transaction():
        with db.transaction():
            db.execute("INSERT INTO t VALUES (2)")
        raise RuntimeError
    assert rows(db) == []


def test_steps_run_once_and_in_order(db: Database) -> None:
    steps = ["CREATE TABLE u (a INT)", "INSERT INTO u VALUES (1)"]
    db.migrate("u", steps[:1])
    db.migrate("u", steps)
    db.migrate("u", steps)
    assert db.execute("SELECT a FROM u") == [(1,)]


def test_a_failing_step_keeps_none(db: Database) -> None:
    with pytest.raises(Exception, match="nonsense"):
        db.migrate("v", ["CREATE TABLE v (a INT)", "nonsense"])
    assert db.execute("SELECT name FROM sqlite_master WHERE name='v'") == []
    db.migrate("v", ["CREATE TABLE v (a INT)"])


def test_threads_take_turns(db: Database) -> None:
    db.execute("INSERT INTO t VALUES (0)")

    def add() -> None:
        for _ in range(100):
            with db.transaction():
                (value,) = rows(db)
                db.execute("UPDATE t SET a=?", value + 1)

    threads = [threading.Thread(target=add) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert rows(db) == [400]


def test_what_is_committed_is_there_after_the_next_open(tmp_path: Path) -> None:
    path = tmp_path / "again.db"
    first = Database(path)
    first.migrate("t", ["CREATE TABLE t (a INT)"])
    first.execute("INSERT INTO t VALUES (5)")
    first.close()
    second = Database(path)
    assert second.execute("SELECT a FROM t") == [(5,)]
    second.close()


def test_a_file_that_is_no_database_is_told(tmp_path: Path) -> None:
    (tmp_path / "x.db").write_bytes(b"no database" * 1000)
    with pytest.raises(BayError, match=r"cannot use the engine's database .*/x\.db: "):
        Database(tmp_path / "x.db")


def test_a_full_disk_is_told_and_keeps_the_transaction_whole(db: Database) -> None:
    db.execute("CREATE TABLE b (x BLOB)")
    (pages,) = db.execute("PRAGMA page_count")[0]
    db.execute(f"PRAGMA max_page_count={pages + 2}")
    with pytest.raises(NoSpaceError), db.transaction():
        for _ in range(100):
            db.execute("INSERT INTO b VALUES (?)", bytes(10_000))
    assert db.execute("SELECT count(*) FROM b") == [(0,)]


def test_nobody_else_can_read_it(tmp_path: Path) -> None:
    """Containers' rows have their variables: its files are the engine's alone."""
    (tmp_path / "open.db").touch(mode=0o644)
    database = Database(tmp_path / "open.db")
    database.migrate("t", ["CREATE TABLE t (a INT)"])
    assert {path.stat().st_mode & 0o777 for path in tmp_path.iterdir()} == {0o600}
    assert len(list(tmp_path.iterdir())) == 3
    database.close()


def test_a_newer_versions_file_is_left_alone(db: Database) -> None:
    """Going back a version neither runs steps again later nor forgets that they were run."""
    db.migrate("u", ["CREATE TABLE u (a INT)", "CREATE TABLE v (a INT)"])
    with pytest.raises(BayError, match="newer version"):
        db.migrate("u", ["CREATE TABLE u (a INT)"])
    db.migrate("u", ["CREATE TABLE u (a INT)", "CREATE TABLE v (a INT)"])


def test_what_is_no_database_is_told_in_a_sentence(tmp_path: Path) -> None:
    (tmp_path / "x.db").write_bytes(b"nonsense" * 1000)
    with pytest.raises(BayError, match="cannot use the engine's database"):
        Database(tmp_path / "x.db")


def test_the_log_has_its_room_beforehand(tmp_path: Path) -> None:
    """A full disk takes what stops and removes containers; see test_images_full.py."""
    database = Database(tmp_path / "room.db")
    before = (tmp_path / "room.db-wal").stat()
    assert before.st_blocks * 512 >= 1000 * 4096
    database.migrate("t", ["CREATE TABLE t (a TEXT)"])
    for number in range(300):
        database.execute("INSERT INTO t VALUES (?)", str(number) * 1000)
    assert (tmp_path / "room.db-wal").stat().st_size == before.st_size
    assert len(database.execute("SELECT a FROM t")) == 300
    database.close()
    again = Database(tmp_path / "room.db")
    assert len(again.execute("SELECT a FROM t")) == 300
    again.close()


@pytest.mark.parametrize("body", ["{broken", "[]", "{}"])
def test_a_damaged_row_is_named(tmp_path: Path, body: str) -> None:
    """No traceback; and no container that is taken for none, whose files would be cleared away."""
    database = Database(tmp_path / "bay.db")
    roster = Roster(database, tmp_path)
    roster.load()
    database.execute("INSERT INTO containers (id, name, body) VALUES ('aa', 'web', ?)", body)
    with pytest.raises(BayError, match=r"the row of container web .* is damaged"):
        roster.load()
    database.close()
