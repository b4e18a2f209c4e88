"""Rows of grants on keys.

What lives here: DDL and functions over `Rows`. What does not: what a grant allows (kms.grants).

Laws: a grant is inserted and removed, never changed; it belongs to a key in one region. Callers also call
`catalog.bump`.
"""

# ruff: noqa: S608  (what is joined into statements are constants of this file; values are always parameters)

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import astuple, dataclass, field

from s3al.store.database import Rows

TABLES = """
CREATE TABLE kms_grants (
    grant_id TEXT PRIMARY KEY,
    key_id TEXT NOT NULL,
    region TEXT NOT NULL,
    account_id TEXT NOT NULL,
    grantee TEXT NOT NULL,
    retiring TEXT NOT NULL,
    name TEXT NOT NULL,
    operations TEXT NOT NULL,
    constraints TEXT NOT NULL,
    issuing_account TEXT NOT NULL,
    created_at BIGINT NOT NULL,
    token_key BLOB NOT NULL
);
CREATE INDEX kms_grants_by_key ON kms_grants (key_id, region, grant_id);
CREATE INDEX kms_grants_by_grantee ON kms_grants (key_id, region, grantee);
CREATE INDEX kms_grants_by_retiring ON kms_grants (retiring, grant_id) WHERE retiring <> '';
"""


@dataclass(frozen=True, slots=True)
class GrantRow:
    """A grant as stored. account_id: the key's. retiring, name: "" if the grant has none. operations: joined by spaces.
    constraints: canonical JSON. token_key: 32 bytes that authenticate the grant's tokens."""

    grant_id: str
    key_id: str
    region: str
    account_id: str
    grantee: str
    retiring: str
    name: str
    operations: str
    constraints: str
    issuing_account: str
    created_at: int
    token_key: bytes = field(repr=False)

    @property
    def key_arn(self) -> str:
        return f"arn:aws:kms:{self.region}:{self.account_id}:key/{self.key_id}"


_GRANT = (
    "grant_id, key_id, region, account_id, grantee, retiring, name, operations, constraints, issuing_account,"
    " created_at, token_key"
)


def insert_grant(rows: Rows, grant: GrantRow) -> None:
    rows.run(f"INSERT INTO kms_grants ({_GRANT}) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)", astuple(grant))


def find_grant(rows: Rows, grant_id: str) -> GrantRow | None:
    row = rows.one(f"SELECT {_GRANT} FROM kms_grants WHERE grant_id = ?", (grant_id,))
    return None if row is None else GrantRow(*row)


def delete_grant(rows: Rows, grant_id: str) -> None:
    rows.run("DELETE FROM kms_grants WHERE grant_id = ?", (grant_id,))


def count_grants(rows: Rows, key_id: str, region: str) -> int:
    row = rows.one("SELECT count(*) FROM kms_grants WHERE key_id = ? AND region = ?", (key_id, region))
    return int(row[0]) if row else 0


def grants_to(rows: Rows, key_id: str, region: str, grantees: Sequence[str]) -> list[GrantRow]:
    """The grants on a key to any of these principals."""
    marks = ", ".join("?" for _ in grantees)
    found = rows.all(
        f"SELECT {_GRANT} FROM kms_grants WHERE key_id = ? AND region = ? AND grantee IN ({marks}) ORDER BY grant_id",
        (key_id, region, *grantees),
    )
    return [GrantRow(*row) for row in found]


def named_grants(rows: Rows, key_id: str, region: str, name: str) -> list[GrantRow]:
    found = rows.all(
        f"SELECT {_GRANT} FROM kms_grants WHERE key_id = ? AND region = ? AND name = ? ORDER BY grant_id",
        (key_id, region, name),
    )
    return [GrantRow(*row) for row in found]


def list_grants(
    rows: Rows, key_id: str, region: str, *, grantee: str = "", grant_id: str = "", after: str = "", limit: int = 100
) -> list[GrantRow]:
    """Grants on a key by id, beyond `after`; of one grantee, or the one of that id, if given."""
    wanted = [(column, value) for column, value in (("grantee", grantee), ("grant_id", grant_id)) if value]
    also = "".join(f" AND {column} = ?" for column, _ in wanted)
    found = rows.all(
        f"SELECT {_GRANT} FROM kms_grants WHERE key_id = ? AND region = ? AND grant_id > ?{also}"
        " ORDER BY grant_id LIMIT ?",
        (key_id, region, after, *(value for _, value in wanted), limit),
    )
    return [GrantRow(*row) for row in found]


def retirable_grants(rows: Rows, retiring: str, region: str, *, after: str = "", limit: int = 100) -> list[GrantRow]:
    """Grants on keys of any account that this principal may retire, by id, beyond `after`."""
    found = rows.all(
        f"SELECT {_GRANT} FROM kms_grants WHERE retiring = ? AND region = ? AND grant_id > ? ORDER BY grant_id LIMIT ?",
        (retiring, region, after, limit),
    )
    return [GrantRow(*row) for row in found]
