"""When a blob may be unlinked, and by whose word."""

from __future__ import annotations

import pytest

from s3al.store import catalog
from s3al.store.catalog import CLOCK_MARGIN_MS, StreamRow
from s3al.store.sqlite import SqliteRows

NAMES = [f"0123456789abcdef/{number:032x}" for number in range(2000)]
OBJECT = b"O" * 16
HOUR = 3_600_000
BURIED = 1000 * HOUR


def streams(*numbers: int, object_id: bytes = OBJECT) -> list[StreamRow]:
    return [StreamRow(object_id, number.to_bytes(16, "big"), NAMES[number]) for number in numbers]


def test_burying_an_object_leaves_only_graves(rows: SqliteRows) -> None:
    catalog.insert_streams(rows, [*streams(1, 2), StreamRow(OBJECT, b"inline", sealed_body=b"sealed")])
    catalog.insert_streams(rows, streams(3, object_id=b"P" * 16))
    catalog.put_manifest(rows, OBJECT, b"public", b"private")
    assert not catalog.has_graves(rows)
    assert catalog.bury_object(rows, OBJECT, BURIED) == 2
    assert catalog.streams_of(rows, OBJECT) == []
    assert catalog.get_manifest(rows, OBJECT) is None
    assert catalog.exhume(rows, BURIED + 1, 10) == [NAMES[1], NAMES[2]]
    assert catalog.has_graves(rows)
    assert len(catalog.streams_of(rows, b"P" * 16)) == 1
    assert catalog.bury_object(rows, OBJECT, BURIED) == 0


def test_burying_some_streams_leaves_the_others(rows: SqliteRows) -> None:
    catalog.insert_streams(rows, [*streams(1, 2), StreamRow(OBJECT, b"inline", sealed_body=b"sealed")])
    catalog.bury_streams(rows, OBJECT, [(1).to_bytes(16, "big"), b"inline", b"unknown"], BURIED)
    assert catalog.streams_of(rows, OBJECT) == streams(2)
    assert catalog.exhume(rows, BURIED + 1, 10) == [NAMES[1]]


def test_graves_are_exhumed_oldest_first_and_forgotten_by_name(rows: SqliteRows) -> None:
    for number, at in ((1, 30), (2, 10), (3, 20)):
        catalog.insert_streams(rows, streams(number, object_id=bytes([number])))
        catalog.bury_object(rows, bytes([number]), at)
    assert catalog.exhume(rows, 100, 2) == [NAMES[2], NAMES[3]]
    catalog.forget(rows, [NAMES[2], NAMES[3], NAMES[9]])
    assert catalog.exhume(rows, 100, 2) == [NAMES[1]]
    assert catalog.exhume(rows, 30, 2) == []


# Reports of two incarnations, both begun at BURIED - HOUR, as (oldest reader, time of the report); None: no report yet.
LATE = BURIED + HOUR
READERS = [
    ("nobody reads anywhere", (None, LATE), (None, LATE), True),
    ("one has not reported since", (None, LATE), (None, BURIED - 1), False),
    ("one has never reported", (None, LATE), None, False),
    ("a reader began before the burial", (None, LATE), (BURIED - 5, LATE), False),
    (
        "a reader began just after, within the margin of clocks",
        (None, LATE),
        (BURIED + CLOCK_MARGIN_MS, LATE),
        False,
    ),
    (
        "all readers began later than any clock may err",
        (LATE, LATE),
        (BURIED + CLOCK_MARGIN_MS + 1, LATE),
        True,
    ),
    ("a report from the future counts as of its time", (None, LATE), (LATE + HOUR, BURIED), False),
]


@pytest.mark.parametrize(
    ("first", "second", "is_exhumed"), [case[1:] for case in READERS], ids=[case[0] for case in READERS]
)
def test_a_blob_is_exhumed_only_when_every_reader_is_younger(
    rows: SqliteRows, first: tuple[int | None, int], second: tuple[int | None, int] | None, is_exhumed: bool
) -> None:
    for incarnation, report in (("a" * 16, first), ("b" * 16, second)):
        catalog.begin_incarnation(rows, incarnation, BURIED - HOUR)
        if report is not None:
            catalog.report_reader(rows, incarnation, report[0], now_ms=report[1])
    catalog.insert_streams(rows, streams(1))
    catalog.bury_object(rows, OBJECT, BURIED)
    assert catalog.exhume(rows, LATE, 10) == ([NAMES[1]] if is_exhumed else [])


def test_a_dead_incarnation_holds_nothing_back_once_it_has_ended(rows: SqliteRows) -> None:
    catalog.begin_incarnation(rows, "a" * 16, BURIED - HOUR)
    catalog.begin_incarnation(rows, "b" * 16, LATE)
    assert [row.incarnation for row in catalog.list_incarnations(rows)] == ["a" * 16, "b" * 16]
    assert catalog.oldest_reader(rows) == BURIED - HOUR
    catalog.end_incarnation(rows, "a" * 16)
    assert [(row.incarnation, row.oldest_reader_at) for row in catalog.list_incarnations(rows)] == [
        ("b" * 16, None)
    ]
    assert catalog.oldest_reader(rows) == LATE
    catalog.end_incarnation(rows, "b" * 16)
    assert catalog.oldest_reader(rows) is None


def test_streams_and_graves_name_blobs(rows: SqliteRows) -> None:
    catalog.insert_streams(rows, streams(*range(1500)))
    catalog.insert_streams(rows, streams(1500, 1501, object_id=b"buried"))
    catalog.bury_object(rows, b"buried", BURIED)
    assert catalog.blob_names_named(rows, NAMES) == set(NAMES[:1502])
    assert catalog.blob_names_named(rows, []) == set()
    catalog.forget(rows, NAMES)
    assert catalog.blob_names_named(rows, NAMES[1400:]) == set(NAMES[1400:1500])
