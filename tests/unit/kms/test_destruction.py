"""Promise: a deleted key is gone from the store's files, and its end is written down before it is."""

from __future__ import annotations

import secrets
from pathlib import Path
from typing import Any

import pytest

from s3al.errors import StoreError
from s3al.kms.destruction import Destruction
from s3al.kms.keys import tidy
from s3al.kms.ledger import Ledger, ledger_path
from s3al.kms.materials import Materials
from s3al.store import keystore
from s3al.store.sqlite import SqliteDatabase
from s3al.store.sqlite_file import connect
from support.key_store import NOW, KeyStoreFolder
from support.processes import eventually

KEYS = [f"00000000-0000-4000-8000-{number:012}" for number in range(40)]
DOOMED = KEYS[7:]


@pytest.fixture
def store(tmp_path: Path) -> KeyStoreFolder:
    store = KeyStoreFolder(tmp_path)
    keys = store.keys()
    materials = Materials(keys.root, random=secrets.token_bytes)
    for key_id in KEYS:
        store.add_key(key_id)
    with store.database(keys) as database:
        for key_id in KEYS:  # as long as a private key: part of it lies on pages of its own
            current = database.read_now(lambda rows, k=key_id: keystore.find_key(rows, k, "us-east-1").current_material)  # type: ignore[misc,union-attr]
            database.write_now(
                lambda rows, k=key_id, c=current: materials.add(  # type: ignore[misc]
                    rows, k, replaces=c, now_ms=NOW, material=secrets.token_bytes(5000)
                )
            )
        for key_id in DOOMED:
            database.write_now(
                lambda rows, k=key_id: rows.run("UPDATE kms_keys SET deletion_at = 1 WHERE key_id = ?", (k,))  # type: ignore[misc]
            )
    return store


def ledger(store: KeyStoreFolder) -> Ledger:
    return Ledger(ledger_path(store.place / "config", store.keys().store_id))


def wrapped_of(database: SqliteDatabase, key_ids: list[str]) -> list[bytes]:
    found = [database.read_now(lambda rows, k=k: keystore.list_materials(rows, k)) for k in key_ids]  # type: ignore[misc]
    return [bytes(row.wrapped) for rows in found for row in rows]


def pages(store: KeyStoreFolder) -> bytes:
    """The whole database file, decrypted, free pages too."""
    connection = connect(store.folder.catalog, store.keys().catalog_key, read_only=True)
    try:
        return bytes(connection.serialize("main"))
    finally:
        connection.close()


def end(store: KeyStoreFolder, database: SqliteDatabase, **options: Any) -> int:
    destroying = Destruction(ledger(store), database.truncate_wal)
    return database.write_now(lambda rows: tidy(rows, NOW, **{"destroying": destroying} | options))


def test_nothing_of_a_destroyed_key_is_left_in_the_catalog_or_its_log(store: KeyStoreFolder) -> None:
    with store.database() as database:
        doomed, kept = wrapped_of(database, DOOMED), wrapped_of(database, KEYS[:7])
        needles = [part for one in doomed for part in (one[:64], one[-64:])]
        before = pages(store)
        assert all(needle in before for needle in needles), "the search must be able to find"
        assert end(store, database) == len(DOOMED)
        wal = store.folder.catalog.with_name("catalog.db-wal")
        eventually("the log is emptied", lambda: wal.stat().st_size == 0)
        after = pages(store)
        assert [needle for needle in needles if needle in after] == []
        assert all(one[-64:] in after for one in kept)
    assert [one.key_id for one in ledger(store).tombstones()] == DOOMED


def test_without_overwriting_the_search_would_find_it(store: KeyStoreFolder) -> None:
    """The control: the connections' usual setting leaves freed pages as they were."""
    with store.database() as database:
        needles = [one[-64:] for one in wrapped_of(database, DOOMED)]
        for key_id in DOOMED:
            database.write_now(lambda rows, k=key_id: rows.run("DELETE FROM kms_materials WHERE key_id = ?", (k,)))  # type: ignore[misc]
        assert any(needle in pages(store) for needle in needles)


def test_while_a_reader_holds_the_log_it_is_emptied_later(store: KeyStoreFolder) -> None:
    wal = store.folder.catalog.with_name("catalog.db-wal")
    reader = connect(store.folder.catalog, store.keys().catalog_key, read_only=True)
    with store.database() as database:
        reader.execute("BEGIN")
        reader.execute("SELECT count(*) FROM kms_keys").fetchall()
        end(store, database)
        database.write_now(lambda rows: rows.run("UPDATE change_counter SET value = value + 1"))
        assert wal.stat().st_size > 0
        reader.execute("ROLLBACK")
        eventually("the log is emptied", lambda: wal.stat().st_size == 0)
    reader.close()


def test_if_its_end_cannot_be_written_down_the_key_stays_as_it_was(store: KeyStoreFolder) -> None:
    blocked = Ledger(store.place / "a file" / "ledger")
    (store.place / "a file").write_text("")
    with store.database() as database:
        before = wrapped_of(database, KEYS)
        with pytest.raises(StoreError, match="ledger"):
            end(store, database, destroying=Destruction(blocked, database.truncate_wal))
        assert wrapped_of(database, KEYS) == before
        assert end(store, database) == len(DOOMED)


def test_where_nothing_is_due_nothing_is_written_down(store: KeyStoreFolder) -> None:
    with store.database() as database:
        assert database.write_now(
            lambda rows: tidy(rows, 0, Destruction(ledger(store), database.truncate_wal))
        ) == 0  # fmt: skip
    assert not ledger(store).exists()
