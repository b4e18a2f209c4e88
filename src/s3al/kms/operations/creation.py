"""CreateKey.

What lives here: what a new key may be, and storing it. What does not: copies of a multi-Region key in other regions
(multi_region), the material of keys with imported material (imports).

Laws: a key is created with its material and policy in one transaction; private keys are made before it, off the
event loop, because an RSA key takes up to a second.

Source: KMS API reference, "CreateKey".
"""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import Iterable
from dataclasses import dataclass

from s3al.auth.authorized import Authorized
from s3al.errors import RequestError
from s3al.kms.access import on_account
from s3al.kms.key_specs import SYMMETRIC, chosen_usage
from s3al.kms.metadata import metadata
from s3al.kms.operations.tagging import check_tags
from s3al.kms.policies import check_policy, default_policy
from s3al.kms.ports import OPERATIONS, Kms
from s3al.kms.private_keys import generate
from s3al.kms.states import KeyState
from s3al.service.operation import Call, Check, Params, Reply
from s3al.store import key_labels, keystore
from s3al.store.catalog import bump
from s3al.store.database import Rows
from s3al.store.keystore import CUSTOMER, KeyRow

MAX_KEYS = 100_000  # customer managed keys of an account and region; AWS's quota


@dataclass(frozen=True, slots=True)
class _Kind:
    """What CreateKey asks for."""

    spec: str
    usage: str
    imported: bool
    multi_region: bool

    @classmethod
    def of(cls, params: Params) -> _Kind:
        """Raises ValidationException or UnsupportedOperationException: nothing that is asked for is ignored."""
        if params.get("KeySpec") and params.get("CustomerMasterKeySpec"):
            raise RequestError(
                "ValidationException", "You cannot specify KeySpec and CustomerMasterKeySpec in the same request."
            )
        spec = params.get("KeySpec") or params.get("CustomerMasterKeySpec") or SYMMETRIC
        usage = chosen_usage(spec, params.get("KeyUsage"))
        origin = params.get("Origin") or "AWS_KMS"
        if origin not in ("AWS_KMS", "EXTERNAL") or params.get("CustomKeyStoreId") or params.get("XksKeyId"):
            raise RequestError("UnsupportedOperationException", f"Keys of origin {origin} are not supported.")
        kind = cls(spec, usage, origin == "EXTERNAL", bool(params.get("MultiRegion")))
        if kind.imported and kind.multi_region:
            raise RequestError(
                "UnsupportedOperationException", "Multi-Region keys with imported material are not supported."
            )
        return kind


def create_checks(call: Call, rows: Rows, kms: Kms) -> Iterable[Check]:
    """kms:CreateKey, and kms:TagResource too when the request brings tags."""
    yield from on_account("kms:CreateKey")(call, rows, kms)
    if call.params.get("Tags"):
        yield from on_account("kms:TagResource")(call, rows, kms)


@OPERATIONS.operation("CreateKey", create_checks)
async def create_key(authorized: Authorized, call: Call, kms: Kms) -> Reply:
    kind = _Kind.of(call.params)
    tags = check_tags(call.params.get("Tags") or ())
    material = None
    if not kind.imported and kind.spec != SYMMETRIC:
        material = await asyncio.to_thread(generate, kind.spec, kms.random)

    def write(rows: Rows) -> Reply:
        key = _new_key(call, kind, kms.random(16))
        insert_key(rows, call, key, tags)
        if kind.imported:
            kms.materials.add_import_secret(rows, key.key_id, now_ms=call.now_ms)
        else:
            kms.materials.add(rows, key.key_id, replaces=None, now_ms=call.now_ms, material=material)
        stored = keystore.find_key(rows, key.key_id, key.region)
        assert stored is not None
        return Reply({"KeyMetadata": metadata(rows, stored, call.now_ms)})

    return await call.commit(kms.db, authorized, write)


def insert_key(rows: Rows, call: Call, key: KeyRow, tags: dict[str, str]) -> None:
    """Store a new key with its tags, if its policy and the account's quota let it."""
    if keystore.count_keys(rows, key.account_id, key.region) >= MAX_KEYS:
        raise RequestError("LimitExceededException", f"The account has {MAX_KEYS} KMS keys in this Region.")
    check_policy(rows, call, key, key.policy)
    keystore.insert_key(rows, key)
    for name, value in tags.items():
        key_labels.put_tag(rows, key, name, value)
    bump(rows)


def _new_key(call: Call, kind: _Kind, random: bytes) -> KeyRow:
    """A customer managed key, not stored yet and without material. random: 16 bytes for its id."""
    account_id = call.principal.account_id or ""
    return KeyRow(
        key_id=f"mrk-{random.hex()}" if kind.multi_region else str(uuid.UUID(bytes=random, version=4)),
        account_id=account_id,
        region=call.region,
        manager=CUSTOMER,
        state=KeyState.ENABLED.value,
        key_spec=kind.spec,
        key_usage=kind.usage,
        origin="EXTERNAL" if kind.imported else "AWS_KMS",
        description=call.params.get("Description") or "",
        policy=call.params.get("Policy") or default_policy(account_id),
        created_at=call.now_ms,
        primary_region=call.region if kind.multi_region else None,
        usable_until=0 if kind.imported else None,
    )
