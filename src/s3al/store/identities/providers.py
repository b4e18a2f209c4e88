"""Rows of identity providers, whose tokens may take a role.

What lives here: DDL and functions over `Rows`. What does not: tokens (iam.web_identity).
"""

# ruff: noqa: S608  (SQL text is put together from constants of this file; values are always parameters)
from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from s3al.store.database import Rows
from s3al.store.meta import bump

TABLES = """
CREATE TABLE oidc_providers (
    arn TEXT PRIMARY KEY,
    account_id TEXT NOT NULL,
    url TEXT NOT NULL,
    client_ids TEXT NOT NULL,
    thumbprints TEXT NOT NULL,
    created_at BIGINT NOT NULL,
    tags TEXT NOT NULL
);
"""

Tags = Mapping[str, str]


@dataclass(frozen=True, slots=True)
class OidcProviderRow:
    """url: with https://."""

    arn: str
    account_id: str
    url: str
    client_ids: tuple[str, ...]
    thumbprints: tuple[str, ...]
    created_at: int
    tags: Tags = field(default_factory=dict, hash=False)


_PROVIDER = "arn, account_id, url, client_ids, thumbprints, created_at, tags"


def _provider(row: tuple[Any, ...]) -> OidcProviderRow:
    arn, account_id, url, client_ids, thumbprints, created_at, tags = row
    clients, prints = tuple(json.loads(client_ids)), tuple(json.loads(thumbprints))
    return OidcProviderRow(arn, account_id, url, clients, prints, created_at, json.loads(tags))


def put_oidc_provider(rows: Rows, provider: OidcProviderRow) -> None:
    rows.run(
        f"INSERT INTO oidc_providers ({_PROVIDER}) VALUES (?, ?, ?, ?, ?, ?, ?) ON CONFLICT (arn) DO UPDATE SET"
        " client_ids = excluded.client_ids, thumbprints = excluded.thumbprints, tags = excluded.tags",
        (
            provider.arn,
            provider.account_id,
            provider.url,
            json.dumps(list(provider.client_ids)),
            json.dumps(list(provider.thumbprints)),
            provider.created_at,
            json.dumps(dict(provider.tags)),
        ),
    )
    bump(rows)


def find_oidc_provider(rows: Rows, arn: str) -> OidcProviderRow | None:
    row = rows.one(f"SELECT {_PROVIDER} FROM oidc_providers WHERE arn = ?", (arn,))
    return None if row is None else _provider(row)


def find_oidc_provider_by_url(rows: Rows, account_id: str, url: str) -> OidcProviderRow | None:
    """url: the issuer of a token, compared as a whole."""
    row = rows.one(f"SELECT {_PROVIDER} FROM oidc_providers WHERE account_id = ? AND url = ?", (account_id, url))
    return None if row is None else _provider(row)


def list_oidc_providers(rows: Rows, account_id: str) -> Sequence[OidcProviderRow]:
    found = rows.all(f"SELECT {_PROVIDER} FROM oidc_providers WHERE account_id = ? ORDER BY arn", (account_id,))
    return [_provider(row) for row in found]


def delete_oidc_provider(rows: Rows, arn: str) -> bool:
    removed = rows.run("DELETE FROM oidc_providers WHERE arn = ?", (arn,))
    bump(rows)
    return removed == 1
