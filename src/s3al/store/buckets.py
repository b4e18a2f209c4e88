"""Rows of buckets and of their settings.

What lives here: DDL and functions over `Rows`. What does not: what a setting means (s3), which names are allowed
(s3).

Laws: a bucket id is drawn at random and never used again, so that a bucket and its later namesake share nothing;
names are unique over all accounts; every function that changes a bucket or a setting bumps the change counter
itself.
"""

# ruff: noqa: S608  (SQL text is put together from constants of this file; values are always parameters)
from __future__ import annotations

from dataclasses import dataclass

from s3al.store.database import Rows
from s3al.store.meta import bump

TABLES = """
CREATE TABLE buckets (
    bucket_id BLOB PRIMARY KEY,
    name TEXT NOT NULL UNIQUE,
    account_id TEXT NOT NULL,
    region TEXT NOT NULL,
    created_at BIGINT NOT NULL
);
CREATE INDEX buckets_by_account ON buckets (account_id, name);
CREATE TABLE bucket_settings (
    bucket_id BLOB NOT NULL,
    setting TEXT NOT NULL,
    document BLOB NOT NULL,
    PRIMARY KEY (bucket_id, setting)
);
"""

_BUCKET = "bucket_id, name, account_id, region, created_at"


@dataclass(frozen=True, slots=True)
class BucketRow:
    """bucket_id: 16 random bytes. created_at: UTC ms."""

    bucket_id: bytes
    name: str
    account_id: str
    region: str
    created_at: int


def create_bucket(rows: Rows, bucket: BucketRow) -> bool:
    """Returns False, and changes nothing, if the name is taken by any account."""
    created = rows.run(
        f"INSERT INTO buckets ({_BUCKET}) VALUES (?, ?, ?, ?, ?) ON CONFLICT (name) DO NOTHING",
        (bucket.bucket_id, bucket.name, bucket.account_id, bucket.region, bucket.created_at),
    )
    if created:
        bump(rows)
    return created == 1


def find_bucket(rows: Rows, name: str) -> BucketRow | None:
    row = rows.one(f"SELECT {_BUCKET} FROM buckets WHERE name = ?", (name,))
    return None if row is None else BucketRow(*row)


def find_bucket_by_id(rows: Rows, bucket_id: bytes) -> BucketRow | None:
    row = rows.one(f"SELECT {_BUCKET} FROM buckets WHERE bucket_id = ?", (bucket_id,))
    return None if row is None else BucketRow(*row)


def bucket_is_empty(rows: Rows, bucket_id: bytes) -> bool:
    """True if it holds no version and no delete marker. Unfinished uploads do not count, as in S3."""
    return rows.one("SELECT 1 FROM versions WHERE bucket_id = ? LIMIT 1", (bucket_id,)) is None


def delete_bucket(rows: Rows, bucket_id: bytes) -> None:
    """Delete the bucket and its settings. The caller has checked `bucket_is_empty` and aborted the uploads."""
    rows.run("DELETE FROM bucket_settings WHERE bucket_id = ?", (bucket_id,))
    rows.run("DELETE FROM buckets WHERE bucket_id = ?", (bucket_id,))
    bump(rows)


def list_buckets(rows: Rows, account_id: str, *, prefix: str = "", after: str = "", limit: int) -> list[BucketRow]:
    """Buckets of the account whose name begins with `prefix` and sorts beyond `after`, by name."""
    found = rows.all(
        f"SELECT {_BUCKET} FROM buckets WHERE account_id = ? AND name > ? AND name >= ?"
        " AND substr(name, 1, length(?)) = ? ORDER BY name LIMIT ?",
        (account_id, after, prefix, prefix, prefix, limit),
    )
    return [BucketRow(*row) for row in found]


def count_buckets(rows: Rows, account_id: str) -> int:
    row = rows.one("SELECT count(*) FROM buckets WHERE account_id = ?", (account_id,))
    return int(row[0]) if row else 0


def get_setting(rows: Rows, bucket_id: bytes, setting: str) -> bytes | None:
    row = rows.one("SELECT document FROM bucket_settings WHERE bucket_id = ? AND setting = ?", (bucket_id, setting))
    return None if row is None else bytes(row[0])


def next_with_setting(rows: Rows, setting: str, after: bytes) -> bytes | None:
    """The least bucket id beyond `after` that has the setting, for jobs that visit all such buckets."""
    row = rows.one(
        "SELECT bucket_id FROM bucket_settings WHERE setting = ? AND bucket_id > ? ORDER BY bucket_id LIMIT 1",
        (setting, after),
    )
    return None if row is None else bytes(row[0])


def get_settings(rows: Rows, bucket_id: bytes) -> dict[str, bytes]:
    return dict(rows.all("SELECT setting, document FROM bucket_settings WHERE bucket_id = ?", (bucket_id,)))


def put_setting(rows: Rows, bucket_id: bytes, setting: str, document: bytes) -> None:
    rows.run(
        "INSERT INTO bucket_settings (bucket_id, setting, document) VALUES (?, ?, ?)"
        " ON CONFLICT (bucket_id, setting) DO UPDATE SET document = excluded.document",
        (bucket_id, setting, document),
    )
    bump(rows)


def delete_setting(rows: Rows, bucket_id: bytes, setting: str) -> None:
    rows.run("DELETE FROM bucket_settings WHERE bucket_id = ? AND setting = ?", (bucket_id, setting))
    bump(rows)
