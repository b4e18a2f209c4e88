"""Rows of what keys are called: aliases and tags.

What lives here: DDL and functions over `Rows`. What does not: the keys (keystore), what names are allowed (kms).

Laws: each belongs to a key in one region; a multi-Region key has its own in every region. Both can change what is
authorized, so that every change bumps the change counter here.
"""

# ruff: noqa: S608  (what is joined into statements are constants of this file; values are always parameters)

from __future__ import annotations

from dataclasses import astuple, dataclass
from typing import Protocol

from s3al.store.database import Rows
from s3al.store.meta import bump
from s3al.store.settled import settled

TABLES = """
CREATE TABLE kms_aliases (
    account_id TEXT NOT NULL,
    region TEXT NOT NULL,
    alias_name TEXT NOT NULL,
    key_id TEXT NOT NULL,
    created_at BIGINT NOT NULL,
    updated_at BIGINT NOT NULL,
    PRIMARY KEY (account_id, region, alias_name)
);
CREATE INDEX kms_aliases_by_key ON kms_aliases (key_id, region, alias_name);
CREATE TABLE kms_tags (
    key_id TEXT NOT NULL,
    region TEXT NOT NULL,
    tag_key TEXT NOT NULL,
    tag_value TEXT NOT NULL,
    PRIMARY KEY (key_id, region, tag_key)
);
"""


class NamedRow(Protocol):
    """A key's row, as far as names hang on it."""

    @property
    def key_id(self) -> str: ...

    @property
    def region(self) -> str: ...


@dataclass(frozen=True, slots=True)
class AliasRow:
    account_id: str
    region: str
    alias_name: str
    key_id: str
    created_at: int
    updated_at: int

    @property
    def arn(self) -> str:
        return f"arn:aws:kms:{self.region}:{self.account_id}:{self.alias_name}"


_ALIAS = "account_id, region, alias_name, key_id, created_at, updated_at"


def insert_alias(rows: Rows, alias: AliasRow) -> bool:
    """Returns False if the name is taken in this account and region."""
    changed = rows.run(
        f"INSERT INTO kms_aliases ({_ALIAS}) VALUES (?, ?, ?, ?, ?, ?)"
        " ON CONFLICT (account_id, region, alias_name) DO NOTHING",
        astuple(alias),
    )
    if changed:
        bump(rows)
    return changed == 1


def find_alias(rows: Rows, account_id: str, region: str, alias_name: str) -> AliasRow | None:
    return settled(rows, _find_alias, account_id, region, alias_name)


def _find_alias(rows: Rows, account_id: str, region: str, alias_name: str) -> AliasRow | None:
    row = rows.one(
        f"SELECT {_ALIAS} FROM kms_aliases WHERE account_id = ? AND region = ? AND alias_name = ?",
        (account_id, region, alias_name),
    )
    return None if row is None else AliasRow(*row)


def point_alias(rows: Rows, alias: AliasRow, key_id: str, now_ms: int) -> None:
    rows.run(
        "UPDATE kms_aliases SET key_id = ?, updated_at = ? WHERE account_id = ? AND region = ? AND alias_name = ?",
        (key_id, now_ms, alias.account_id, alias.region, alias.alias_name),
    )
    bump(rows)


def delete_alias(rows: Rows, alias: AliasRow) -> None:
    rows.run(
        "DELETE FROM kms_aliases WHERE account_id = ? AND region = ? AND alias_name = ?",
        (alias.account_id, alias.region, alias.alias_name),
    )
    bump(rows)


def list_aliases(
    rows: Rows, account_id: str, region: str, *, key_id: str | None = None, after: str = "", limit: int = 100
) -> list[AliasRow]:
    """Aliases by name, beyond `after`; of one key, if given."""
    of_key = "" if key_id is None else " AND key_id = ?"
    parameters = (account_id, region, after, *(() if key_id is None else (key_id,)), limit)
    found = rows.all(
        f"SELECT {_ALIAS} FROM kms_aliases WHERE account_id = ? AND region = ? AND alias_name > ?{of_key}"
        " ORDER BY alias_name LIMIT ?",
        parameters,
    )
    return [AliasRow(*row) for row in found]


def aliases_of(rows: Rows, key: NamedRow) -> list[str]:
    found = rows.all(
        "SELECT alias_name FROM kms_aliases WHERE key_id = ? AND region = ? ORDER BY alias_name",
        (key.key_id, key.region),
    )
    return [str(row[0]) for row in found]


# --- tags


def get_tags(rows: Rows, key: NamedRow) -> dict[str, str]:
    found = rows.all(
        "SELECT tag_key, tag_value FROM kms_tags WHERE key_id = ? AND region = ? ORDER BY tag_key",
        (key.key_id, key.region),
    )
    return {str(name): str(value) for name, value in found}


def put_tag(rows: Rows, key: NamedRow, tag_key: str, tag_value: str) -> None:
    rows.run(
        "INSERT INTO kms_tags (key_id, region, tag_key, tag_value) VALUES (?, ?, ?, ?)"
        " ON CONFLICT (key_id, region, tag_key) DO UPDATE SET tag_value = excluded.tag_value",
        (key.key_id, key.region, tag_key, tag_value),
    )
    bump(rows)


def delete_tag(rows: Rows, key: NamedRow, tag_key: str) -> None:
    rows.run("DELETE FROM kms_tags WHERE key_id = ? AND region = ? AND tag_key = ?", (key.key_id, key.region, tag_key))
    bump(rows)
