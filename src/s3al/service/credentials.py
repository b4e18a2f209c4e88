"""From an access key id, and a session token if there is one, to a secret and a principal.

What lives here: the look-up that every signed request begins with, cached for one value of the change
counter. What does not: checking signatures (auth.sigv4), what a token holds (session_tokens), making accounts, keys
and sessions (iam).

Laws: secrets lie sealed in rows, bound to their access key id; they are open only in this cache; a
deactivated or deleted key is gone with the next request, because that moves the counter. Temporary credentials end
with the role or user they stand for, and those of a user or root also with the key that asked for them; when they
expire follows from their token and the time of the request.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field, replace

from s3al.auth.principal import Principal
from s3al.errors import RequestError
from s3al.service.session_tokens import ServerKey, SessionFacts, open_token
from s3al.store import accounts, catalog, identities
from s3al.store.accounts import AccessKeyRow, AccountRow
from s3al.store.database import Rows
from s3al.store.identities import UserRow

__all__ = ["Credential", "Credentials", "ServerKey", "key_mark", "require_unchanged", "seal_secret", "session_arn"]

_LABEL = b"access key secret"
_CACHED = 4096


@dataclass(frozen=True, slots=True)
class Credential:
    """sealed: the row's secret, by which a replaced key is known. facts: of temporary credentials."""

    principal: Principal
    secret: str = field(repr=False)
    sealed: bytes = field(default=b"", repr=False)
    facts: SessionFacts | None = field(default=None, repr=False)


def require_unchanged(rows: Rows, credential: Credential) -> Principal:
    """Inside a transaction that commits what this credential signed, on any thread: who it is now. Raises
    InvalidAccessKeyId if the key was removed, deactivated or replaced since, or what it stands for is gone."""
    access_key_id = credential.principal.access_key_id or ""
    if credential.facts is not None:
        return _session_principal(rows, credential.facts, access_key_id)
    row = _active_key(rows, access_key_id)
    if row.secret != credential.sealed:
        raise _unknown(access_key_id)
    return _key_principal(rows, row)


def seal_secret(server_key: ServerKey, access_key_id: str, secret: str) -> bytes:
    return server_key.seal(_LABEL, secret.encode(), place=access_key_id.encode())


class Credentials:
    """The credentials that one worker met since the change counter last moved. Used by the thread that made
    it."""

    def __init__(self, server_key: ServerKey) -> None:
        self._server_key = server_key
        self._stamp = -1
        self._known: dict[tuple[str, str | None], Credential] = {}

    def find(self, rows: Rows, access_key_id: str, session_token: str | None = None, *, now_ms: int = 0) -> Credential:
        """Raises InvalidAccessKeyId for an unknown or inactive key, InvalidToken for a token that is not this key's,
        ExpiredToken. now_ms: UTC ms; of no consequence without a token."""
        stamp = catalog.change_counter(rows)
        if stamp != self._stamp or len(self._known) > _CACHED:
            self._known, self._stamp = {}, stamp
        name = (access_key_id, session_token)
        credential = self._known.get(name)
        if credential is None:
            credential = self._known[name] = self._load(rows, access_key_id, session_token)
        if credential.facts is not None and now_ms >= credential.facts.session.expires_at_ms:
            raise RequestError("ExpiredToken")
        return credential

    def _load(self, rows: Rows, access_key_id: str, session_token: str | None) -> Credential:
        if session_token is not None:
            secret, facts = open_token(self._server_key, access_key_id, session_token)
            return Credential(_session_principal(rows, facts, access_key_id), secret, facts=facts)
        row = _active_key(rows, access_key_id)
        principal = _key_principal(rows, row)
        secret = self._server_key.open(_LABEL, row.secret, place=access_key_id.encode()).decode()
        return Credential(principal, secret, row.secret)


def _unknown(access_key_id: str) -> RequestError:
    return RequestError("InvalidAccessKeyId", AWSAccessKeyId=access_key_id)


def _active_key(rows: Rows, access_key_id: str) -> AccessKeyRow:
    row = accounts.find_access_key(rows, access_key_id)
    if row is None or row.status != "Active":
        raise _unknown(access_key_id)
    return row


def _key_principal(rows: Rows, row: AccessKeyRow) -> Principal:
    """The root or the user that a long-term key belongs to."""
    account = accounts.find_account(rows, row.account_id)
    if account is None:
        raise _unknown(row.access_key_id)
    if row.principal_arn == f"arn:aws:iam::{row.account_id}:root":
        return root_principal(account, row.access_key_id)
    user = identities.find_user_by_arn(rows, row.principal_arn)
    if user is None:
        raise _unknown(row.access_key_id)
    return user_principal(account, user, row.access_key_id)


def root_principal(account: AccountRow, access_key_id: str | None = None) -> Principal:
    return Principal(
        kind="root",
        account_id=account.account_id,
        arn=f"arn:aws:iam::{account.account_id}:root",
        user_id=account.account_id,
        canonical_id=account.canonical_id,
        access_key_id=access_key_id,
    )


def user_principal(account: AccountRow, user: UserRow, access_key_id: str | None = None) -> Principal:
    return Principal(
        kind="user",
        account_id=account.account_id,
        arn=user.arn,
        user_id=user.user_id,
        canonical_id=account.canonical_id,
        access_key_id=access_key_id,
        tags=user.tags,
    )


def _session_principal(rows: Rows, facts: SessionFacts, access_key_id: str) -> Principal:
    if facts.access_key_id:
        return _token_principal(rows, facts, access_key_id)
    account = accounts.find_account(rows, facts.account_id)
    role = identities.find_role_by_arn(rows, facts.principal_arn)
    if account is None or role is None or role.role_id != facts.issuer_id:
        raise _unknown(access_key_id)
    return Principal(
        kind="assumed-role",
        account_id=facts.account_id,
        arn=session_arn(facts.principal_arn, facts.session_name),
        user_id=f"{role.role_id}:{facts.session_name}",
        canonical_id=account.canonical_id,
        access_key_id=access_key_id,
        tags={**role.tags, **facts.tags},
        session_name=facts.session_name,
        issuer_arn=facts.principal_arn,
        session=facts.session,
    )


def _token_principal(rows: Rows, facts: SessionFacts, access_key_id: str) -> Principal:
    """The user or root that asked for a session token, by the key it asked with."""
    row = accounts.find_access_key(rows, facts.access_key_id)
    if row is None or row.status != "Active" or key_mark(row) != facts.access_key_mark:
        raise _unknown(access_key_id)
    holder = _key_principal(rows, row)
    if facts.issuer_id and holder.user_id != facts.issuer_id:
        raise _unknown(access_key_id)
    return replace(holder, access_key_id=access_key_id, session=facts.session)


def key_mark(row: AccessKeyRow) -> str:
    """By which a key is told from a later one of the same id: a digest of its sealed secret and of its owner."""
    return hashlib.sha256(row.principal_arn.encode() + b" " + row.secret).hexdigest()[:32]


def session_arn(role_arn: str, session_name: str) -> str:
    """Of the session of a role: without the role's path."""
    account_id, name = role_arn.split(":")[4], role_arn.rpartition("/")[2]
    return f"arn:aws:sts::{account_id}:assumed-role/{name}/{session_name}"
