"""The SQLite database: the contract, and what only this implementation promises."""

from __future__ import annotations

import asyncio
import fcntl
import itertools
import os
import threading
from concurrent.futures import ThreadPoolExecutor, wait
from pathlib import Path

import apsw
import pytest

from contract.database_suite import DatabaseSuite, in_loop, names, put
from s3al.errors import ConfigError, IntegrityError, StoreError
from s3al.store import sqlite_file
from s3al.store.checkpoint import Outcome, checkpoint
from s3al.store.database import Rows
from s3al.store.group_commit import TURN_OPERATIONS
from s3al.store.layout import StoreFolder
from s3al.store.sqlite import SqliteDatabase
from s3al.store.sqlite_file import backup, connect

from .conftest import KEY

OTHER_KEY = bytes(range(1, 33))


class TestSqliteDatabase(DatabaseSuite):
    @pytest.fixture(autouse=True)
    def place(self, tmp_path: Path) -> None:
        self.path, self.locks = tmp_path / "catalog.db", tmp_path
        connection = connect(self.path, KEY, create=True)
        connection.execute("CREATE TABLE notes (name TEXT PRIMARY KEY, value BLOB)")
        connection.close()

    def open_database(self) -> SqliteDatabase:
        return SqliteDatabase(self.path, KEY, self.locks)


def filled(path: Path, count: int = 200) -> None:
    connection = connect(path, KEY, create=True)
    connection.execute("CREATE TABLE notes (name TEXT PRIMARY KEY, value BLOB)")
    for number in range(count):
        connection.execute("INSERT INTO notes VALUES (?, ?)", (f"{number:05}", os.urandom(1000)))
    connection.close()


def flip(path: Path, offset: int) -> None:
    content = bytearray(path.read_bytes())
    content[offset] ^= 1
    path.write_bytes(content)


def read_all(path: Path, key: bytes) -> None:
    connection = connect(path, key)
    try:
        connection.execute("SELECT sum(length(value)) FROM notes").fetchall()
    except apsw.Error as error:
        raise sqlite_file.translated(error) from error
    finally:
        connection.close()


def test_a_wrong_key_is_told_from_a_damaged_file(tmp_path: Path) -> None:
    path = tmp_path / "catalog.db"
    filled(path)
    with pytest.raises(ConfigError, match="another key"):
        read_all(path, OTHER_KEY)
    flip(path, 200)
    with pytest.raises(IntegrityError):
        read_all(path, KEY)
    with pytest.raises(ConfigError, match="another key"):
        read_all(path, OTHER_KEY)


@pytest.mark.parametrize("page", range(1, 60, 7))
def test_an_altered_page_is_never_read(tmp_path: Path, page: int) -> None:
    path = tmp_path / "catalog.db"
    filled(path)
    flip(path, 4096 * page + 1234)
    with pytest.raises(IntegrityError):
        read_all(path, KEY)


def test_a_truncated_file_is_noticed(tmp_path: Path) -> None:
    path = tmp_path / "catalog.db"
    filled(path)
    os.truncate(path, path.stat().st_size // 2 // 4096 * 4096)
    with pytest.raises(IntegrityError):
        read_all(path, KEY)


@pytest.mark.parametrize("cause", ["missing", "empty folder"])
def test_a_missing_file_is_not_made_unless_asked(tmp_path: Path, cause: str) -> None:
    path = tmp_path / "catalog.db" if cause == "missing" else tmp_path / "none" / "catalog.db"
    with pytest.raises(ConfigError):
        connect(path, KEY)
    assert list(tmp_path.iterdir()) == []


def test_every_connection_has_the_settings_it_asked_for(tmp_path: Path) -> None:
    connection = connect(tmp_path / "catalog.db", KEY, create=True)
    found = {
        name: connection.pragma(name) for name in ("cipher", "journal_mode", "synchronous", "temp_store", "page_size")
    }
    assert found == {
        "cipher": "aegis",
        "journal_mode": "wal",
        "synchronous": 2,
        "temp_store": 2,
        "page_size": 4096,
    }
    connection.close()


def test_a_build_without_encryption_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sqlite_file._EXPECTED, "cipher", "something else")
    with pytest.raises(ConfigError, match="refused cipher"):
        connect(tmp_path / "catalog.db", KEY, create=True)


def test_files_are_private_and_hold_no_plaintext(tmp_path: Path) -> None:
    path = tmp_path / "catalog.db"
    connection = connect(path, KEY, create=True)
    connection.execute("CREATE TABLE notes (name TEXT PRIMARY KEY, value BLOB)")
    connection.execute(
        "INSERT INTO notes VALUES (?, ?)", ("a name that must not be seen", b"a body that must not be seen")
    )
    files = sorted(tmp_path.iterdir())
    assert [file.name for file in files] == ["catalog.db", "catalog.db-shm", "catalog.db-wal"]
    for file in files:
        assert file.stat().st_mode & 0o777 == 0o600
        for secret in (b"must not be seen", b"notes", b"CREATE TABLE", KEY, KEY.hex().encode()):
            assert secret not in file.read_bytes()
    connection.close()
    assert b"must not be seen" not in path.read_bytes()


