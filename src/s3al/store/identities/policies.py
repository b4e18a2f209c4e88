"""Rows of policies: inline, managed with their versions, attachments; and what all of a principal's say.

What lives here: DDL and functions over `Rows`. What does not: what policies mean (auth), quotas (iam).

Laws: versions are numbered on and never again; a managed policy that is deleted takes versions and attachments along.
"""

# ruff: noqa: S608  (SQL text is put together from constants of this file; values are always parameters)
from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from s3al.store.database import Rows
from s3al.store.identities.aws_managed import AWS_MANAGED
from s3al.store.meta import bump

TABLES = """
CREATE TABLE inline_policies (
    holder_arn TEXT NOT NULL,
    name TEXT NOT NULL,
    document TEXT NOT NULL,
    PRIMARY KEY (holder_arn, name)
);
CREATE TABLE managed_policies (
    arn TEXT PRIMARY KEY,
    account_id TEXT NOT NULL,
    name TEXT NOT NULL,
    folded TEXT NOT NULL,
    path TEXT NOT NULL,
    policy_id TEXT NOT NULL UNIQUE,
    description TEXT NOT NULL,
    created_at BIGINT NOT NULL,
    updated_at BIGINT NOT NULL,
    default_version INTEGER NOT NULL,
    last_version INTEGER NOT NULL,
    tags TEXT NOT NULL,
    UNIQUE (account_id, folded)
);
CREATE TABLE policy_versions (
    policy_arn TEXT NOT NULL,
    version INTEGER NOT NULL,
    document TEXT NOT NULL,
    created_at BIGINT NOT NULL,
    PRIMARY KEY (policy_arn, version)
);
CREATE TABLE policy_attachments (
    holder_arn TEXT NOT NULL,
    policy_arn TEXT NOT NULL,
    PRIMARY KEY (holder_arn, policy_arn)
);
CREATE INDEX policy_attachments_by_policy ON policy_attachments (policy_arn);
"""

Tags = Mapping[str, str]


@dataclass(frozen=True, slots=True)
class NamedDocument:
    """A policy as a decision names it, and its JSON."""

    name: str
    text: str = field(repr=False)


@dataclass(frozen=True, slots=True)
class ManagedPolicyRow:
    """default_version, last_version: 1 for `v1`. Versions are numbered on, never again."""

    arn: str
    policy_id: str
    account_id: str
    name: str
    path: str
    created_at: int
    updated_at: int
    default_version: int = 1
    last_version: int = 1
    description: str = ""
    tags: Tags = field(default_factory=dict, hash=False)


@dataclass(frozen=True, slots=True)
class PolicyVersionRow:
    version: int
    document: str
    created_at: int


# --- inline policies


def put_inline_policy(rows: Rows, holder_arn: str, name: str, document: str) -> None:
    rows.run(
        "INSERT INTO inline_policies (holder_arn, name, document) VALUES (?, ?, ?)"
        " ON CONFLICT (holder_arn, name) DO UPDATE SET document = excluded.document",
        (holder_arn, name, document),
    )
    bump(rows)


def find_inline_policy(rows: Rows, holder_arn: str, name: str) -> str | None:
    row = rows.one("SELECT document FROM inline_policies WHERE holder_arn = ? AND name = ?", (holder_arn, name))
    return None if row is None else str(row[0])


def list_inline_policies(rows: Rows, holder_arn: str) -> list[tuple[str, str]]:
    """(name, document) by name."""
    found = rows.all("SELECT name, document FROM inline_policies WHERE holder_arn = ? ORDER BY name", (holder_arn,))
    return [(str(name), str(document)) for name, document in found]


def delete_inline_policy(rows: Rows, holder_arn: str, name: str) -> bool:
    removed = rows.run("DELETE FROM inline_policies WHERE holder_arn = ? AND name = ?", (holder_arn, name))
    bump(rows)
    return removed == 1


# --- managed policies

_POLICY = (
    "arn, policy_id, account_id, name, path, created_at, updated_at, default_version, last_version, description, tags"
)


def _policy(row: tuple[Any, ...]) -> ManagedPolicyRow:
    columns: Any = (*row[:-1], json.loads(row[-1]))
    return ManagedPolicyRow(*columns)


def create_managed_policy(rows: Rows, policy: ManagedPolicyRow, document: str) -> bool:
    """With its version 1. Returns False, and changes nothing, if the account has one of this name."""
    created = rows.run(
        f"INSERT INTO managed_policies ({_POLICY}, folded) VALUES ({', '.join('?' * 12)}) ON CONFLICT DO NOTHING",
        (
            policy.arn,
            policy.policy_id,
            policy.account_id,
            policy.name,
            policy.path,
            policy.created_at,
            policy.updated_at,
            policy.default_version,
            policy.last_version,
            policy.description,
            json.dumps(dict(policy.tags)),
            policy.name.lower(),
        ),
    )
    if not created:
        return False
    _add_version(rows, policy.arn, PolicyVersionRow(1, document, policy.created_at))
    bump(rows)
    return True


