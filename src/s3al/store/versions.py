"""Rows of object versions: which exist, which is current, what replaces what.

What lives here: DDL and functions over `Rows`. What does not: what the sealed records say (s3.records), listing
(listing), the bytes of a version (streams).

Laws: object keys are UTF-8 bytes and sort bytewise; `sequence` grows within one object key and is decided inside
the transaction; the current version is the one with the greatest sequence, and exactly that one has `is_current`;
there is at most one version 'null' of a key. Whoever removes a version's row buries its streams in the same
transaction.
"""

# ruff: noqa: S608  (SQL text is put together from constants of this file; values are always parameters)
from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, NamedTuple

from s3al.store.database import Rows

NULL_VERSION = "null"

TABLES = """
CREATE TABLE versions (
    bucket_id BLOB NOT NULL,
    object_key BLOB NOT NULL,
    sequence BIGINT NOT NULL,
    version_id TEXT NOT NULL,
    is_current INTEGER NOT NULL,
    is_delete_marker INTEGER NOT NULL,
    last_modified BIGINT NOT NULL,
    object_id BLOB NOT NULL,
    public_record BLOB NOT NULL,
    private_record BLOB NOT NULL,
    tag_record BLOB
);
CREATE UNIQUE INDEX versions_newest ON versions (bucket_id, object_key, sequence DESC);
CREATE UNIQUE INDEX versions_by_id ON versions (bucket_id, object_key, version_id);
CREATE UNIQUE INDEX versions_listed ON versions (bucket_id, object_key) WHERE is_current = 1 AND is_delete_marker = 0;
"""
# Measured with 20,000 keys in random order, bodies of 4 KiB beside them: this heap with three indexes took
# 28 KB of WAL a put and 0.9 ms to list 1,000; clustered by key (WITHOUT ROWID, SQLite only) 30 to 35 KB and 0.5 ms.
# versions_listed leaves delete markers out, so that a million of them cost a listing nothing.

_VERSION = (
    "bucket_id, object_key, sequence, version_id, is_current, is_delete_marker, last_modified, object_id,"
    " public_record, private_record, tag_record"
)
_OF_KEY = "bucket_id = ? AND object_key = ?"
_BY_ID = f"{_OF_KEY} AND version_id = ?"


@dataclass(frozen=True, slots=True)
class VersionRow:
    """One version, or delete marker, of an object key.

    version_id: 'null' or opaque. last_modified: UTC ms. object_id: 16 random bytes. The records arrive sealed;
    tag_record: None means no tags. sequence and is_current are decided by `put_version`, whatever is given.
    """

    bucket_id: bytes
    object_key: bytes
    version_id: str
    last_modified: int
    object_id: bytes
    public_record: bytes = field(repr=False)
    private_record: bytes = field(default=b"", repr=False)
    tag_record: bytes | None = field(default=None, repr=False)
    is_delete_marker: bool = False
    is_current: bool = True
    sequence: int = 0


def _version(row: tuple[object, ...]) -> VersionRow:
    bucket_id, key, sequence, version_id, current, marker, modified, object_id, public, private, tags = row
    return VersionRow(  # positional, in the order of the dataclass: this runs once per request
        bucket_id, key, version_id, modified, object_id, public, private, tags, marker == 1, current == 1, sequence  # type: ignore[arg-type]
    )


def current_version(rows: Rows, bucket_id: bytes, object_key: bytes) -> VersionRow | None:
    """The newest version, which may be a delete marker."""
    row = rows.one(
        f"SELECT {_VERSION} FROM versions WHERE {_OF_KEY} ORDER BY sequence DESC LIMIT 1", (bucket_id, object_key)
    )
    return None if row is None else _version(row)


def find_version(rows: Rows, bucket_id: bytes, object_key: bytes, version_id: str) -> VersionRow | None:
    row = rows.one(f"SELECT {_VERSION} FROM versions WHERE {_BY_ID}", (bucket_id, object_key, version_id))
    return None if row is None else _version(row)


class AgedVersion(NamedTuple):
    """A version as far as its age goes. last_modified: UTC ms."""

    object_key: bytes
    version_id: str
    last_modified: int
    is_delete_marker: bool
    sequence: int


_AGED = "SELECT object_key, version_id, last_modified, is_delete_marker, sequence FROM versions WHERE bucket_id = ?"


