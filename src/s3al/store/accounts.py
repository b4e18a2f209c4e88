"""Rows of accounts and access keys.

What lives here: DDL and functions over `Rows`. What does not: how ids and secrets are drawn and sealed (app, iam),
policies.

Laws: a secret arrives sealed and leaves sealed; every function that changes an account or a credential bumps the
change counter itself.
"""

# ruff: noqa: S608  (SQL text is put together from constants of this file; values are always parameters)
from __future__ import annotations

from dataclasses import dataclass, field

from s3al.store.database import Rows
from s3al.store.meta import bump

TABLES = """
CREATE TABLE accounts (
    account_id TEXT PRIMARY KEY,
    canonical_id TEXT NOT NULL UNIQUE,
    name TEXT NOT NULL UNIQUE,
    created_at BIGINT NOT NULL,
    is_operator INTEGER NOT NULL,
    settings TEXT NOT NULL
);
CREATE TABLE access_keys (
    access_key_id TEXT PRIMARY KEY,
    account_id TEXT NOT NULL,
    principal_arn TEXT NOT NULL,
    secret BLOB NOT NULL,
    status TEXT NOT NULL CHECK (status IN ('Active', 'Inactive')),
    created_at BIGINT NOT NULL
);
CREATE INDEX access_keys_by_principal ON access_keys (account_id, principal_arn);
"""

_ACCOUNT = "account_id, canonical_id, name, created_at, is_operator, settings"
_ACCESS_KEY = "access_key_id, account_id, principal_arn, secret, status, created_at"


@dataclass(frozen=True, slots=True)
class AccountRow:
    """account_id: 12 digits. canonical_id: 64 hex digits. settings: JSON object. created_at: UTC ms."""

    account_id: str
    canonical_id: str
    name: str
    created_at: int
    is_operator: bool = False
    settings: str = "{}"


@dataclass(frozen=True, slots=True)
class AccessKeyRow:
    """secret: sealed by the caller. status: Active or Inactive, as IAM names them."""

    access_key_id: str
    account_id: str
    principal_arn: str
    secret: bytes = field(repr=False)
    status: str = "Active"
    created_at: int = 0


def _account(row: tuple[object, ...]) -> AccountRow:
    account_id, canonical_id, name, created_at, is_operator, settings = row
    return AccountRow(account_id, canonical_id, name, created_at, is_operator == 1, settings)  # type: ignore[arg-type]


def create_account(rows: Rows, account: AccountRow) -> bool:
    """Returns False, and changes nothing, if the id, canonical id or name is taken."""
    created = rows.run(
        f"INSERT INTO accounts ({_ACCOUNT}) VALUES (?, ?, ?, ?, ?, ?) ON CONFLICT DO NOTHING",
        (
            account.account_id,
            account.canonical_id,
            account.name,
            account.created_at,
            int(account.is_operator),
            account.settings,
        ),
    )
    if created:
        bump(rows)
    return created == 1


def find_account(rows: Rows, account_id: str) -> AccountRow | None:
    row = rows.one(f"SELECT {_ACCOUNT} FROM accounts WHERE account_id = ?", (account_id,))
    return None if row is None else _account(row)


def find_account_by_canonical_id(rows: Rows, canonical_id: str) -> AccountRow | None:
    row = rows.one(f"SELECT {_ACCOUNT} FROM accounts WHERE canonical_id = ?", (canonical_id,))
    return None if row is None else _account(row)


def find_account_by_name(rows: Rows, name: str) -> AccountRow | None:
    row = rows.one(f"SELECT {_ACCOUNT} FROM accounts WHERE name = ?", (name,))
    return None if row is None else _account(row)


def find_operator(rows: Rows) -> AccountRow | None:
    """The account that operates this store, made at its first start."""
    row = rows.one(f"SELECT {_ACCOUNT} FROM accounts WHERE is_operator = 1 ORDER BY created_at, account_id")
    return None if row is None else _account(row)


def list_accounts(rows: Rows, *, after: str = "", limit: int) -> list[AccountRow]:
    """Accounts by id, beyond account id `after`."""
    found = rows.all(
        f"SELECT {_ACCOUNT} FROM accounts WHERE account_id > ? ORDER BY account_id LIMIT ?", (after, limit)
    )
    return [_account(row) for row in found]


def put_account_settings(rows: Rows, account_id: str, settings: str) -> bool:
    changed = rows.run("UPDATE accounts SET settings = ? WHERE account_id = ?", (settings, account_id))
    bump(rows)
    return changed == 1


def create_access_key(rows: Rows, access_key: AccessKeyRow) -> bool:
    """Returns False, and changes nothing, if the access key id is taken."""
    created = rows.run(
        f"INSERT INTO access_keys ({_ACCESS_KEY}) VALUES (?, ?, ?, ?, ?, ?) ON CONFLICT (access_key_id) DO NOTHING",
        (
            access_key.access_key_id,
            access_key.account_id,
            access_key.principal_arn,
            access_key.secret,
            access_key.status,
            access_key.created_at,
        ),
    )
    if created:
        bump(rows)
    return created == 1


def find_access_key(rows: Rows, access_key_id: str) -> AccessKeyRow | None:
    row = rows.one(f"SELECT {_ACCESS_KEY} FROM access_keys WHERE access_key_id = ?", (access_key_id,))
    return None if row is None else AccessKeyRow(*row)


def list_access_keys(rows: Rows, account_id: str, principal_arn: str | None = None) -> list[AccessKeyRow]:
    """The keys of an account, or of one principal in it, oldest first."""
    of_principal = "" if principal_arn is None else " AND principal_arn = ?"
    params = (account_id,) if principal_arn is None else (account_id, principal_arn)
    found = rows.all(
        f"SELECT {_ACCESS_KEY} FROM access_keys WHERE account_id = ?{of_principal} ORDER BY created_at, access_key_id",
        params,
    )
    return [AccessKeyRow(*row) for row in found]


def put_access_key_status(rows: Rows, access_key_id: str, status: str) -> bool:
    changed = rows.run("UPDATE access_keys SET status = ? WHERE access_key_id = ?", (status, access_key_id))
    bump(rows)
    return changed == 1


def delete_access_key(rows: Rows, access_key_id: str) -> bool:
    removed = rows.run("DELETE FROM access_keys WHERE access_key_id = ?", (access_key_id,))
    bump(rows)
    return removed == 1


def delete_access_keys_of(rows: Rows, account_id: str, principal_arn: str) -> int:
    """All keys of one principal: a root whose key is replaced, a user that is deleted."""
    removed = rows.run(
        "DELETE FROM access_keys WHERE account_id = ? AND principal_arn = ?", (account_id, principal_arn)
    )
    bump(rows)
    return removed