def test_nothing_about_the_key_is_in_repr_or_errors(folder: StoreFolder, database: SqliteDatabase) -> None:
    assert KEY.hex() not in repr(database)
    with pytest.raises(ConfigError) as caught:
        connect(folder.catalog, OTHER_KEY)
    error: BaseException | None = caught.value
    while error is not None:
        assert OTHER_KEY.hex() not in f"{error!r}{vars(error)}"
        error = error.__cause__


def test_a_backup_is_whole_and_encrypted_under_its_own_key(tmp_path: Path) -> None:
    path, copy = tmp_path / "catalog.db", tmp_path / "copy.db"
    filled(path)
    source = connect(path, KEY)
    backup(source, copy, OTHER_KEY)
    source.close()
    with pytest.raises(ConfigError):
        connect(copy, KEY)
    opened = connect(copy, OTHER_KEY)
    assert opened.execute("SELECT count(*) FROM notes").fetchall() == [(200,)]
    assert opened.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
    opened.close()
    assert copy.read_bytes()[:16] != path.read_bytes()[:16]


def test_a_database_backs_itself_up_while_it_is_written_to(
    folder: StoreFolder, database: SqliteDatabase, tmp_path: Path
) -> None:
    database.write_now(lambda rows: rows.run("INSERT INTO meta (name, value) VALUES ('a', '1')"))
    database.backup(tmp_path / "copy.db", OTHER_KEY)
    database.write_now(lambda rows: rows.run("INSERT INTO meta (name, value) VALUES ('b', '1')"))
    copy = SqliteDatabase(tmp_path / "copy.db", OTHER_KEY, folder.locks)
    assert copy.read_now(lambda rows: rows.all("SELECT name FROM meta WHERE name IN ('a', 'b')")) == [("a",)]
    copy.close()


