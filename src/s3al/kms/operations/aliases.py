"""Aliases: names for keys, unique in an account and region.

What lives here: the four alias operations. What does not: how an alias in a request becomes a key
(identifiers).

Laws: writing an alias needs a permission on the alias and one on each key it touches; names under alias/aws/
belong to keys that AWS would manage; an alias can change what a policy allows (kms:RequestAlias), so every
change bumps the counter.

Source: KMS Developer Guide, "Controlling access to aliases"; wording as recorded from AWS by moto.
"""

from __future__ import annotations

import re
from collections.abc import Iterable

from s3al.auth.authorized import Authorized
from s3al.errors import RequestError
from s3al.kms.access import key_check, on_account, read
from s3al.kms.identifiers import Asker, NamedKey, alias_arn, existing_alias, existing_key, find_named_key
from s3al.kms.keys import when
from s3al.kms.paging import page, page_of
from s3al.kms.ports import OPERATIONS, Kms
from s3al.kms.states import state_after
from s3al.service.operation import Call, Check, Params, Reply
from s3al.store import key_labels
from s3al.store.catalog import bump
from s3al.store.database import Rows
from s3al.store.key_labels import AliasRow
from s3al.store.keystore import KeyRow

MAX_ALIASES = 50  # of one key; AWS's quota
_PATTERN = re.compile(r"[a-zA-Z0-9:/_-]+")
_PREFIX = "alias/"
_RESERVED = "alias/aws/"


def _check_name(name: str) -> None:
    if not _PATTERN.fullmatch(name):
        raise RequestError(
            "ValidationException",
            f"1 validation error detected: Value '{name}' at 'aliasName' failed to satisfy constraint: "
            "Member must satisfy regular expression pattern: ^[a-zA-Z0-9:/_-]+$",
        )
    if not name.startswith(_PREFIX) or name == _PREFIX:
        raise RequestError(
            "ValidationException",
            'Alias must start with the prefix "alias/". Please see '
            "https://docs.aws.amazon.com/kms/latest/developerguide/kms-alias.html",
        )
    if ":" in name:
        raise RequestError("ValidationException", f"{name} contains invalid characters for an alias")
    if name.startswith(_RESERVED):
        raise RequestError("NotAuthorizedException")


def _target(rows: Rows, call: Call) -> NamedKey:
    """The key that `TargetKeyId` names: of the caller's own account, and not by an alias."""
    identifier = call.params["TargetKeyId"]
    if identifier.startswith(_PREFIX) or ":alias/" in identifier:
        raise RequestError("ValidationException", "Aliases must refer to keys. Not aliases")
    return find_named_key(rows, identifier, Asker.of(call), aliases=False)


def _on_alias_and_keys(call: Call, rows: Rows, kms: Kms) -> Iterable[Check]:
    """On the alias itself, on the key it names now (if it does), and on the key it is to name (if there is one)."""
    name, asker, action = call.params["AliasName"], Asker.of(call), f"kms:{call.operation}"
    _check_name(name)
    yield Check(action, alias_arn(name, asker))
    if call.operation != "CreateAlias":
        former = existing_key(rows, existing_alias(rows, name, asker).key_id, asker.region, call.now_ms)
        if former is not None:
            yield key_check(rows, call, action, NamedKey(former))
    if call.operation != "DeleteAlias":
        yield key_check(rows, call, action, _target(rows, call))


@OPERATIONS.operation("CreateAlias", _on_alias_and_keys)
async def create_alias(authorized: Authorized, call: Call, kms: Kms) -> Reply:
    asker, name = Asker.of(call), call.params["AliasName"]

    def write(rows: Rows) -> Reply:
        key = _target(rows, call).row
        state_after(call.operation, key, call.now_ms)
        _check_quota(rows, key)
        _forget_orphan(rows, name, asker)
        alias = AliasRow(asker.account_id, asker.region, name, key.key_id, call.now_ms, call.now_ms)
        if not key_labels.insert_alias(rows, alias):
            raise RequestError("AlreadyExistsException", f"An alias with the name {alias.arn} already exists")
        bump(rows)
        return Reply()

    return await call.commit(kms.db, authorized, write)


@OPERATIONS.operation("UpdateAlias", _on_alias_and_keys)
async def update_alias(authorized: Authorized, call: Call, kms: Kms) -> Reply:
    def write(rows: Rows) -> Reply:
        alias = existing_alias(rows, call.params["AliasName"], Asker.of(call))
        key = _target(rows, call).row
        state_after(call.operation, key, call.now_ms)
        if key.key_id != alias.key_id:
            _check_quota(rows, key)
        key_labels.point_alias(rows, alias, key.key_id, call.now_ms)
        bump(rows)
        return Reply()

    return await call.commit(kms.db, authorized, write)


@OPERATIONS.operation("DeleteAlias", _on_alias_and_keys)
async def delete_alias(authorized: Authorized, call: Call, kms: Kms) -> Reply:
    def write(rows: Rows) -> Reply:
        key_labels.delete_alias(rows, existing_alias(rows, call.params["AliasName"], Asker.of(call)))
        bump(rows)
        return Reply()

    return await call.commit(kms.db, authorized, write)


@OPERATIONS.operation("ListAliases", on_account("kms:ListAliases"))
async def list_aliases(authorized: Authorized, call: Call, kms: Kms) -> Reply:
    after, limit = page_of(call)
    asker = Asker.of(call)

    def reader(rows: Rows) -> Reply:
        identifier, key_id = call.params.get("KeyId"), None
        if identifier:
            key = find_named_key(rows, identifier, asker, aliases=False).row
            if key.account_id != asker.account_id:
                raise RequestError("NotFoundException", f"Key '{key.arn}' does not exist")
            key_id = key.key_id
        found = key_labels.list_aliases(
            rows, asker.account_id, asker.region, key_id=key_id, after=after, limit=limit + 1
        )
        last = found[limit - 1].alias_name if len(found) > limit else None
        shown = [
            _entry(alias) for alias in found[:limit] if existing_key(rows, alias.key_id, alias.region, call.now_ms)
        ]
        return Reply(page(call, "Aliases", shown, last=last))

    return await read(authorized, call, kms, reader)


def _entry(alias: AliasRow) -> Params:
    return {
        "AliasName": alias.alias_name,
        "AliasArn": alias.arn,
        "TargetKeyId": alias.key_id,
        "CreationDate": when(alias.created_at),
        "LastUpdatedDate": when(alias.updated_at),
    }


def _check_quota(rows: Rows, key: KeyRow) -> None:
    if len(key_labels.aliases_of(rows, key)) >= MAX_ALIASES:
        raise RequestError("LimitExceededException", f"A KMS key has at most {MAX_ALIASES} aliases.")


def _forget_orphan(rows: Rows, name: str, asker: Asker) -> None:
    """The alias of a key whose deletion date has come is gone with it, though its row may still be there."""
    alias = key_labels.find_alias(rows, asker.account_id, asker.region, name)
    if alias and existing_key(rows, alias.key_id, alias.region, asker.now_ms) is None:
        key_labels.delete_alias(rows, alias)
