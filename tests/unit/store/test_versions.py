"""Which version is current, what a put replaces, what a delete promotes."""

from __future__ import annotations

import apsw
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from s3al.store import catalog, schema
from s3al.store.catalog import VersionRow
from s3al.store.sqlite import SqliteRows

BUCKET = b"B" * 16
KEY = b"photos/a"


def version(version_id: str, number: int = 0, *, marker: bool = False, key: bytes = KEY) -> VersionRow:
    object_id = number.to_bytes(16, "big")
    return VersionRow(
        BUCKET, key, version_id, 1000 + number, object_id, b"public%d" % number, is_delete_marker=marker
    )


def ids(rows: SqliteRows, key: bytes = KEY) -> list[tuple[str, bool]]:
    return [(row.version_id, row.is_current) for row in catalog.list_versions(rows, BUCKET, key, 100)]


def test_a_version_comes_back_as_it_was_put(rows: SqliteRows) -> None:
    put = VersionRow(BUCKET, KEY, "v1", 5, b"o" * 16, b"public", b"private", b"tags", is_delete_marker=False)
    assert catalog.put_version(rows, put) == []
    found = catalog.current_version(rows, BUCKET, KEY)
    assert found is not None
    assert found == catalog.find_version(rows, BUCKET, KEY, "v1")
    assert (found.bucket_id, found.object_key, found.version_id, found.last_modified) == (
        BUCKET,
        KEY,
        "v1",
        5,
    )
    assert (found.public_record, found.private_record, found.tag_record) == (b"public", b"private", b"tags")
    assert (found.object_id, found.is_delete_marker, found.is_current, found.sequence) == (
        b"o" * 16,
        False,
        True,
        1,
    )


def test_a_missing_key_or_version_is_none(rows: SqliteRows) -> None:
    catalog.put_version(rows, version("v1"))
    assert catalog.current_version(rows, BUCKET, KEY + b"x") is None
    assert catalog.find_version(rows, BUCKET, KEY, "v2") is None
    assert catalog.find_version(rows, b"C" * 16, KEY, "v1") is None


def test_a_new_version_becomes_current_and_replaces_nothing(rows: SqliteRows) -> None:
    for number, version_id in enumerate(("v1", "v2", "v3")):
        assert catalog.put_version(rows, version(version_id, number)) == []
    assert ids(rows) == [("v3", True), ("v2", False), ("v1", False)]


def test_a_null_version_replaces_the_null_version_and_only_it(rows: SqliteRows) -> None:
    catalog.put_version(rows, version("null", 1))
    catalog.put_version(rows, version("v2", 2))
    replaced = catalog.put_version(rows, version("null", 3))
    assert [(row.version_id, row.object_id[-1], row.is_current) for row in replaced] == [("null", 1, False)]
    assert ids(rows) == [("null", True), ("v2", False)]
    again = catalog.put_version(rows, version("null", 4, marker=True))
    assert [(row.object_id[-1], row.is_current) for row in again] == [(3, True)]
    assert ids(rows) == [("null", True), ("v2", False)]


def test_deleting_the_current_version_promotes_the_next_newest(rows: SqliteRows) -> None:
    for number, version_id in enumerate(("v1", "v2", "v3")):
        catalog.put_version(rows, version(version_id, number))
    removed = catalog.delete_version(rows, BUCKET, KEY, "v3")
    assert removed is not None
    assert (removed.version_id, removed.is_current) == ("v3", True)
    assert ids(rows) == [("v2", True), ("v1", False)]
    catalog.delete_version(rows, BUCKET, KEY, "v1")
    assert ids(rows) == [("v2", True)]
    catalog.delete_version(rows, BUCKET, KEY, "v2")
    assert catalog.current_version(rows, BUCKET, KEY) is None
    assert catalog.delete_version(rows, BUCKET, KEY, "v2") is None


