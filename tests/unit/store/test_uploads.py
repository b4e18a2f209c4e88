"""Rows of uploads, parts, streams and manifests."""

from __future__ import annotations

import pytest

from s3al.store import catalog
from s3al.store.catalog import PartRow, StreamRow, UploadRow
from s3al.store.sqlite import SqliteRows

UPLOAD = UploadRow("u1", b"B" * 16, b"key", b"O" * 16, 5, "1" * 12, b"record")


def part(number: int, stream: int = 1, upload_id: str = "u1") -> PartRow:
    return PartRow(upload_id, number, bytes([stream]) * 16, 7, b"public", b"private")


def test_an_upload_is_found_until_it_is_deleted(rows: SqliteRows) -> None:
    catalog.insert_upload(rows, UPLOAD)
    catalog.put_part(rows, part(1))
    assert catalog.find_upload(rows, "u1") == UPLOAD
    assert catalog.uploads_of_bucket(rows, UPLOAD.bucket_id, 10) == [UPLOAD]
    assert catalog.delete_upload(rows, "u1")
    assert catalog.find_upload(rows, "u1") is None
    assert catalog.list_parts(rows, "u1") == []
    assert not catalog.delete_upload(rows, "u1")


def test_a_part_put_again_replaces_and_returns_the_former(rows: SqliteRows) -> None:
    assert catalog.put_part(rows, part(1, stream=1)) is None
    assert catalog.put_part(rows, part(1, stream=2)) == part(1, stream=1)
    assert catalog.find_part(rows, "u1", 1) == part(1, stream=2)
    assert catalog.find_part(rows, "u1", 2) is None


@pytest.mark.parametrize(
    ("after", "limit", "expected"), [(0, 10, [1, 2, 10]), (1, 10, [2, 10]), (0, 2, [1, 2]), (10, 5, [])]
)
def test_parts_are_listed_by_number(rows: SqliteRows, after: int, limit: int, expected: list[int]) -> None:
    for number in (10, 1, 2):
        catalog.put_part(rows, part(number))
    catalog.put_part(rows, part(3, upload_id="u2"))
    assert [row.part_number for row in catalog.list_parts(rows, "u1", after=after, limit=limit)] == expected


def test_chosen_parts_are_found_by_number(rows: SqliteRows) -> None:
    for number in (1, 2, 3):
        catalog.put_part(rows, part(number))
    assert catalog.find_parts(rows, "u1", [3, 1, 7]) == {1: part(1), 3: part(3)}


@pytest.mark.parametrize(
    "stream",
    [
        StreamRow(b"O" * 16, b"S" * 16, blob_name="name"),
        StreamRow(b"O" * 16, b"S" * 16, sealed_body=b"sealed"),
    ],
    ids=["in a blob", "in its row"],
)
def test_a_stream_comes_back_as_it_was_put(rows: SqliteRows, stream: StreamRow) -> None:
    catalog.insert_streams(rows, [stream])
    assert catalog.find_stream(rows, b"O" * 16, b"S" * 16) == stream
    assert catalog.streams_of(rows, b"O" * 16) == [stream]
    assert catalog.find_stream(rows, b"O" * 16, b"T" * 16) is None


@pytest.mark.parametrize(
    "places", [{}, {"blob_name": "name", "sealed_body": b"sealed"}], ids=["nowhere", "twice"]
)
def test_a_stream_lies_in_exactly_one_place(places: dict[str, str]) -> None:
    with pytest.raises(ValueError, match="a stream lies"):
        StreamRow(b"O" * 16, b"S" * 16, **places)  # type: ignore[arg-type]


def test_a_manifest_is_put_and_replaced(rows: SqliteRows) -> None:
    assert catalog.get_manifest(rows, b"O" * 16) is None
    catalog.put_manifest(rows, b"O" * 16, b"public", b"private")
    catalog.put_manifest(rows, b"O" * 16, b"public 2", b"private 2")
    assert catalog.get_manifest(rows, b"O" * 16) == (b"public 2", b"private 2")