def change_managed_policy(rows: Rows, policy: ManagedPolicyRow) -> None:
    """Default version, last version, time of update, tags."""
    rows.run(
        "UPDATE managed_policies SET updated_at = ?, default_version = ?, last_version = ?, tags = ? WHERE arn = ?",
        (policy.updated_at, policy.default_version, policy.last_version, json.dumps(dict(policy.tags)), policy.arn),
    )
    bump(rows)


def find_managed_policy(rows: Rows, arn: str) -> ManagedPolicyRow | None:
    row = rows.one(f"SELECT {_POLICY} FROM managed_policies WHERE arn = ?", (arn,))
    return None if row is None else _policy(row)


def list_managed_policies(
    rows: Rows, account_id: str, *, path_prefix: str = "/", after: str = "", limit: int
) -> list[ManagedPolicyRow]:
    found = rows.all(
        f"SELECT {_POLICY} FROM managed_policies WHERE account_id = ? AND substr(path, 1, ?) = ? AND folded > ?"
        " ORDER BY folded LIMIT ?",
        (account_id, len(path_prefix), path_prefix, after.lower(), limit),
    )
    return [_policy(row) for row in found]


def count_managed_policies(rows: Rows, account_id: str) -> int:
    return int(rows.all("SELECT count(*) FROM managed_policies WHERE account_id = ?", (account_id,))[0][0])


def count_policy_versions(rows: Rows, account_id: str) -> int:
    """Of all policies of the account."""
    found = rows.all(
        "SELECT count(*) FROM policy_versions v JOIN managed_policies p ON p.arn = v.policy_arn"
        " WHERE p.account_id = ?",
        (account_id,),
    )
    return int(found[0][0])


def delete_managed_policy(rows: Rows, arn: str) -> bool:
    removed = rows.run("DELETE FROM managed_policies WHERE arn = ?", (arn,))
    rows.run("DELETE FROM policy_versions WHERE policy_arn = ?", (arn,))
    rows.run("DELETE FROM policy_attachments WHERE policy_arn = ?", (arn,))
    bump(rows)
    return removed == 1


def _add_version(rows: Rows, policy_arn: str, version: PolicyVersionRow) -> None:
    rows.run(
        "INSERT INTO policy_versions (policy_arn, version, document, created_at) VALUES (?, ?, ?, ?)",
        (policy_arn, version.version, version.document, version.created_at),
    )


def add_policy_version(rows: Rows, policy: ManagedPolicyRow, version: PolicyVersionRow) -> None:
    """policy: as it is to be, with the new last version."""
    _add_version(rows, policy.arn, version)
    change_managed_policy(rows, policy)


def list_policy_versions(rows: Rows, policy_arn: str) -> list[PolicyVersionRow]:
    """The newest first."""
    found = rows.all(
        "SELECT version, document, created_at FROM policy_versions WHERE policy_arn = ? ORDER BY version DESC",
        (policy_arn,),
    )
    return [PolicyVersionRow(*row) for row in found]


def delete_policy_version(rows: Rows, policy_arn: str, version: int) -> bool:
    removed = rows.run("DELETE FROM policy_versions WHERE policy_arn = ? AND version = ?", (policy_arn, version))
    bump(rows)
    return removed == 1


def managed_policy_document(rows: Rows, arn: str) -> NamedDocument | None:
    """The default version; AWS's own policies are known without a row."""
    if arn in AWS_MANAGED:
        return NamedDocument(arn, AWS_MANAGED[arn])
    row = rows.one(
        "SELECT v.document FROM managed_policies p JOIN policy_versions v"
        " ON v.policy_arn = p.arn AND v.version = p.default_version WHERE p.arn = ?",
        (arn,),
    )
    return None if row is None else NamedDocument(arn, str(row[0]))


# --- attachments


def attach_policy(rows: Rows, holder_arn: str, policy_arn: str) -> None:
    rows.run(
        "INSERT INTO policy_attachments (holder_arn, policy_arn) VALUES (?, ?) ON CONFLICT DO NOTHING",
        (holder_arn, policy_arn),
    )
    bump(rows)


def detach_policy(rows: Rows, holder_arn: str, policy_arn: str) -> bool:
    removed = rows.run(
        "DELETE FROM policy_attachments WHERE holder_arn = ? AND policy_arn = ?", (holder_arn, policy_arn)
    )
    bump(rows)
    return removed == 1


def attached_policies(rows: Rows, holder_arn: str) -> list[str]:
    found = rows.all("SELECT policy_arn FROM policy_attachments WHERE holder_arn = ? ORDER BY 1", (holder_arn,))
    return [str(arn) for (arn,) in found]


def holders_of(rows: Rows, policy_arn: str) -> list[str]:
    """ARNs of whatever the policy is attached to."""
    found = rows.all("SELECT holder_arn FROM policy_attachments WHERE policy_arn = ? ORDER BY 1", (policy_arn,))
    return [str(arn) for (arn,) in found]


def bounded_by(rows: Rows, policy_arn: str) -> list[str]:
    """ARNs of users and roles whose permissions boundary it is."""
    found = rows.all("SELECT arn FROM identities WHERE boundary_arn = ? ORDER BY 1", (policy_arn,))
    return [str(arn) for (arn,) in found]
