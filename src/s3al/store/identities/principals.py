"""Rows of users, groups and roles, and who is in which group.

What lives here: DDL and functions over `Rows`. What does not: their access keys (accounts), their policies (policies),
names and quotas (iam).

Laws: ids are drawn by the caller and never reused; names are unique in an account without regard to case; who is
deleted takes memberships, inline policies, attachments and access keys along, so that nothing lives on in a namesake.
"""

# ruff: noqa: S608  (SQL text is put together from constants of this file; values are always parameters)
from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from s3al.store.database import Rows
from s3al.store.identities.policies import (
    NamedDocument,
    attached_policies,
    list_inline_policies,
    managed_policy_document,
)
from s3al.store.meta import bump

TABLES = """
CREATE TABLE identities (
    arn TEXT PRIMARY KEY,
    kind TEXT NOT NULL CHECK (kind IN ('user', 'group', 'role')),
    account_id TEXT NOT NULL,
    name TEXT NOT NULL,
    folded TEXT NOT NULL,
    path TEXT NOT NULL,
    unique_id TEXT NOT NULL UNIQUE,
    created_at BIGINT NOT NULL,
    boundary_arn TEXT,
    tags TEXT NOT NULL,
    trust_policy TEXT NOT NULL,
    max_session_duration INTEGER NOT NULL,
    description TEXT NOT NULL,
    UNIQUE (account_id, kind, folded)
);
CREATE TABLE group_members (
    group_arn TEXT NOT NULL,
    user_arn TEXT NOT NULL,
    PRIMARY KEY (group_arn, user_arn)
);
CREATE INDEX group_members_by_user ON group_members (user_arn);
"""

Tags = Mapping[str, str]


@dataclass(frozen=True, slots=True)
class UserRow:
    """path: begins and ends with a slash. created_at: UTC ms. boundary_arn: of a managed policy."""

    arn: str
    user_id: str
    account_id: str
    name: str
    path: str
    created_at: int
    boundary_arn: str | None = None
    tags: Tags = field(default_factory=dict, hash=False)


@dataclass(frozen=True, slots=True)
class GroupRow:
    arn: str
    group_id: str
    account_id: str
    name: str
    path: str
    created_at: int


@dataclass(frozen=True, slots=True)
class RoleRow:
    """trust_policy: JSON. max_session_duration: seconds."""

    arn: str
    role_id: str
    account_id: str
    name: str
    path: str
    created_at: int
    trust_policy: str = ""
    max_session_duration: int = 3600
    description: str = ""
    boundary_arn: str | None = None
    tags: Tags = field(default_factory=dict, hash=False)


# --- users, groups, roles

_IDENTITY = (
    "arn, kind, account_id, name, folded, path, unique_id, created_at, boundary_arn, tags, trust_policy, "
    "max_session_duration, description"
)
Identity = UserRow | GroupRow | RoleRow
_KINDS: Mapping[type, str] = {UserRow: "user", GroupRow: "group", RoleRow: "role"}


def _identity(row: tuple[Any, ...]) -> Any:
    arn, kind, account_id, name, _, path, unique_id, created_at, boundary, tags, trust, duration, description = row
    first = (arn, unique_id, account_id, name, path, created_at)
    if kind == "group":
        return GroupRow(*first)
    if kind == "user":
        return UserRow(*first, boundary, json.loads(tags))
    return RoleRow(*first, trust, duration, description, boundary, json.loads(tags))


def put_identity(rows: Rows, identity: Identity, *, replaces: str | None = None) -> bool:
    """Create; or change, with `replaces` the ARN it had: a renamed user keeps keys, policies and memberships.

    Returns False, and changes nothing, if another of this kind and account has the name.
    """
    kind = _KINDS[type(identity)]
    folded = identity.name.lower()
    taken = rows.one(
        "SELECT arn FROM identities WHERE account_id = ? AND kind = ? AND folded = ?",
        (identity.account_id, kind, folded),
    )
    if taken is not None and taken[0] != replaces:
        return False
    if replaces is not None:
        rows.run("DELETE FROM identities WHERE arn = ?", (replaces,))
    rows.run(
        f"INSERT INTO identities ({_IDENTITY}) VALUES ({', '.join('?' * 13)})",
        (
            identity.arn,
            kind,
            identity.account_id,
            identity.name,
            folded,
            identity.path,
            _unique_id(identity),
            identity.created_at,
            getattr(identity, "boundary_arn", None),
            json.dumps(dict(getattr(identity, "tags", {}))),
            getattr(identity, "trust_policy", ""),
            getattr(identity, "max_session_duration", 0),
            getattr(identity, "description", ""),
        ),
    )
    if replaces is not None and replaces != identity.arn:
        _follow(rows, replaces, identity.arn)
    bump(rows)
    return True


def _unique_id(identity: Identity) -> str:
    if isinstance(identity, UserRow):
        return identity.user_id
    return identity.group_id if isinstance(identity, GroupRow) else identity.role_id


_HELD_BY = (
    ("group_members", "group_arn"),
    ("group_members", "user_arn"),
    ("inline_policies", "holder_arn"),
    ("policy_attachments", "holder_arn"),
    ("access_keys", "principal_arn"),
)


def _follow(rows: Rows, old_arn: str, new_arn: str) -> None:
    for table, column in _HELD_BY:
        rows.run(f"UPDATE {table} SET {column} = ? WHERE {column} = ?", (new_arn, old_arn))


def delete_identity(rows: Rows, arn: str) -> bool:
    removed = rows.run("DELETE FROM identities WHERE arn = ?", (arn,))
    for table, column in _HELD_BY:
        rows.run(f"DELETE FROM {table} WHERE {column} = ?", (arn,))
    bump(rows)
    return removed == 1


