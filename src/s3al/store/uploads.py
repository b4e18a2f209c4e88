"""Rows of multipart uploads in progress and of their parts.

What lives here: DDL and functions over `Rows`. What does not: the rules of CompleteMultipartUpload (s3), listing
uploads (listing), the bytes of parts (streams, under the upload's object id).

Laws: putting a part again replaces it; who removes a part or an upload buries the streams in the same transaction.
"""

# ruff: noqa: S608  (SQL text is put together from constants of this file; values are always parameters)
from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from s3al.store.database import Rows

TABLES = """
CREATE TABLE uploads (
    upload_id TEXT PRIMARY KEY,
    bucket_id BLOB NOT NULL,
    object_key BLOB NOT NULL,
    object_id BLOB NOT NULL,
    initiated_at BIGINT NOT NULL,
    account_id TEXT NOT NULL,
    record BLOB NOT NULL
);
CREATE INDEX uploads_by_key ON uploads (bucket_id, object_key, initiated_at, upload_id);
CREATE TABLE parts (
    upload_id TEXT NOT NULL,
    part_number INTEGER NOT NULL,
    stream_id BLOB NOT NULL,
    last_modified BIGINT NOT NULL,
    public_record BLOB NOT NULL,
    private_record BLOB NOT NULL,
    PRIMARY KEY (upload_id, part_number)
);
"""

_UPLOAD = "upload_id, bucket_id, object_key, object_id, initiated_at, account_id, record"
_PART = "upload_id, part_number, stream_id, last_modified, public_record, private_record"


@dataclass(frozen=True, slots=True)
class UploadRow:
    """initiated_at: UTC ms. object_id: that of the object to be. record: sealed."""

    upload_id: str
    bucket_id: bytes
    object_key: bytes
    object_id: bytes
    initiated_at: int
    account_id: str
    record: bytes = field(repr=False)


@dataclass(frozen=True, slots=True)
class PartRow:
    """part_number: 1 to 10,000. last_modified: UTC ms. The records are sealed and hold size, ETag and checksums."""

    upload_id: str
    part_number: int
    stream_id: bytes
    last_modified: int
    public_record: bytes = field(repr=False)
    private_record: bytes = field(default=b"", repr=False)


def insert_upload(rows: Rows, upload: UploadRow) -> None:
    rows.run(
        f"INSERT INTO uploads ({_UPLOAD}) VALUES (?, ?, ?, ?, ?, ?, ?)",
        (
            upload.upload_id,
            upload.bucket_id,
            upload.object_key,
            upload.object_id,
            upload.initiated_at,
            upload.account_id,
            upload.record,
        ),
    )


def find_upload(rows: Rows, upload_id: str) -> UploadRow | None:
    row = rows.one(f"SELECT {_UPLOAD} FROM uploads WHERE upload_id = ?", (upload_id,))
    return None if row is None else UploadRow(*row)


def uploads_of_bucket(rows: Rows, bucket_id: bytes, limit: int) -> list[UploadRow]:
    found = rows.all(f"SELECT {_UPLOAD} FROM uploads WHERE bucket_id = ? LIMIT ?", (bucket_id, limit))
    return [UploadRow(*row) for row in found]


def uploads_begun_before(
    rows: Rows, bucket_id: bytes, before_ms: int, *, prefix: bytes = b"", limit: int
) -> list[UploadRow]:
    """Those of keys with the prefix that were begun before a moment (UTC ms)."""
    found = rows.all(
        f"SELECT {_UPLOAD} FROM uploads WHERE bucket_id = ? AND initiated_at < ? AND object_key >= ?"
        " AND substr(object_key, 1, ?) = ? ORDER BY object_key LIMIT ?",
        (bucket_id, before_ms, prefix, len(prefix), prefix, limit),
    )
    return [UploadRow(*row) for row in found]


def delete_upload(rows: Rows, upload_id: str) -> bool:
    """Remove the upload and its parts' rows; not their streams. Returns False if there was none."""
    rows.run("DELETE FROM parts WHERE upload_id = ?", (upload_id,))
    return rows.run("DELETE FROM uploads WHERE upload_id = ?", (upload_id,)) == 1


def put_part(rows: Rows, part: PartRow) -> PartRow | None:
    """Insert or replace a part. Returns the part it replaced, for the caller to bury its stream."""
    replaced = find_part(rows, part.upload_id, part.part_number)
    rows.run(
        f"INSERT INTO parts ({_PART}) VALUES (?, ?, ?, ?, ?, ?) ON CONFLICT (upload_id, part_number) DO UPDATE"
        " SET stream_id = excluded.stream_id, last_modified = excluded.last_modified,"
        " public_record = excluded.public_record, private_record = excluded.private_record",
        (
            part.upload_id,
            part.part_number,
            part.stream_id,
            part.last_modified,
            part.public_record,
            part.private_record,
        ),
    )
    return replaced


def find_part(rows: Rows, upload_id: str, part_number: int) -> PartRow | None:
    row = rows.one(f"SELECT {_PART} FROM parts WHERE upload_id = ? AND part_number = ?", (upload_id, part_number))
    return None if row is None else PartRow(*row)


def list_parts(rows: Rows, upload_id: str, *, after: int = 0, limit: int = 10_000) -> list[PartRow]:
    """Parts by number, beyond part number `after`."""
    found = rows.all(
        f"SELECT {_PART} FROM parts WHERE upload_id = ? AND part_number > ? ORDER BY part_number LIMIT ?",
        (upload_id, after, limit),
    )
    return [PartRow(*row) for row in found]


def find_parts(rows: Rows, upload_id: str, part_numbers: Sequence[int]) -> dict[int, PartRow]:
    """The parts among `part_numbers` that exist, by number."""
    wanted = set(part_numbers)
    return {part.part_number: part for part in list_parts(rows, upload_id) if part.part_number in wanted}