def test_a_delete_marker_hides_the_key_until_it_is_removed(rows: SqliteRows) -> None:
    catalog.put_version(rows, version("v1", 1))
    catalog.put_version(rows, version("v2", 2, marker=True))
    current = catalog.current_version(rows, BUCKET, KEY)
    assert current is not None
    assert current.is_delete_marker
    page = {"prefix": b"", "delimiter": b"", "start_after": b"", "max_keys": 10}
    assert catalog.list_page(rows, BUCKET, **page).rows == []
    catalog.delete_version(rows, BUCKET, KEY, "v2")
    assert [row.version_id for row in catalog.list_page(rows, BUCKET, **page).rows] == ["v1"]


def test_keys_that_begin_alike_are_apart(rows: SqliteRows) -> None:
    for key in (b"a", b"a\x00", b"a/", b"A"):
        catalog.put_version(rows, version("null", key=key))
    for key in (b"a", b"a\x00", b"a/", b"A"):
        assert ids(rows, key) == [("null", True)]


def test_records_are_replaced_only_if_nobody_did_so_since(rows: SqliteRows) -> None:
    catalog.put_version(rows, version("v1", 1))
    read = catalog.find_version(rows, BUCKET, KEY, "v1")
    assert read is not None
    changed = VersionRow(BUCKET, KEY, "v1", 1, read.object_id, b"new", b"new private")
    assert not catalog.put_records(rows, changed, expected_public_record=b"other")
    assert catalog.put_records(rows, changed, expected_public_record=read.public_record)
    assert not catalog.put_records(rows, changed, expected_public_record=read.public_record)
    now = catalog.find_version(rows, BUCKET, KEY, "v1")
    assert now is not None
    assert (now.public_record, now.private_record, now.last_modified) == (
        b"new",
        b"new private",
        read.last_modified,
    )


def test_tags_are_put_on_exactly_the_object_that_was_read(rows: SqliteRows) -> None:
    catalog.put_version(rows, version("null", 1))
    read = catalog.current_version(rows, BUCKET, KEY)
    assert read is not None
    assert catalog.put_tag_record(rows, read, b"tags")
    catalog.put_version(rows, version("null", 2))
    assert not catalog.put_tag_record(rows, read, b"other tags")
    now = catalog.current_version(rows, BUCKET, KEY)
    assert now is not None
    assert now.tag_record is None


@given(
    st.lists(
        st.tuples(st.sampled_from(["put", "delete"]), st.sampled_from(["null", "v1", "v2", "v3"])),
        max_size=30,
    )
)
@settings(max_examples=200, deadline=None)
def test_after_any_puts_and_deletes_the_newest_is_current(steps: list[tuple[str, str]]) -> None:
    connection = apsw.Connection(":memory:")
    rows = SqliteRows(connection)
    schema.create_tables(rows)
    newest_first: list[str] = []
    for step, version_id in steps:
        if step == "delete":
            removed = catalog.delete_version(rows, BUCKET, KEY, version_id)
            assert (removed is not None) == (version_id in newest_first)
        elif version_id == "null" or version_id not in newest_first:
            replaced = catalog.put_version(rows, version(version_id))
            assert len(replaced) == (1 if version_id in newest_first else 0)
        else:
            continue
        newest_first = [other for other in newest_first if other != version_id]
        if step == "put":
            newest_first.insert(0, version_id)
        assert ids(rows) == [(other, other == newest_first[0]) for other in newest_first]
        current = catalog.current_version(rows, BUCKET, KEY)
        assert (current.version_id if current else None) == (newest_first[0] if newest_first else None)
    connection.close()


@pytest.mark.parametrize("sequence", [0, 7])
def test_sequence_and_currency_of_the_given_row_are_ignored(rows: SqliteRows, sequence: int) -> None:
    given_row = VersionRow(BUCKET, KEY, "v1", 1, b"o", b"p", sequence=sequence, is_current=False)
    catalog.put_version(rows, given_row)
    found = catalog.current_version(rows, BUCKET, KEY)
    assert found is not None
    assert (found.sequence, found.is_current) == (1, True)


def test_records_are_not_shown_in_repr() -> None:
    shown = repr(VersionRow(BUCKET, KEY, "v1", 1, b"o", b"PUBLIC", b"PRIVATE", b"TAGS"))
    assert not any(word in shown for word in ("PUBLIC", "PRIVATE", "TAGS"))
