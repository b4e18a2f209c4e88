"""Facts about the whole store, one row each, and the change counter.

What lives here: `meta` rows and the counter that makes revocation immediate. What does not: the migrations
(schema).

Law of the counter: whoever changes what authorization or a handler may cache (credentials, policies, grants, key
states, buckets and their settings, account settings) calls `bump` in the same transaction; a cache is valid for one
value.
"""

from __future__ import annotations

from s3al.store.database import Rows

TABLES = """
CREATE TABLE meta (
    name TEXT PRIMARY KEY,
    value TEXT NOT NULL
);
CREATE TABLE change_counter (
    only_row INTEGER PRIMARY KEY CHECK (only_row = 1),
    value BIGINT NOT NULL
);
INSERT INTO change_counter (only_row, value) VALUES (1, 1);
"""


def change_counter(rows: Rows) -> int:
    """The value for which caches filled from these rows are valid."""
    row = rows.one("SELECT value FROM change_counter WHERE only_row = 1")
    assert row is not None
    return int(row[0])


def bump(rows: Rows) -> None:
    """Make every cache of every worker stale as of this transaction. More than once does no harm."""
    rows.run("UPDATE change_counter SET value = value + 1 WHERE only_row = 1")


def get_meta(rows: Rows, name: str) -> str | None:
    row = rows.one("SELECT value FROM meta WHERE name = ?", (name,))
    return None if row is None else str(row[0])


def put_meta(rows: Rows, name: str, value: str) -> None:
    rows.run(
        "INSERT INTO meta (name, value) VALUES (?, ?) ON CONFLICT (name) DO UPDATE SET value = excluded.value",
        (name, value),
    )
