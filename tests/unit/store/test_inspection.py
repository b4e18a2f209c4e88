"""What an offline check finds: each kind of damage made by hand."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from contract.blobs_suite import stored
from s3al.store import catalog, inspection
from s3al.store.catalog import BucketRow, PartRow, StreamRow, UploadRow, VersionRow
from s3al.store.files import FileBlobs
from s3al.store.inspection import MEANINGS, Finding, inspect_blobs, inspect_rows, named_blobs
from s3al.store.layout import create_folder
from s3al.store.sqlite import SqliteRows

BUCKET, OBJECT, PARTED = b"B" * 16, b"O" * 16, b"P" * 16


@pytest.fixture
def blobs(tmp_path: Path) -> Iterator[FileBlobs]:
    blobs = FileBlobs(create_folder(tmp_path / "store").blobs)
    yield blobs
    blobs.close()


@pytest.fixture
def sound(rows: SqliteRows) -> SqliteRows:
    """Rows of a store in which all is well: two versions and a marker of one key, and an upload with a part."""
    catalog.create_bucket(rows, BucketRow(BUCKET, "bucket", "1" * 12, "us-east-1", 1))
    for number in (1, 2):
        object_id = OBJECT[:-1] + bytes([number])
        catalog.put_version(rows, VersionRow(BUCKET, b"key", f"v{number}", 1, object_id, b"record"))
        catalog.insert_streams(rows, [StreamRow(object_id, b"S" * 16, sealed_body=b"sealed")])
    catalog.put_version(
        rows, VersionRow(BUCKET, b"key", "v3", 1, b"M" * 16, b"record", is_delete_marker=True)
    )
    catalog.put_manifest(rows, OBJECT[:-1] + b"\x01", b"public", b"private")
    catalog.insert_upload(rows, UploadRow("upload", BUCKET, b"key", PARTED, 1, "1" * 12, b"record"))
    catalog.put_part(rows, PartRow("upload", 1, b"T" * 16, 1, b"record"))
    catalog.insert_streams(rows, [StreamRow(PARTED, b"T" * 16, sealed_body=b"sealed")])
    return rows


def test_a_sound_store_has_no_findings(sound: SqliteRows, blobs: FileBlobs) -> None:
    assert list(inspect_rows(sound)) == []
    assert list(inspect_blobs(sound, blobs)) == []


FIRST = OBJECT[:-1] + b"\x01"
DAMAGES = [
    ("version-without-streams", "DELETE FROM streams WHERE object_id = ?", FIRST, FIRST),
    (
        "streams-without-object",
        "UPDATE versions SET is_delete_marker = 1, object_id = x'00' WHERE object_id = ?",
        FIRST,
        FIRST,
    ),
    ("manifest-without-object", "INSERT INTO manifests VALUES (?, x'00', x'00')", b"X" * 16, b"X" * 16),
    ("part-without-upload", "INSERT INTO parts VALUES ('gone', 1, ?, 1, x'00', x'00')", b"X" * 16, b"X" * 16),
    (
        "part-without-stream",
        "INSERT INTO parts VALUES ('upload', 2, ?, 1, x'00', x'00')",
        b"X" * 16,
        b"X" * 16,
    ),
    ("not-current", "UPDATE versions SET is_current = 0 WHERE object_id = ?", b"M" * 16, b"M" * 16),
    ("bucket-missing", "UPDATE uploads SET bucket_id = x'00' WHERE object_id = ?", PARTED, PARTED),
]


@pytest.mark.parametrize(("what", "damage", "param", "where"), DAMAGES, ids=[damage[0] for damage in DAMAGES])
def test_damaged_rows_are_found(
    sound: SqliteRows, what: str, damage: str, param: bytes, where: bytes
) -> None:
    assert sound.run(damage, (param,)) == 1
    assert Finding(what, where.hex()) in list(inspect_rows(sound))
    assert all(not finding.is_garbage for finding in inspect_rows(sound))


def test_every_kind_of_finding_has_a_meaning_and_a_test() -> None:
    assert set(MEANINGS) == {damage[0] for damage in DAMAGES} | {"blob-unnamed", "blob-missing", "blob-size"}


@pytest.mark.parametrize("at_once", [1, 2, 1000])
def test_blobs_and_rows_are_compared_name_by_name(
    rows: SqliteRows, blobs: FileBlobs, monkeypatch: pytest.MonkeyPatch, at_once: int
) -> None:
    monkeypatch.setattr(inspection, "_AT_ONCE", at_once)
    names = sorted(stored(blobs, b"0123456789") for _ in range(12))
    unnamed, missing, buried, buried_and_gone, short = names[0], names[3], names[4], names[5], names[-1]
    for name in set(names) - {unnamed, buried, buried_and_gone}:
        catalog.insert_streams(rows, [StreamRow(name.encode(), b"S", name)])
    for name in (buried, buried_and_gone):
        catalog.insert_streams(rows, [StreamRow(b"buried" + name.encode(), b"S", name)])
        catalog.bury_object(rows, b"buried" + name.encode(), 1)
    blobs.remove([missing, buried_and_gone])

    def expected(object_id: bytes, stream_id: bytes) -> int | None:
        return {names[-1]: 11, names[-2]: None}.get(object_id.decode(), 10)

    assert list(inspect_blobs(rows, blobs, expected)) == [
        Finding("blob-unnamed", unnamed, 10),
        Finding("blob-missing", missing),
        Finding("blob-size", short, 10),
    ]
    assert [named.name for named in named_blobs(rows)] == names[1:]
    assert [named.object_id == b"" for named in named_blobs(rows)] == [
        name in {buried, buried_and_gone} for name in names[1:]
    ]


def test_trailing_garbage_is_found_after_the_last_named_blob(rows: SqliteRows, blobs: FileBlobs) -> None:
    names = sorted(stored(blobs) for _ in range(3))
    assert [finding.where for finding in inspect_blobs(rows, blobs)] == names
    assert all(finding.is_garbage for finding in inspect_blobs(rows, blobs))
