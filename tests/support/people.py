"""Users and roles of a store, made straight in its rows, for tests of what they may do rather than of how they are
made."""

from __future__ import annotations

import json
import secrets
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from s3al.iam.accounts import AccessKey, new_access_key
from s3al.service.credentials import ServerKey, seal_secret
from s3al.store import accounts, identities
from s3al.store.accounts import AccessKeyRow
from s3al.store.database import Rows
from s3al.store.identities import RoleRow, UserRow


@dataclass(frozen=True, slots=True)
class Person:
    arn: str
    user_id: str
    access_key: AccessKey = field(repr=False)

    @property
    def keys(self) -> dict[str, str]:
        """As boto3 takes them."""
        return {
            "aws_access_key_id": self.access_key.access_key_id,
            "aws_secret_access_key": self.access_key.secret,
        }


def document(*statements: Mapping[str, Any]) -> str:
    return json.dumps({"Version": "2012-10-17", "Statement": list(statements)})


def allow(action: Any, resource: Any = "*", **more: Any) -> dict[str, Any]:
    return {"Effect": "Allow", "Action": action, "Resource": resource, **more}


def deny(action: Any, resource: Any = "*", **more: Any) -> dict[str, Any]:
    return allow(action, resource, **more) | {"Effect": "Deny"}


def trust(principal: Any, action: Any = "sts:AssumeRole", **condition: Any) -> str:
    statement: dict[str, Any] = {"Effect": "Allow", "Principal": principal, "Action": action}
    return document(statement | ({"Condition": condition} if condition else {}))


def make_user(
    rows: Rows,
    server_key: ServerKey,
    account_id: str,
    name: str,
    *,
    path: str = "/",
    tags: Mapping[str, str] | None = None,
) -> Person:
    arn, user_id = f"arn:aws:iam::{account_id}:user{path}{name}", "AIDA" + secrets.token_hex(8).upper()
    assert identities.put_identity(rows, UserRow(arn, user_id, account_id, name, path, 1, tags=tags or {}))
    access_key = new_access_key(secrets.token_bytes)
    sealed = seal_secret(server_key, access_key.access_key_id, access_key.secret)
    assert accounts.create_access_key(rows, AccessKeyRow(access_key.access_key_id, account_id, arn, sealed))
    return Person(arn, user_id, access_key)


def make_role(rows: Rows, account_id: str, name: str, trust_policy: str, **more: Any) -> RoleRow:
    """more: further fields of the row."""
    path = more.get("path", "/")
    arn, role_id = f"arn:aws:iam::{account_id}:role{path}{name}", "AROA" + secrets.token_hex(8).upper()
    fields: dict[str, Any] = {"path": path, "created_at": 1, "trust_policy": trust_policy, **more}
    role = RoleRow(arn, role_id, account_id, name, **fields)
    assert identities.put_identity(rows, role)
    return role


def give(rows: Rows, holder_arn: str, *statements: Mapping[str, Any], name: str = "given") -> None:
    """An inline policy, replacing the one of this name."""
    identities.put_inline_policy(rows, holder_arn, name, document(*statements))


def take(rows: Rows, holder_arn: str, name: str = "given") -> None:
    identities.delete_inline_policy(rows, holder_arn, name)
