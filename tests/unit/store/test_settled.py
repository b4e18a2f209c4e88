"""What is remembered for one value of the change counter: told once, forgotten by every worker when it moves."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace

import pytest

from s3al.store import key_labels, keystore, meta
from s3al.store.database import Rows
from s3al.store.key_labels import AliasRow
from s3al.store.keystore import KeyRow, MaterialRow
from s3al.store.layout import StoreFolder
from s3al.store.settled import settled, settled_where
from s3al.store.sqlite import SqliteDatabase

from .conftest import KEY

A_KEY = KeyRow(
    key_id="k1",
    account_id="111111111111",
    region="us-east-1",
    manager="CUSTOMER",
    state="Enabled",
    key_spec="SYMMETRIC_DEFAULT",
    key_usage="ENCRYPT_DECRYPT",
    origin="AWS_KMS",
    description="d",
    policy="the policy",
    created_at=5,
)
ALIAS = AliasRow("111111111111", "us-east-1", "alias/a", "k1", 0, 0)
MATERIAL = MaterialRow(b"m" * 32, "k1", 1, 1, b"wrapped", 1)


@pytest.fixture
def other(folder: StoreFolder, database: SqliteDatabase) -> Iterator[SqliteDatabase]:
    """Another worker's."""
    other = SqliteDatabase(folder.catalog, KEY, folder.locks)
    yield other
    other.close()


class Source:
    """Something that is read, and how often."""

    def __init__(self) -> None:
        self.value: str | None = "first"
        self.reads = 0

    def load(self, rows: Rows, name: str) -> str | None:
        self.reads += 1
        return self.value

    def in_snapshot(self, database: SqliteDatabase, name: str = "a") -> str | None:
        return database.read_now(lambda rows: settled(rows, self.load, name))


def test_it_is_read_once_until_the_counter_moves_in_whichever_worker(
    database: SqliteDatabase, other: SqliteDatabase
) -> None:
    source = Source()
    assert [source.in_snapshot(database) for _ in range(3)] == ["first"] * 3
    assert source.reads == 1
    source.value = "second"
    assert source.in_snapshot(database) == "first"
    other.write_now(meta.bump)
    assert source.in_snapshot(database) == "second"
    assert source.in_snapshot(database, "b") == "second"
    assert source.reads == 3


def test_what_was_not_found_is_looked_for_again(database: SqliteDatabase) -> None:
    source = Source()
    source.value = None
    assert source.in_snapshot(database) is None
    source.value = "made"
    assert source.in_snapshot(database) == "made"


def test_a_transaction_reads_for_itself_and_leaves_nothing_behind(database: SqliteDatabase) -> None:
    source = Source()
    assert source.in_snapshot(database) == "first"

    def undone(rows: Rows) -> None:
        meta.bump(rows)
        source.value = "undone"
        assert settled(rows, source.load, "a") == "undone"
        raise KeyError("undone")

    with pytest.raises(KeyError):
        database.write_now(undone)
    assert source.in_snapshot(database) == "first"


CHANGES: dict[str, Callable[[Rows], object]] = {
    "state": lambda rows: keystore.set_state(rows, A_KEY, "Disabled", None),
    "deletion date": lambda rows: keystore.set_state(rows, A_KEY, "PendingDeletion", 9, window_days=7),
    "policy": lambda rows: keystore.set_policy(rows, A_KEY, "another"),
    "description": lambda rows: keystore.set_description(rows, A_KEY, "another"),
    "primary region": lambda rows: keystore.set_primary_region(rows, "k1", "eu-west-1"),
    "usable until": lambda rows: keystore.set_usable_until(rows, "k1", 7),
    "rotation": lambda rows: keystore.set_rotation(rows, "k1", 90, 1),
    "rotation on demand": lambda rows: keystore.count_on_demand_rotation(rows, "k1"),
    "material": lambda rows: keystore.add_material(rows, MATERIAL, replaces=None),
    "waiting material": lambda rows: keystore.promote_material(rows, MATERIAL, now_ms=5),
    "deleted": lambda rows: keystore.delete_keys(rows, [A_KEY]),
    "purged": lambda rows: keystore.purge_keys(rows, 10),
    "tag": lambda rows: key_labels.put_tag(rows, A_KEY, "a", "b"),
    "tag removed": lambda rows: key_labels.delete_tag(rows, A_KEY, "kept"),
    "alias": lambda rows: key_labels.insert_alias(rows, replace(ALIAS, alias_name="alias/b")),
    "alias pointed": lambda rows: key_labels.point_alias(rows, ALIAS, "k2", 1),
    "alias deleted": lambda rows: key_labels.delete_alias(rows, ALIAS),
}


def everything(rows: Rows) -> list[object]:
    return [
        keystore.find_key(rows, "k1", "us-east-1"),
        key_labels.find_alias(rows, "111111111111", "us-east-1", "alias/a"),
        key_labels.find_alias(rows, "111111111111", "us-east-1", "alias/b"),
        settled(rows, key_labels.aliases_of, A_KEY),
        settled(rows, key_labels.get_tags, A_KEY),
    ]


@pytest.mark.parametrize("change", CHANGES)
def test_whatever_changes_a_key_or_its_names_is_seen_by_every_worker_at_once(
    database: SqliteDatabase, other: SqliteDatabase, change: str
) -> None:
    def make(rows: Rows) -> None:
        keystore.set_current_root(rows, 1)
        key = replace(A_KEY, primary_region="us-east-1", deletion_at=9 if change == "purged" else None)
        keystore.insert_key(rows, key)
        key_labels.insert_alias(rows, ALIAS)
        key_labels.put_tag(rows, A_KEY, "kept", "b")

    database.write_now(make)
    before = [worker.read_now(everything) for worker in (database, other)]
    assert before[0] == before[1]
    other.write_now(CHANGES[change])
    after = [worker.read_now(everything) for worker in (database, other)]
    assert after[0] == after[1] == database.write_now(everything)
    assert after[0] != before[0]


def test_what_does_not_last_is_found_again(database: SqliteDatabase) -> None:
    found: list[str] = []

    def look(name: str, *, lasts: bool) -> str:
        def find() -> tuple[str, bool]:
            found.append(name)
            return name, lasts

        return database.read_now(lambda rows: settled_where(rows, name, find))

    for _ in range(2):
        assert look("kept", lasts=True) == "kept"
        assert look("asked again", lasts=False) == "asked again"
    assert found == ["kept", "asked again", "asked again"]
    database.write_now(meta.bump)
    look("kept", lasts=True)
    assert found[-1] == "kept"
