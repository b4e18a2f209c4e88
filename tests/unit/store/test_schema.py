"""Making, refusing and migrating catalogs."""

from __future__ import annotations

from pathlib import Path

import apsw
import pytest

from s3al.errors import ConfigError, IntegrityError
from s3al.store import catalog, schema
from s3al.store.database import Rows
from s3al.store.layout import StoreFolder, create_folder
from s3al.store.sqlite import SqliteDatabase, SqliteRows
from s3al.store.sqlite_file import connect

from .conftest import KEY


def bucket_names(folder: StoreFolder, path: Path | None = None) -> list[str]:
    database = SqliteDatabase(path or folder.catalog, KEY, folder.locks)
    try:
        return [row[0] for row in database.read_now(lambda rows: rows.all("SELECT name FROM buckets"))]
    finally:
        database.close()


def add_bucket(folder: StoreFolder) -> None:
    database = SqliteDatabase(folder.catalog, KEY, folder.locks)
    database.write_now(
        lambda rows: catalog.create_bucket(rows, catalog.BucketRow(b"B" * 16, "one", "1" * 12, "r", 1))
    )
    database.close()


def add_blob(folder: StoreFolder) -> None:
    inner = folder.blobs / ("0" * 16) / "aa"
    inner.mkdir(parents=True)
    (inner / ("aa" * 16)).touch()


def test_preparing_twice_changes_nothing(folder: StoreFolder) -> None:
    add_bucket(folder)
    schema.prepare(folder, KEY)
    assert bucket_names(folder) == ["one"]
    assert folder.catalog.stat().st_mode & 0o777 == 0o600


@pytest.mark.parametrize("state", ["an empty file", "an empty database"])
def test_a_first_start_killed_halfway_is_taken_up_again(tmp_path: Path, state: str) -> None:
    folder = create_folder(tmp_path / "store")
    if state == "an empty file":
        folder.catalog.touch(mode=0o600)
    else:
        connect(folder.catalog, KEY, create=True).close()
    schema.prepare(folder, KEY)
    assert bucket_names(folder) == []


@pytest.mark.parametrize("state", ["gone", "an empty file", "an empty database"])
def test_a_catalog_gone_from_beside_its_blobs_is_refused(tmp_path: Path, state: str) -> None:
    folder = create_folder(tmp_path / "store")
    add_blob(folder)
    if state == "an empty file":
        folder.catalog.touch(mode=0o600)
    elif state == "an empty database":
        connect(folder.catalog, KEY, create=True).close()
    with pytest.raises(IntegrityError, match="its blobs are there"):
        schema.prepare(folder, KEY)


def test_a_newer_store_is_refused_and_left_as_it_is(folder: StoreFolder) -> None:
    set_format(folder, str(schema.FORMAT + 1))
    before = folder.catalog.read_bytes()
    with pytest.raises(ConfigError, match="this program knows"):
        schema.prepare(folder, KEY)
    assert folder.catalog.read_bytes() == before


@pytest.mark.parametrize("value", ["", "x", "-1"])
def test_a_catalog_that_does_not_say_its_format_is_refused(folder: StoreFolder, value: str) -> None:
    set_format(folder, value)
    with pytest.raises(IntegrityError):
        schema.prepare(folder, KEY)


def set_format(folder: StoreFolder, value: str) -> None:
    connection = connect(folder.catalog, KEY)
    catalog.put_meta(SqliteRows(connection), "format_version", value)
    connection.close()


@pytest.fixture
def older(folder: StoreFolder, monkeypatch: pytest.MonkeyPatch) -> StoreFolder:
    """A store two formats behind the program, whose second step is given by the test."""
    add_bucket(folder)
    monkeypatch.setattr(schema, "FORMAT", schema.FORMAT + 2)
    monkeypatch.setattr(schema, "MIGRATIONS", {schema.FORMAT - 2: first_step, schema.FORMAT - 1: second_step})
    return folder


def first_step(rows: Rows) -> None:
    rows.run("ALTER TABLE buckets ADD COLUMN colour TEXT")


def second_step(rows: Rows) -> None:
    rows.run("UPDATE buckets SET colour = 'red', name = 'migrated'")


def test_an_older_store_is_copied_then_migrated(older: StoreFolder) -> None:
    schema.prepare(older, KEY)
    assert bucket_names(older) == ["migrated"]
    copies = sorted(path.name for path in older.path.glob("catalog.format-*.db"))
    assert copies == [f"catalog.format-{schema.FORMAT - 2}.1.db"]
    assert bucket_names(older, older.path / copies[0]) == ["one"]
    schema.prepare(older, KEY)
    assert len(list(older.path.glob("catalog.format-*.db"))) == 1


def test_a_migration_that_fails_leaves_the_older_store(
    older: StoreFolder, monkeypatch: pytest.MonkeyPatch
) -> None:
    class KilledError(Exception):
        pass

    def killed(rows: Rows) -> None:
        second_step(rows)
        raise KilledError

    with monkeypatch.context() as patched:
        patched.setitem(schema.MIGRATIONS, schema.FORMAT - 1, killed)
        with pytest.raises(KilledError):
            schema.prepare(older, KEY)
    assert bucket_names(older) == ["one"]
    schema.prepare(older, KEY)
    assert bucket_names(older) == ["migrated"]


def test_every_statement_stays_within_the_common_dialect() -> None:
    """What PostgreSQL would not take, after BLOB has become BYTEA."""
    assert len(schema.statements()) > 20
    for statement in schema.statements():
        assert statement.startswith(
            ("CREATE TABLE ", "CREATE INDEX ", "CREATE UNIQUE INDEX ", "INSERT INTO ")
        )
        for word in ("WITHOUT ROWID", "AUTOINCREMENT", "STRICT", "COLLATE", "`"):
            assert word not in statement


def test_tables_that_exist_twice_are_noticed() -> None:
    connection = apsw.Connection(":memory:")
    schema.create_tables(SqliteRows(connection))
    with pytest.raises(apsw.SQLError):
        schema.create_tables(SqliteRows(connection))
    connection.close()