def _aged(row: tuple[Any, ...]) -> AgedVersion:
    return AgedVersion(row[0], row[1], row[2], row[3] == 1, row[4])


def aged_versions(rows: Rows, bucket_id: bytes, *, after: bytes, limit: int) -> list[AgedVersion]:
    """All versions and delete markers of the keys beyond `after`, by key, newest first."""
    found = rows.all(
        f"{_AGED} AND object_key > ? ORDER BY object_key, sequence DESC LIMIT ?", (bucket_id, after, limit)
    )
    return [_aged(row) for row in found]


def oldest_versions(rows: Rows, bucket_id: bytes, object_key: bytes, *, after: int, limit: int) -> list[AgedVersion]:
    """Versions and delete markers of one key beyond a sequence, oldest first."""
    found = rows.all(
        f"{_AGED} AND object_key = ? AND sequence > ? ORDER BY sequence LIMIT ?", (bucket_id, object_key, after, limit)
    )
    return [_aged(row) for row in found]


def count_newer(rows: Rows, bucket_id: bytes, object_key: bytes, sequence: int, *, most: int) -> int:
    """How many versions and delete markers of the key are newer, `most` at most."""
    row = rows.one(
        f"SELECT count(*) FROM (SELECT 1 FROM versions WHERE {_OF_KEY} AND sequence > ? LIMIT ?)",
        (bucket_id, object_key, sequence, most),
    )
    return int(row[0]) if row else 0


def put_version(rows: Rows, version: VersionRow) -> list[VersionRow]:
    """Insert `version` as the current one of its key. Returns the rows it replaced, for the caller to bury their
    streams.

    A version 'null' replaces the former 'null' version; any other replaces nothing.
    """
    place = (version.bucket_id, version.object_key)
    newest = rows.one(f"SELECT max(sequence) FROM versions WHERE {_OF_KEY}", place)
    sequence = 1 if newest is None or newest[0] is None else int(newest[0]) + 1
    replaced = []
    if sequence > 1:
        if version.version_id == NULL_VERSION:
            found = rows.all(f"DELETE FROM versions WHERE {_BY_ID} RETURNING {_VERSION}", (*place, NULL_VERSION))
            replaced = [_version(row) for row in found]
        rows.run(f"UPDATE versions SET is_current = 0 WHERE {_OF_KEY} AND is_current = 1", place)
    rows.run(
        f"INSERT INTO versions ({_VERSION}) VALUES (?, ?, ?, ?, 1, ?, ?, ?, ?, ?, ?)",
        (
            *place,
            sequence,
            version.version_id,
            int(version.is_delete_marker),
            version.last_modified,
            version.object_id,
            version.public_record,
            version.private_record,
            version.tag_record,
        ),
    )
    return replaced


def delete_version(rows: Rows, bucket_id: bytes, object_key: bytes, version_id: str) -> VersionRow | None:
    """Remove one version and make the next newest current. Returns the removed row; None if there was none."""
    place = (bucket_id, object_key)
    row = rows.one(f"DELETE FROM versions WHERE {_BY_ID} RETURNING {_VERSION}", (*place, version_id))
    if row is None:
        return None
    removed = _version(row)
    if removed.is_current:
        rows.run(
            f"UPDATE versions SET is_current = 1 WHERE {_OF_KEY}"
            f" AND sequence = (SELECT max(sequence) FROM versions WHERE {_OF_KEY})",
            (*place, *place),
        )
    return removed


def put_records(rows: Rows, version: VersionRow, *, expected_public_record: bytes) -> bool:
    """Replace the records of a version in place (UpdateObjectEncryption) if nobody did so since they were read."""
    changed = rows.run(
        f"UPDATE versions SET public_record = ?, private_record = ?"
        f" WHERE {_BY_ID} AND object_id = ? AND public_record = ?",
        (
            version.public_record,
            version.private_record,
            version.bucket_id,
            version.object_key,
            version.version_id,
            version.object_id,
            expected_public_record,
        ),
    )
    return changed == 1


def put_tag_record(rows: Rows, version: VersionRow, tag_record: bytes | None) -> bool:
    """Replace or remove the tags of exactly this object. Returns False if it is gone or was replaced."""
    changed = rows.run(
        f"UPDATE versions SET tag_record = ? WHERE {_BY_ID} AND object_id = ?",
        (tag_record, version.bucket_id, version.object_key, version.version_id, version.object_id),
    )
    return changed == 1
