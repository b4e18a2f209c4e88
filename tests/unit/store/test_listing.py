"""Listing against a naive model that looks at everything, and the cost that the skip scan promises."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Sequence
from typing import Any

import apsw
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from s3al.store import catalog, schema
from s3al.store.catalog import UploadRow, VersionRow
from s3al.store.listing import successor
from s3al.store.sqlite import SqliteRows

BUCKET, OTHER = b"B" * 16, b"C" * 16

# Few letters, so that prefixes, delimiters and markers meet; 0xff and 0x00 to try the ends of the order.
LETTERS = [b"a", b"b", b"/", b"//", b"\xff", b"\x00", b"-"]
KEYS = st.lists(st.sampled_from(LETTERS), min_size=1, max_size=6).map(b"".join)
PREFIXES = st.lists(st.sampled_from(LETTERS), max_size=3).map(b"".join)
DELIMITERS = st.sampled_from([b"", b"/", b"//", b"a/", b"\xff", b"-a", b"ab"])
MARKERS = st.one_of(st.just(b""), KEYS, PREFIXES)
VERSION_IDS = st.sampled_from(["null", "v1", "v2", "v3"])


class CountingRows(SqliteRows):
    """Rows that count what is fetched."""

    def __init__(self, connection: apsw.Connection) -> None:
        super().__init__(connection)
        self.queries = self.fetched = 0

    def all(self, sql: str, params: Sequence[Any] = ()) -> list[tuple[Any, ...]]:
        found = super().all(sql, params)
        self.queries += 1
        self.fetched += len(found)
        return found


@pytest.fixture
def counting() -> Iterator[CountingRows]:
    connection = apsw.Connection(":memory:")
    rows = CountingRows(connection)
    schema.create_tables(rows)
    yield rows
    connection.close()


def put(
    rows: SqliteRows, key: bytes, version_id: str = "null", *, marker: bool = False, bucket: bytes = BUCKET
) -> None:
    catalog.put_version(
        rows, VersionRow(bucket, key, version_id, 1, b"o", b"record", is_delete_marker=marker)
    )


def put_upload(
    rows: SqliteRows, key: bytes, upload_id: str, initiated_at: int, bucket: bytes = BUCKET
) -> None:
    catalog.insert_upload(rows, UploadRow(upload_id, bucket, key, b"o", initiated_at, "1" * 12, b"record"))


# --- the naive model: (key, tie) in order -> page


def model(
    entries: list[tuple[bytes, Any]],
    prefix: bytes,
    delimiter: bytes,
    beyond: tuple[bytes, Any],
    max_keys: int,
) -> tuple[list[Any], bool]:
    """Every entry of the listing in order, cut; and whether more follow. A common prefix is a bare bytes object.

    entries: (key, rank) with rank growing in listing order within a key. beyond: the marker; rank None: all of its key.
    """
    shown: list[Any] = []
    for key, rank in sorted(entries):
        if not key.startswith(prefix):
            continue
        at = key.find(delimiter, len(prefix)) if delimiter else -1
        if at >= 0:
            rolled = key[: at + len(delimiter)]
            if rolled > beyond[0] and not beyond[0].startswith(rolled) and rolled not in shown:
                shown.append(rolled)
        elif key > beyond[0] or (key == beyond[0] and beyond[1] is not None and rank > beyond[1]):
            shown.append((key, rank))
    return shown[:max_keys], max_keys > 0 and len(shown) > max_keys


def test_the_model_itself_on_the_example_of_the_s3_guide() -> None:
    keys = [
        b"photos/2006/January/sample.jpg",
        b"photos/2006/February/sample2.jpg",
        b"sample.jpg",
        b"photos/x",
    ]
    entries = [(key, 0) for key in keys]
    assert model(entries, b"", b"/", (b"", None), 10) == ([b"photos/", (b"sample.jpg", 0)], False)
    assert model(entries, b"photos/2006/", b"/", (b"", None), 1) == ([b"photos/2006/February/"], True)
    assert model(entries, b"photos/", b"/", (b"photos/2006/", None), 10) == ([(b"photos/x", 0)], False)


@given(
    keys=st.dictionaries(KEYS, st.booleans(), max_size=25),
    prefix=PREFIXES,
    delimiter=DELIMITERS,
    marker=MARKERS,
    max_keys=st.integers(0, 8),
)
@settings(max_examples=400, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_a_page_of_objects_is_what_the_model_says(
    keys: dict[bytes, bool], prefix: bytes, delimiter: bytes, marker: bytes, max_keys: int
) -> None:
    connection = apsw.Connection(":memory:")
    rows = SqliteRows(connection)
    schema.create_tables(rows)
    for key, is_deleted in keys.items():
        put(rows, key, "v1")
        put(rows, key, "v2", marker=is_deleted)
        put(rows, key + b"z", bucket=OTHER)
    entries = [(key, 0) for key, is_deleted in keys.items() if not is_deleted]
    expected, more = model(entries, prefix, delimiter, (marker, None), max_keys)
    page = catalog.list_page(
        rows, BUCKET, prefix=prefix, delimiter=delimiter, start_after=marker, max_keys=max_keys
    )
    assert [row.object_key for row in page.rows] == [
        entry[0] for entry in expected if isinstance(entry, tuple)
    ]
    assert page.common_prefixes == [entry for entry in expected if isinstance(entry, bytes)]
    assert (page.next is not None) == more
    assert pages_of_objects(rows, prefix, delimiter, max(max_keys, 1)) == whole(entries, prefix, delimiter)
    connection.close()


def whole(entries: list[tuple[bytes, Any]], prefix: bytes, delimiter: bytes) -> list[bytes]:
    shown, _ = model(entries, prefix, delimiter, (b"", None), 10**6)
    return [entry[0] if isinstance(entry, tuple) else entry for entry in shown]


def pages_of_objects(rows: SqliteRows, prefix: bytes, delimiter: bytes, max_keys: int) -> list[bytes]:
    """All entries, by following `next`."""
    shown: list[bytes] = []
    marker: bytes | None = b""
    while marker is not None:
        page = catalog.list_page(
            rows, BUCKET, prefix=prefix, delimiter=delimiter, start_after=marker, max_keys=max_keys
        )
        shown += sorted([row.object_key for row in page.rows] + page.common_prefixes)
        marker = page.next
    return shown


@given(
    versions=st.lists(st.tuples(KEYS, VERSION_IDS, st.booleans()), max_size=25),
    prefix=PREFIXES,
    delimiter=DELIMITERS,
    key_marker=MARKERS,
    version_marker=st.one_of(st.none(), VERSION_IDS),
    max_keys=st.integers(0, 8),
)
@settings(max_examples=400, deadline=None)
def test_a_page_of_versions_is_what_the_model_says(
    versions: list[tuple[bytes, str, bool]],
    prefix: bytes,
    delimiter: bytes,
    key_marker: bytes,
    version_marker: str | None,
    max_keys: int,
) -> None:
    connection = apsw.Connection(":memory:")
    rows = SqliteRows(connection)
    schema.create_tables(rows)
    newest_first: dict[bytes, list[str]] = {}
    for key, version_id, marker in versions:
        ids = newest_first.setdefault(key, [])
        if version_id in ids:
            if version_id != "null":
                continue
            ids.remove(version_id)
        ids.insert(0, version_id)
        put(rows, key, version_id, marker=marker)
        put(rows, key + b"z", bucket=OTHER)
    entries = [(key, rank) for key, ids in newest_first.items() for rank in range(len(ids))]
    rank = None
    if version_marker is not None:
        ids = newest_first.get(key_marker, [])
        rank = ids.index(version_marker) if version_marker in ids else -1  # gone: the key begins again
    expected, more = model(entries, prefix, delimiter, (key_marker, rank), max_keys)
    page = catalog.list_versions_page(
        rows,
        BUCKET,
        prefix=prefix,
        delimiter=delimiter,
        marker=(key_marker, version_marker),
        max_keys=max_keys,
    )
    found = [(row.object_key, newest_first[row.object_key].index(row.version_id)) for row in page.rows]
    assert found == [entry for entry in expected if isinstance(entry, tuple)]
    assert page.common_prefixes == [entry for entry in expected if isinstance(entry, bytes)]
    assert (page.next is not None) == more
    assert all(row.is_current == (newest_first[row.object_key][0] == row.version_id) for row in page.rows)
    step = max(max_keys, 1)
    assert pages_of_versions(rows, prefix, delimiter, step) == whole(entries, prefix, delimiter)
    connection.close()


def pages_of_versions(rows: SqliteRows, prefix: bytes, delimiter: bytes, max_keys: int) -> list[bytes]:
    shown: list[bytes] = []
    marker: tuple[bytes, str | None] | None = (b"", None)
    while marker is not None:
        page = catalog.list_versions_page(
            rows, BUCKET, prefix=prefix, delimiter=delimiter, marker=marker, max_keys=max_keys
        )
        shown += sorted([row.object_key for row in page.rows] + page.common_prefixes)
        marker = page.next
    return shown


@given(
    uploads=st.lists(st.tuples(KEYS, st.integers(1, 3)), max_size=25),
    prefix=PREFIXES,
    delimiter=DELIMITERS,
    key_marker=MARKERS,
    nth_marker=st.one_of(st.none(), st.integers(-1, 3)),
    max_keys=st.integers(0, 8),
)
@settings(max_examples=400, deadline=None)
def test_a_page_of_uploads_is_what_the_model_says(
    uploads: list[tuple[bytes, int]],
    prefix: bytes,
    delimiter: bytes,
    key_marker: bytes,
    nth_marker: int | None,
    max_keys: int,
) -> None:
    connection = apsw.Connection(":memory:")
    rows = SqliteRows(connection)
    schema.create_tables(rows)
    placed = [(key, (at, f"u{number:02}")) for number, (key, at) in enumerate(uploads)]
    for key, (at, upload_id) in placed:
        put_upload(rows, key, upload_id, at)
        put_upload(rows, key + b"z", "other" + upload_id, at, OTHER)
    upload_marker, rank = None, None
    if nth_marker is not None:
        of_key = sorted(tie for key, tie in placed if key == key_marker)
        rank = of_key[nth_marker] if 0 <= nth_marker < len(of_key) else (-1, "")
        upload_marker = rank[1] or "gone"
    expected, more = model(placed, prefix, delimiter, (key_marker, rank), max_keys)
    page = catalog.list_uploads_page(
        rows,
        BUCKET,
        prefix=prefix,
        delimiter=delimiter,
        marker=(key_marker, upload_marker),
        max_keys=max_keys,
    )
    found = [(row.object_key, (row.initiated_at, row.upload_id)) for row in page.rows]
    assert found == [entry for entry in expected if isinstance(entry, tuple)]
    assert page.common_prefixes == [entry for entry in expected if isinstance(entry, bytes)]
    assert (page.next is not None) == more
    connection.close()


@given(st.binary(max_size=4), st.binary(max_size=5))
@settings(max_examples=300)
def test_the_successor_divides_what_begins_with_a_prefix_from_all_beyond(prefix: bytes, key: bytes) -> None:
    bound = successor(prefix)
    is_below = bound is None or key < bound
    assert key.startswith(prefix) == (key >= prefix and is_below)


@pytest.mark.parametrize(
    ("prefix", "expected"),
    [
        (b"", None),
        (b"a", b"b"),
        (b"a\xff", b"b"),
        (b"a\xff\xff", b"b"),
        (b"\xff", None),
        (b"\xff\xff", None),
        (b"\xfe\xff", b"\xff"),
        (b"a\x00", b"a\x01"),
    ],
)
def test_the_successor_of_a_prefix(prefix: bytes, expected: bytes | None) -> None:
    assert successor(prefix) == expected


def test_a_common_prefix_over_ten_thousand_keys_costs_one_look(counting: CountingRows) -> None:
    for number in range(10_000):
        put(counting, b"many/%05d" % number)
    put(counting, b"zebra")
    counting.queries = counting.fetched = 0
    page = catalog.list_page(counting, BUCKET, prefix=b"", delimiter=b"/", start_after=b"", max_keys=1000)
    assert (page.common_prefixes, [row.object_key for row in page.rows], page.next) == (
        [b"many/"],
        [b"zebra"],
        None,
    )
    assert counting.queries <= 2
    assert counting.fetched < 100


@pytest.mark.parametrize(
    ("folders", "keys_each", "most_fetched"), [(1000, 1, 2100), (200, 50, 2000), (20, 500, 400)]
)
def test_rows_fetched_stay_near_the_entries_shown(
    counting: CountingRows, folders: int, keys_each: int, most_fetched: int
) -> None:
    for folder, number in itertools.product(range(folders), range(keys_each)):
        put(counting, b"%04d/%04d" % (folder, number))
    counting.queries = counting.fetched = 0
    page = catalog.list_page(counting, BUCKET, prefix=b"", delimiter=b"/", start_after=b"", max_keys=1000)
    assert page.common_prefixes == [b"%04d/" % folder for folder in range(folders)]
    assert counting.fetched <= most_fetched


def test_a_plain_page_is_one_query_of_one_row_more(counting: CountingRows) -> None:
    for number in range(300):
        put(counting, b"%04d" % number)
    counting.queries = counting.fetched = 0
    page = catalog.list_page(counting, BUCKET, prefix=b"", delimiter=b"", start_after=b"", max_keys=100)
    assert (len(page.rows), page.next, counting.queries, counting.fetched) == (100, b"0099", 1, 101)


@pytest.mark.parametrize(
    ("what", "index"),
    [("objects", "versions_listed"), ("versions", "versions_newest"), ("uploads", "uploads_by_key")],
)
def test_listing_seeks_in_an_index_and_sorts_nothing(counting: CountingRows, what: str, index: str) -> None:
    asked: list[tuple[str, Sequence[Any]]] = []
    put(counting, b"a")
    real = counting.all

    def noting(sql: str, params: Sequence[Any] = ()) -> list[tuple[Any, ...]]:
        asked.append((sql, params))
        return real(sql, params)

    counting.all = noting  # type: ignore[method-assign]
    page = {"prefix": b"a", "delimiter": b"/", "max_keys": 10}
    if what == "objects":
        catalog.list_page(counting, BUCKET, start_after=b"", **page)
    elif what == "versions":
        catalog.list_versions_page(counting, BUCKET, marker=(b"a", "null"), **page)
    else:
        put_upload(counting, b"a", "u", 1)
        catalog.list_uploads_page(counting, BUCKET, marker=(b"a", "u"), **page)
    for sql, params in asked:
        plan = " ".join(str(row[3]) for row in real(f"EXPLAIN QUERY PLAN {sql}", params))
        assert f"USING INDEX {index}" in plan or f"USING COVERING INDEX {index}" in plan, plan
        assert "TEMP B-TREE" not in plan, plan
    assert asked


def test_a_job_visits_every_current_object_from_a_key_on(rows: SqliteRows) -> None:
    for key in (b"a/1", b"a/2", b"a/3", b"b/1"):
        put(rows, key)
    put(rows, b"a/2", "v", marker=True)
    visited = catalog.list_current(rows, BUCKET, prefix=b"a/", from_key=b"a/2", limit=10)
    assert [row.object_key for row in visited] == [b"a/3"]
    assert len(catalog.list_current(rows, BUCKET, prefix=b"", from_key=b"", limit=2)) == 2


def test_the_versions_of_one_key_come_newest_first(rows: SqliteRows) -> None:
    for version_id in ("v1", "null", "v2"):
        put(rows, b"key", version_id)
    put(rows, b"key", "null")
    put(rows, b"key2", "v9")
    assert [row.version_id for row in catalog.list_versions(rows, BUCKET, b"key", 10)] == ["null", "v2", "v1"]
