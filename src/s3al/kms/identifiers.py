"""How requests name keys: id, key ARN, alias, alias ARN.

What lives here: from the words of a request to a row. What does not: whether the caller may use it (access).

Laws: an id or alias is looked for in the caller's account and the region of the request, an ARN where it says,
and only in that region; a key of another account that does not exist is answered like one that refuses; a key
past its deletion date, and every key of the server's own, does not exist. Aliases are accepted only where the
operation says so.

Source: KMS API reference, "KeyId"; wording as recorded from AWS.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from s3al.errors import AccessError, RequestError
from s3al.kms.states import state_at
from s3al.service.operation import Call
from s3al.store import key_labels, keystore
from s3al.store.database import Rows
from s3al.store.key_labels import AliasRow
from s3al.store.keystore import KeyRow

_KEY_ID = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}|mrk-[0-9a-f]{32}")
_ALIAS = "alias/"


@dataclass(frozen=True, slots=True)
class Asker:
    """From where identifiers are read: account and region of the request, and its moment (UTC ms)."""

    account_id: str
    region: str
    now_ms: int
    principal_arn: str = ""

    @classmethod
    def of(cls, call: Call) -> Asker:
        principal = call.principal
        return cls(principal.account_id or "", call.region, call.now_ms, principal.arn)


@dataclass(frozen=True, slots=True)
class NamedKey:
    """A key and the alias, if any, by which the request named it."""

    row: KeyRow
    alias: str | None = None


@dataclass(frozen=True, slots=True)
class _Place:
    account_id: str
    region: str
    resource: str


def find_named_key(rows: Rows, identifier: str, asker: Asker, *, aliases: bool) -> NamedKey:
    """The key an identifier names. Raises NotFoundException, InvalidArnException, or AccessDeniedException for
    something of another account that is not there."""
    place = _place(identifier, asker)
    if not aliases and place.resource.startswith(_ALIAS):
        raise RequestError("NotFoundException", f"Invalid keyId '{identifier}'")
    if place.resource.startswith(_ALIAS):
        alias = key_labels.find_alias(rows, place.account_id, place.region, place.resource)
        row = existing_key(rows, alias.key_id, alias.region, asker.now_ms) if alias else None
        if alias is None or row is None:
            raise _absent(place, asker, f"Alias {_arn(place)} is not found.")
        return NamedKey(row, alias.alias_name)
    key_id = place.resource.removeprefix("key/") if identifier.startswith("arn:") else identifier
    if not _KEY_ID.fullmatch(key_id):
        raise RequestError("NotFoundException", f"Invalid keyId '{key_id}'")
    row = existing_key(rows, key_id, place.region, asker.now_ms)
    if row is None or row.account_id != place.account_id:
        arn = f"arn:aws:kms:{place.region}:{place.account_id}:key/{key_id}"
        raise _absent(place, asker, f"Key '{arn}' does not exist")
    return NamedKey(row)


def key_of(rows: Rows, call: Call, *, aliases: bool = False) -> KeyRow:
    """The key that the request's `KeyId` names."""
    return find_named_key(rows, call.params["KeyId"], Asker.of(call), aliases=aliases).row


def existing_key(rows: Rows, key_id: str, region: str, now_ms: int) -> KeyRow | None:
    """A key of users by its id and region, unless its deletion date has come."""
    row = keystore.find_key(rows, key_id, region)
    if row is None or state_at(row, now_ms) is None:
        return None
    return row


def existing_alias(rows: Rows, alias_name: str, asker: Asker) -> AliasRow:
    """An alias of the caller's by name. Raises NotFoundException."""
    alias = key_labels.find_alias(rows, asker.account_id, asker.region, alias_name)
    if alias is None or existing_key(rows, alias.key_id, alias.region, asker.now_ms) is None:
        raise RequestError("NotFoundException", f"Alias {alias_arn(alias_name, asker)} is not found.")
    return alias


def alias_arn(alias_name: str, asker: Asker) -> str:
    return f"arn:aws:kms:{asker.region}:{asker.account_id}:{alias_name}"


def _place(identifier: str, asker: Asker) -> _Place:
    if not identifier.startswith("arn:"):
        return _Place(asker.account_id, asker.region, identifier)
    parts = identifier.split(":", 5)
    resource = parts[5] if len(parts) == 6 else ""
    if (
        parts[1:3] != ["aws", "kms"]
        or not resource.startswith(("key/", _ALIAS))
        or not re.fullmatch(r"\d{12}", parts[4])
    ):
        raise RequestError("InvalidArnException", f"Invalid arn {identifier}")
    if parts[3] != asker.region:
        raise RequestError("NotFoundException", f"Invalid arn {parts[3]}")
    return _Place(parts[4], parts[3], resource)


def _arn(place: _Place) -> str:
    return f"arn:aws:kms:{place.region}:{place.account_id}:{place.resource}"


def _absent(place: _Place, asker: Asker, message: str) -> RequestError:
    if place.account_id == asker.account_id:
        return RequestError("NotFoundException", message)
    return foreign_refusal(asker.principal_arn)


def foreign_refusal(principal_arn: str) -> AccessError:
    """One answer for all that another account does not show: absent, in another region, or refusing."""
    return AccessError(
        "AccessDeniedException",
        f"User: {principal_arn or 'anonymous'} is not authorized to perform this operation on this resource because "
        "the resource does not exist in this Region, no resource-based policies allow access, or a resource-based "
        "policy explicitly denies access",
    )
