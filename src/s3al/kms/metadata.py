"""KeyMetadata: a key as DescribeKey, CreateKey and ReplicateKey show it.

What lives here: that document. What does not: what its words mean (states, key_specs).

Law: whatever depends on time is shown as of the moment of the request.

Source: KMS API reference, "KeyMetadata".
"""

from __future__ import annotations

from s3al.kms.key_specs import ALGORITHM_MEMBERS, SYMMETRIC, algorithms
from s3al.kms.keys import is_primary, when
from s3al.kms.states import awaits_replicas, is_enabled, shown_state
from s3al.service.operation import Params
from s3al.store import keystore
from s3al.store.database import Rows
from s3al.store.keystore import KeyRow


def metadata(rows: Rows, key: KeyRow, now_ms: int) -> Params:
    described: Params = {
        "AWSAccountId": key.account_id,
        "KeyId": key.key_id,
        "Arn": key.arn,
        "CreationDate": when(key.created_at),
        "Enabled": is_enabled(key, now_ms),
        "Description": key.description,
        "KeyUsage": key.key_usage,
        "KeyState": shown_state(key, now_ms),
        "Origin": key.origin,
        "KeyManager": key.manager,
        "CustomerMasterKeySpec": key.key_spec,
        "KeySpec": key.key_spec,
        ALGORITHM_MEMBERS[key.key_usage]: list(algorithms(key.key_spec, key.key_usage)),
        "MultiRegion": key.primary_region is not None,
    }
    if key.deletion_at is not None:
        described["DeletionDate"] = when(key.deletion_at)
    if awaits_replicas(key):
        described["PendingDeletionWindowInDays"] = key.deletion_window_days
    if key.current_material is not None and key.key_spec == SYMMETRIC:
        described["CurrentKeyMaterialId"] = bytes(key.current_material).hex()
    if key.primary_region is not None:
        described["MultiRegionConfiguration"] = _regions(rows, key)
    return described | _expiry(key, now_ms)


def _expiry(key: KeyRow, now_ms: int) -> Params:
    """Of imported material that is there."""
    if key.origin != "EXTERNAL" or (key.usable_until is not None and key.usable_until <= now_ms):
        return {}
    if key.usable_until is None:
        return {"ExpirationModel": "KEY_MATERIAL_DOES_NOT_EXPIRE"}
    return {"ExpirationModel": "KEY_MATERIAL_EXPIRES", "ValidTo": when(key.usable_until)}


def _regions(rows: Rows, key: KeyRow) -> Params:
    keys = keystore.regions_of(rows, key.key_id)
    primary = next(row for row in keys if is_primary(row))
    return {
        "MultiRegionKeyType": "PRIMARY" if is_primary(key) else "REPLICA",
        "PrimaryKey": {"Arn": primary.arn, "Region": primary.region},
        "ReplicaKeys": [{"Arn": row.arn, "Region": row.region} for row in keys if not is_primary(row)],
    }
