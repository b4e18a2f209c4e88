"""Stores for these tests: a whole one in a folder, and bare tables in memory for what only looks at rows."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import apsw
import pytest

from s3al.store import schema
from s3al.store.layout import StoreFolder, create_folder
from s3al.store.sqlite import SqliteDatabase, SqliteRows

KEY = bytes(range(32))


@pytest.fixture
def rows() -> Iterator[SqliteRows]:
    """Rows of an empty store, in memory and unencrypted."""
    connection = apsw.Connection(":memory:")
    rows = SqliteRows(connection)
    schema.create_tables(rows)
    yield rows
    connection.close()


@pytest.fixture
def folder(tmp_path: Path) -> StoreFolder:
    """A new store with its catalog."""
    folder = create_folder(tmp_path / "store")
    schema.prepare(folder, KEY)
    return folder


@pytest.fixture
def database(folder: StoreFolder) -> Iterator[SqliteDatabase]:
    database = SqliteDatabase(folder.catalog, KEY, folder.locks)
    yield database
    database.close()
