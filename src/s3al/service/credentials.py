"""From an access key id to its secret and its principal.

What lives here: the look-up that every signed request begins with, cached for one value of the change
counter. What does not: checking signatures (auth.sigv4), making accounts and keys (iam).

Laws: secrets lie sealed in rows, bound to their access key id; they are open only in this cache; a
deactivated or deleted key is gone with the next request, because that moves the counter.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Protocol

from s3al.auth.principal import Principal
from s3al.errors import RequestError
from s3al.store import accounts, catalog
from s3al.store.database import Rows

_LABEL = b"access key secret"
_CACHED = 4096


class ServerKey(Protocol):
    """Seals the server's own records (the service key; kms.service_key)."""

    def seal(self, label: bytes, secret: bytes, *, place: bytes) -> bytes: ...

    def open(self, label: bytes, sealed: bytes, *, place: bytes) -> bytes: ...


@dataclass(frozen=True, slots=True)
class Credential:
    principal: Principal
    secret: str = field(repr=False)
    sealed: bytes = field(default=b"", repr=False)


def require_unchanged(rows: Rows, credential: Credential) -> None:
    """Inside a transaction that commits what this credential signed, on any thread: raises InvalidAccessKeyId if the
    key was removed, deactivated or replaced since."""
    access_key_id = credential.principal.access_key_id or ""
    row = accounts.find_access_key(rows, access_key_id)
    if row is None or row.status != "Active" or row.secret != credential.sealed:
        raise RequestError("InvalidAccessKeyId", AWSAccessKeyId=access_key_id)


def seal_secret(server_key: ServerKey, access_key_id: str, secret: str) -> bytes:
    return server_key.seal(_LABEL, secret.encode(), place=access_key_id.encode())


class Credentials:
    """The credentials that one worker met since the change counter last moved. Used by the thread that made
    it."""

    def __init__(self, server_key: ServerKey) -> None:
        self._server_key = server_key
        self._stamp = -1
        self._known: dict[str, Credential] = {}

    def find(self, rows: Rows, access_key_id: str) -> Credential:
        """Raises InvalidAccessKeyId for an unknown or inactive key."""
        stamp = catalog.change_counter(rows)
        if stamp != self._stamp or len(self._known) > _CACHED:
            self._known, self._stamp = {}, stamp
        credential = self._known.get(access_key_id)
        if credential is None:
            credential = self._known[access_key_id] = self._load(rows, access_key_id)
        return credential

    def _load(self, rows: Rows, access_key_id: str) -> Credential:
        row = accounts.find_access_key(rows, access_key_id)
        if row is None or row.status != "Active":
            raise RequestError("InvalidAccessKeyId", AWSAccessKeyId=access_key_id)
        account = accounts.find_account(rows, row.account_id)
        if account is None:
            raise RequestError("InvalidAccessKeyId", AWSAccessKeyId=access_key_id)
        secret = self._server_key.open(_LABEL, row.secret, place=access_key_id.encode()).decode()
        principal = Principal(
            kind="root",
            account_id=row.account_id,
            arn=row.principal_arn,
            user_id=row.account_id,
            canonical_id=account.canonical_id,
            access_key_id=access_key_id,
        )
        return Credential(principal, secret, row.secret)
