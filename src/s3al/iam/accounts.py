"""Accounts: who owns buckets and keys, and the root access key of each.

What lives here: making, showing and changing accounts, over rows. What does not: the API and commands that
call it (admin, cli).

Laws: an account id is 12 digits and a canonical id 64 hex digits, random, never reused; the secret of a root
access key is shown once, where it is made; what an account gives its new buckets (SSE-C blocked, public
access blocked) is AWS's default until changed.

Sources: AWS Account Management Reference, "View AWS account identifiers"; S3 User Guide, "Blocking public
access" (defaults since April 2023) and "Blocking SSE-C" (default since April 2026).
"""

from __future__ import annotations

import base64
import json
import re
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from s3al.errors import ConfigError, RequestError
from s3al.service.credentials import ServerKey, seal_secret
from s3al.store import accounts
from s3al.store.accounts import AccessKeyRow, AccountRow
from s3al.store.database import Rows

Random = Callable[[int], bytes]

OPERATOR_NAME = "operator"
DEFAULT_SETTINGS: dict[str, bool] = {"block_sse_c": True, "block_public_access": True}
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,63}")


@dataclass(frozen=True, slots=True)
class AccessKey:
    """An access key at the moment it is made, the only one at which its secret is known to a person."""

    access_key_id: str
    secret: str = field(repr=False)


def root_arn(account_id: str) -> str:
    return f"arn:aws:iam::{account_id}:root"


def new_access_key(random: Random) -> AccessKey:
    """AKIA and 16 of base32; a secret of 40 characters of base64."""
    return AccessKey("AKIA" + base64.b32encode(random(10)).decode(), base64.b64encode(random(30)).decode())


def create_account(rows: Rows, name: str, *, now_ms: int, random: Random, operator: bool = False) -> AccountRow:
    """A new account without access keys. Raises RequestError EntityAlreadyExists or ValidationError."""
    if not _NAME.fullmatch(name):
        raise RequestError(
            "ValidationError", "An account name is 1 to 64 letters, digits or _ . - and begins with a letter or digit."
        )
    if accounts.find_account_by_name(rows, name):
        raise RequestError("EntityAlreadyExists", f"An account named {name} already exists.")
    row = AccountRow(
        account_id=str(10**11 + int.from_bytes(random(8), "big") % (9 * 10**11)),
        canonical_id=random(32).hex(),
        name=name,
        created_at=now_ms,
        is_operator=operator,
        settings=json.dumps(DEFAULT_SETTINGS),
    )
    if not accounts.create_account(rows, row):
        raise RequestError("EntityAlreadyExists", "The random account id is taken; try again.")
    return row


def replace_root_key(
    rows: Rows, server_key: ServerKey, account: AccountRow, access_key: AccessKey, *, now_ms: int
) -> None:
    """Make `access_key` the account's only root access key."""
    taken = accounts.find_access_key(rows, access_key.access_key_id)
    if taken is not None and (taken.account_id, taken.principal_arn) != (
        account.account_id,
        root_arn(account.account_id),
    ):
        raise ConfigError(f"the access key id {access_key.access_key_id} belongs to another account")
    accounts.delete_access_keys_of(rows, account.account_id, root_arn(account.account_id))
    accounts.create_access_key(
        rows,
        AccessKeyRow(
            access_key_id=access_key.access_key_id,
            account_id=account.account_id,
            principal_arn=root_arn(account.account_id),
            secret=seal_secret(server_key, access_key.access_key_id, access_key.secret),
            created_at=now_ms,
        ),
    )


def settings_of(account: AccountRow) -> dict[str, bool]:
    stored: dict[str, bool] = json.loads(account.settings)
    return DEFAULT_SETTINGS | stored


def change_settings(rows: Rows, account: AccountRow, changes: dict[str, Any]) -> dict[str, bool]:
    """Raises ValidationError for a setting that does not exist or is no boolean."""
    for setting, value in changes.items():
        if setting not in DEFAULT_SETTINGS or not isinstance(value, bool):
            raise RequestError("ValidationError", f"{setting} is not a setting of accounts, or not true or false.")
    settings = settings_of(account) | changes
    accounts.put_account_settings(rows, account.account_id, json.dumps(settings))
    return settings
