"""Rows of buckets and settings."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from s3al.store import catalog
from s3al.store.catalog import BucketRow, VersionRow
from s3al.store.sqlite import SqliteRows

ALICE, BOB = "111111111111", "222222222222"


def bucket(name: str, account_id: str = ALICE) -> BucketRow:
    return BucketRow(name.encode().rjust(16, b"."), name, account_id, "us-east-1", 5)


def test_a_bucket_is_found_by_name_and_by_id(rows: SqliteRows) -> None:
    assert catalog.create_bucket(rows, bucket("one"))
    assert catalog.find_bucket(rows, "one") == bucket("one")
    assert catalog.find_bucket_by_id(rows, bucket("one").bucket_id) == bucket("one")
    assert catalog.find_bucket(rows, "two") is None
    assert catalog.find_bucket_by_id(rows, b"x" * 16) is None


def test_a_name_is_taken_for_every_account(rows: SqliteRows) -> None:
    catalog.create_bucket(rows, bucket("one"))
    assert not catalog.create_bucket(rows, BucketRow(b"x" * 16, "one", BOB, "us-east-1", 6))
    found = catalog.find_bucket(rows, "one")
    assert found is not None
    assert found.account_id == ALICE


def test_a_deleted_bucket_leaves_no_settings_to_its_namesake(rows: SqliteRows) -> None:
    catalog.create_bucket(rows, bucket("one"))
    catalog.put_setting(rows, bucket("one").bucket_id, "policy", b"{}")
    catalog.delete_bucket(rows, bucket("one").bucket_id)
    assert catalog.find_bucket(rows, "one") is None
    catalog.create_bucket(rows, bucket("one"))
    assert catalog.get_settings(rows, bucket("one").bucket_id) == {}


def test_settings_are_put_replaced_and_deleted(rows: SqliteRows) -> None:
    one = bucket("one").bucket_id
    catalog.put_setting(rows, one, "policy", b"1")
    catalog.put_setting(rows, one, "policy", b"2")
    catalog.put_setting(rows, one, "cors", b"3")
    assert catalog.get_settings(rows, one) == {"policy": b"2", "cors": b"3"}
    assert catalog.get_setting(rows, one, "policy") == b"2"
    catalog.delete_setting(rows, one, "policy")
    assert catalog.get_setting(rows, one, "policy") is None


@pytest.mark.parametrize("is_delete_marker", [False, True])
def test_a_bucket_with_a_version_or_marker_is_not_empty(rows: SqliteRows, is_delete_marker: bool) -> None:
    one = bucket("one").bucket_id
    assert catalog.bucket_is_empty(rows, one)
    catalog.put_version(rows, VersionRow(one, b"k", "v", 1, b"o", b"p", is_delete_marker=is_delete_marker))
    assert not catalog.bucket_is_empty(rows, one)
    assert catalog.bucket_is_empty(rows, bucket("two").bucket_id)


@pytest.mark.parametrize(
    ("prefix", "after", "limit", "expected"),
    [
        ("", "", 10, ["a-1", "a-2", "b-1", "b.1"]),
        ("", "a-2", 10, ["b-1", "b.1"]),
        ("a", "", 10, ["a-1", "a-2"]),
        ("a-", "a-1", 10, ["a-2"]),
        ("b-", "a-1", 10, ["b-1"]),
        ("", "", 2, ["a-1", "a-2"]),
        ("c", "", 10, []),
        ("%", "", 10, []),
        ("_-1", "", 10, []),
    ],
)
def test_buckets_of_an_account_are_listed_by_name(
    rows: SqliteRows, prefix: str, after: str, limit: int, expected: list[str]
) -> None:
    for name in ("b.1", "b-1", "a-2", "a-1"):
        catalog.create_bucket(rows, bucket(name))
    catalog.create_bucket(rows, bucket("a-of-bob", BOB))
    found = catalog.list_buckets(rows, ALICE, prefix=prefix, after=after, limit=limit)
    assert [row.name for row in found] == expected
    assert (catalog.count_buckets(rows, ALICE), catalog.count_buckets(rows, BOB)) == (4, 1)


CHANGES: list[tuple[str, Callable[[SqliteRows], object]]] = [
    ("create", lambda rows: catalog.create_bucket(rows, bucket("new"))),
    ("delete", lambda rows: catalog.delete_bucket(rows, bucket("one").bucket_id)),
    ("put setting", lambda rows: catalog.put_setting(rows, bucket("one").bucket_id, "policy", b"{}")),
    ("delete setting", lambda rows: catalog.delete_setting(rows, bucket("one").bucket_id, "policy")),
]


@pytest.mark.parametrize("change", [change for _, change in CHANGES], ids=[name for name, _ in CHANGES])
def test_every_change_of_a_bucket_makes_caches_stale(
    rows: SqliteRows, change: Callable[[SqliteRows], object]
) -> None:
    catalog.create_bucket(rows, bucket("one"))
    before = catalog.change_counter(rows)
    change(rows)
    assert catalog.change_counter(rows) > before


def test_a_refused_creation_makes_nothing_stale(rows: SqliteRows) -> None:
    catalog.create_bucket(rows, bucket("one"))
    before = catalog.change_counter(rows)
    catalog.create_bucket(rows, bucket("one"))
    assert catalog.change_counter(rows) == before
