"""Rows of when each key was last used, and for what.

What lives here: DDL and functions over `Rows`. What does not: when they are written (kms.usage).

Law: one row per key and region, of its newest use; an older use never replaces a newer one.
"""

from __future__ import annotations

from dataclasses import dataclass

from s3al.store.database import Rows

TABLES = """
CREATE TABLE kms_usage (
    key_id TEXT NOT NULL,
    region TEXT NOT NULL,
    operation TEXT NOT NULL,
    used_at BIGINT NOT NULL,
    request_id TEXT NOT NULL,
    PRIMARY KEY (key_id, region)
);
"""


@dataclass(frozen=True, slots=True)
class Use:
    """used_at: UTC ms."""

    operation: str
    used_at: int
    request_id: str


def record_use(rows: Rows, key_id: str, region: str, use: Use) -> None:
    rows.run(
        "INSERT INTO kms_usage (key_id, region, operation, used_at, request_id) VALUES (?, ?, ?, ?, ?)"
        " ON CONFLICT (key_id, region) DO UPDATE SET operation = excluded.operation, used_at = excluded.used_at,"
        " request_id = excluded.request_id WHERE excluded.used_at >= kms_usage.used_at",
        (key_id, region, use.operation, use.used_at, use.request_id),
    )


def last_use(rows: Rows, key_id: str, region: str) -> Use | None:
    row = rows.one(
        "SELECT operation, used_at, request_id FROM kms_usage WHERE key_id = ? AND region = ?", (key_id, region)
    )
    return None if row is None else Use(*row)