def test_verification_reads_every_page_in_use(tmp_path: Path) -> None:
    path = tmp_path / "catalog.db"
    filled(path)
    database = SqliteDatabase(path, KEY, tmp_path)
    assert database.verify() == []
    database.close()
    pages = path.stat().st_size // 4096
    for page in range(pages // 2, pages, 13):
        flip(path, 4096 * page + 2000)
        database = SqliteDatabase(path, KEY, tmp_path)
        with pytest.raises(IntegrityError):
            database.verify()
        database.close()
        flip(path, 4096 * page + 2000)


def test_lock_files_that_cannot_be_opened_are_a_store_error(folder: StoreFolder, tmp_path: Path) -> None:
    with pytest.raises(StoreError, match="lock files"):
        SqliteDatabase(folder.catalog, KEY, tmp_path / "nowhere")


def test_a_read_inside_a_read_sees_the_same_snapshot(database: SqliteDatabase) -> None:
    """For a key that a read turns out to need."""
    found: list[object] = []

    def outer(rows: Rows) -> None:
        database.read_now(lambda inner: found.append(inner is rows))

    database.read_now(outer)
    assert found == [True]
    assert database.read_now(lambda rows: rows.one("SELECT 1")) == (1,)


def test_closing_breaks_off_a_read_of_another_thread(folder: StoreFolder) -> None:
    database = SqliteDatabase(folder.catalog, KEY, folder.locks)
    begun = threading.Event()
    seconds_long = (
        "WITH RECURSIVE n(x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM n LIMIT 30000000) SELECT count(*) FROM n"
    )

    def read(rows: Rows) -> None:
        begun.set()
        rows.one(seconds_long)

    with ThreadPoolExecutor(1) as thread:
        reading = thread.submit(database.read_now, read)
        assert begun.wait(30)
        database.close()
        with pytest.raises(StoreError, match="Interrupt") as failed:
            reading.result(30)
        assert failed.value.retryable
        with pytest.raises(StoreError, match="closed"):
            thread.submit(database.read_now, read).result(30)


def test_closing_waits_for_a_read_that_is_between_two_statements(folder: StoreFolder) -> None:
    database = SqliteDatabase(folder.catalog, KEY, folder.locks)
    between, proceed = threading.Event(), threading.Event()

    def read(rows: Rows) -> tuple[object, object]:
        first = rows.one("SELECT 1")
        between.set()
        assert proceed.wait(30)
        return first, rows.one("SELECT 2")

    with ThreadPoolExecutor(2) as threads:
        reading = threads.submit(database.read_now, read)
        assert between.wait(30)
        closing = threads.submit(database.close)
        assert not wait([closing], timeout=0.1).done
        proceed.set()
        assert reading.result(30) == ((1,), (2,))
        closing.result(30)


@in_loop
async def test_waiting_writes_share_one_commit(database: SqliteDatabase) -> None:
    """Counted by the WAL, which holds one more copy of a page for each commit that changed it."""
    inside, proceed = threading.Event(), threading.Event()

    def hold(_: Rows) -> None:
        inside.set()
        proceed.wait(30)

    def add(rows: Rows) -> int:
        counted = rows.one("UPDATE change_counter SET value = value + 1 RETURNING value")
        assert counted
        return int(counted[0])

    await database.write(add)
    first = asyncio.create_task(database.write(hold))
    await asyncio.to_thread(inside.wait, 30)
    before = wal_bytes(database)
    writes = [asyncio.create_task(database.write(add)) for _ in range(3 * TURN_OPERATIONS)]
    await asyncio.sleep(0)
    proceed.set()
    values = await asyncio.gather(*writes)
    await first
    assert values == list(itertools.islice(itertools.count(values[0]), len(values)))
    turns = (wal_bytes(database) - before) / 4120
    assert 3 <= turns <= len(values) / 4


def wal_bytes(database: SqliteDatabase) -> int:
    return database._path.with_name("catalog.db-wal").stat().st_size


def test_a_checkpoint_lets_the_wal_begin_anew(folder: StoreFolder, database: SqliteDatabase) -> None:
    connection = connect(folder.catalog, KEY)
    for round_number in range(6):
        for number in range(20):
            name = f"{round_number}-{number}"
            database.write_now(lambda rows, name=name: rows.run("INSERT INTO meta VALUES (?, ?)", (name, "x" * 20_000)))
        assert checkpoint(connection, folder.locks) is Outcome.DONE
    connection.close()
    assert wal_bytes(database) < 3 * 20 * 10 * 4120
    assert database.read_now(lambda rows: rows.one("SELECT count(*) FROM meta WHERE length(value) = 20000")) == (120,)


def test_a_checkpoint_gives_way_to_another_and_to_a_long_reader(folder: StoreFolder, database: SqliteDatabase) -> None:
    connection, reader = connect(folder.catalog, KEY), connect(folder.catalog, KEY)
    reader.execute("BEGIN")
    reader.execute("SELECT * FROM meta").fetchall()
    database.write_now(lambda rows: rows.run("INSERT INTO meta VALUES ('after', 'the snapshot')"))
    assert checkpoint(connection, folder.locks) is Outcome.HELD_UP
    assert reader.execute("SELECT count(*) FROM meta WHERE name = 'after'").fetchall() == [(0,)]
    reader.close()
    lock = os.open(folder.locks / "checkpoint", os.O_RDWR)
    fcntl.flock(lock, fcntl.LOCK_EX)
    assert checkpoint(connection, folder.locks) is Outcome.ELSEWHERE
    os.close(lock)
    connection.close()


def test_for_a_small_wal_no_writer_has_to_wait(folder: StoreFolder, database: SqliteDatabase) -> None:
    """The reader would hold up a restart of the WAL; none is tried."""
    connection, reader = connect(folder.catalog, KEY), connect(folder.catalog, KEY)
    reader.execute("BEGIN")
    reader.execute("SELECT * FROM meta").fetchall()
    database.write_now(lambda rows: rows.run("INSERT INTO meta VALUES ('a', 'b')"))
    assert checkpoint(connection, folder.locks) is Outcome.HELD_UP
    assert checkpoint(connection, folder.locks, least_pages=1000) is Outcome.DONE
    reader.close()
    connection.close()


def test_a_write_inside_a_write_is_refused(database: SqliteDatabase) -> None:
    def outer(_: Rows) -> None:
        database.write_now(lambda rows: rows.one("SELECT 1"))

    with pytest.raises(RuntimeError):
        database.write_now(outer)


def test_a_constraint_that_fails_is_not_retryable(database: SqliteDatabase) -> None:
    with pytest.raises(StoreError) as caught:
        database.write_now(lambda rows: rows.run("INSERT INTO change_counter VALUES (1, 1)"))
    assert not caught.value.retryable


def test_a_put_of_the_suite_is_seen(tmp_path: Path) -> None:
    """The suite's helpers do what their names say."""
    connection = apsw.Connection(":memory:")
    connection.execute("CREATE TABLE notes (name TEXT PRIMARY KEY, value BLOB)")
    from s3al.store.sqlite import SqliteRows

    rows = SqliteRows(connection)
    assert put(rows, "a") == 1
    assert names(rows) == ["a"]
    connection.close()