def _find(rows: Rows, kind: str, account_id: str, name: str) -> Any:
    row = rows.one(
        f"SELECT {_IDENTITY} FROM identities WHERE account_id = ? AND kind = ? AND folded = ?",
        (account_id, kind, name.lower()),
    )
    return None if row is None else _identity(row)


def _find_by_arn(rows: Rows, kind: str, arn: str) -> Any:
    row = rows.one(f"SELECT {_IDENTITY} FROM identities WHERE arn = ? AND kind = ?", (arn, kind))
    return None if row is None else _identity(row)


def find_user(rows: Rows, account_id: str, name: str) -> UserRow | None:
    found: UserRow | None = _find(rows, "user", account_id, name)
    return found


def find_user_by_arn(rows: Rows, arn: str) -> UserRow | None:
    found: UserRow | None = _find_by_arn(rows, "user", arn)
    return found


def find_group(rows: Rows, account_id: str, name: str) -> GroupRow | None:
    found: GroupRow | None = _find(rows, "group", account_id, name)
    return found


def find_role(rows: Rows, account_id: str, name: str) -> RoleRow | None:
    found: RoleRow | None = _find(rows, "role", account_id, name)
    return found


def find_role_by_arn(rows: Rows, arn: str) -> RoleRow | None:
    found: RoleRow | None = _find_by_arn(rows, "role", arn)
    return found


def _list(rows: Rows, kind: str, account_id: str, place: tuple[str, str, int]) -> list[Any]:
    path_prefix, after, limit = place
    found = rows.all(
        f"SELECT {_IDENTITY} FROM identities WHERE account_id = ? AND kind = ? AND substr(path, 1, ?) = ?"
        " AND folded > ? ORDER BY folded LIMIT ?",
        (account_id, kind, len(path_prefix), path_prefix, after.lower(), limit),
    )
    return [_identity(row) for row in found]


def list_users(rows: Rows, account_id: str, *, path_prefix: str = "/", after: str = "", limit: int) -> list[UserRow]:
    """By name, beyond the name `after`."""
    return _list(rows, "user", account_id, (path_prefix, after, limit))


def list_groups(rows: Rows, account_id: str, *, path_prefix: str = "/", after: str = "", limit: int) -> list[GroupRow]:
    return _list(rows, "group", account_id, (path_prefix, after, limit))


def list_roles(rows: Rows, account_id: str, *, path_prefix: str = "/", after: str = "", limit: int) -> list[RoleRow]:
    return _list(rows, "role", account_id, (path_prefix, after, limit))


def count_identities(rows: Rows, account_id: str) -> dict[str, int]:
    """kind -> how many."""
    found = rows.all("SELECT kind, count(*) FROM identities WHERE account_id = ? GROUP BY kind", (account_id,))
    return {str(kind): int(count) for kind, count in found}


# --- memberships


def add_member(rows: Rows, group_arn: str, user_arn: str) -> None:
    rows.run(
        "INSERT INTO group_members (group_arn, user_arn) VALUES (?, ?) ON CONFLICT DO NOTHING", (group_arn, user_arn)
    )
    bump(rows)


def remove_member(rows: Rows, group_arn: str, user_arn: str) -> bool:
    removed = rows.run("DELETE FROM group_members WHERE group_arn = ? AND user_arn = ?", (group_arn, user_arn))
    bump(rows)
    return removed == 1


def groups_of(rows: Rows, user_arn: str, *, after: str = "", limit: int = 1000) -> list[GroupRow]:
    return _joined(rows, "m.group_arn = i.arn AND m.user_arn = ?", user_arn, after, limit)


def members_of(rows: Rows, group_arn: str, *, after: str = "", limit: int = 1000) -> list[UserRow]:
    return _joined(rows, "m.user_arn = i.arn AND m.group_arn = ?", group_arn, after, limit)


def _joined(rows: Rows, condition: str, arn: str, after: str, limit: int) -> list[Any]:
    columns = ", ".join(f"i.{column.strip()}" for column in _IDENTITY.split(","))
    found = rows.all(
        f"SELECT {columns} FROM identities i JOIN group_members m ON {condition} WHERE folded > ?"
        " ORDER BY folded LIMIT ?",
        (arn, after.lower(), limit),
    )
    return [_identity(row) for row in found]


# --- what a principal's policies say


def identity_policies(rows: Rows, principal_arn: str) -> list[NamedDocument]:
    """Inline and attached, of a user or role, and of the user's groups. Names: the holder's ARN and the inline policy's
    name, or the managed policy's ARN."""
    holders = [principal_arn]
    holders += [arn for (arn,) in rows.all("SELECT group_arn FROM group_members WHERE user_arn = ?", (principal_arn,))]
    documents: dict[str, NamedDocument] = {}
    for holder in holders:
        for name, text in list_inline_policies(rows, holder):
            documents[f"{holder}/{name}"] = NamedDocument(f"{holder}/{name}", text)
        for policy_arn in attached_policies(rows, holder):
            document = managed_policy_document(rows, policy_arn)
            if document is not None:
                documents[policy_arn] = document
    return list(documents.values())


def boundary_of(rows: Rows, principal_arn: str) -> NamedDocument | None:
    """The permissions boundary of a user or role. One whose policy is gone allows nothing."""
    row = rows.one("SELECT boundary_arn FROM identities WHERE arn = ?", (principal_arn,))
    if row is None or row[0] is None:
        return None
    return managed_policy_document(rows, str(row[0])) or NamedDocument(str(row[0]), _NOTHING)


_NOTHING = json.dumps({"Version": "2012-10-17", "Statement": {"Effect": "Deny", "Action": "*", "Resource": "*"}})
