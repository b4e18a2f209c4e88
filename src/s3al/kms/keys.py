"""KMS keys as rows: a new one, the one that AWS would manage, and the end of those that are gone.

What lives here: what the operations, S3's data keys and the server's jobs need of keys alike. What does not: the
operations (operations.keys), material (materials), policy (policies), the server's own key (service_key).

Laws: a key is created with its material and policy in one transaction; a key's deletion date alone decides that
it is gone, removing its rows is tidying.

Source: KMS API reference.
"""

from __future__ import annotations

import uuid
from datetime import UTC, datetime

from s3al.errors import RequestError
from s3al.kms.policies import managed_s3_policy
from s3al.kms.ports import Destroying, Kms, unrecorded
from s3al.kms.states import KeyState, awaits_replicas
from s3al.service.auditing import UNRECORDED, KeyRecorder
from s3al.store import key_labels, keystore
from s3al.store.catalog import bump
from s3al.store.database import Rows
from s3al.store.key_labels import AliasRow
from s3al.store.keystore import AWS, KeyRow

SYMMETRIC = "SYMMETRIC_DEFAULT"
ENCRYPT_DECRYPT = "ENCRYPT_DECRYPT"
MANAGED_S3_ALIAS = "alias/aws/s3"
MANAGED_ROTATION_DAYS = 365
_DAY_MS = 24 * 60 * 60 * 1000


def when(moment_ms: int) -> datetime:
    """A stored time as operations show it."""
    return datetime.fromtimestamp(moment_ms / 1000, UTC)


def is_primary(key: KeyRow) -> bool:
    return key.primary_region == key.region


def require_primary(key: KeyRow) -> None:
    """Raises UnsupportedOperationException for keys of one region, and for replicas."""
    if not is_primary(key):
        raise RequestError("UnsupportedOperationException", f"{key.arn} is not a multi-Region primary key.")


def refuse_replica(key: KeyRow) -> None:
    """Raises UnsupportedOperationException for what the primary decides for all."""
    if key.primary_region is not None and not is_primary(key):
        raise RequestError("UnsupportedOperationException", f"{key.arn} is a multi-Region replica key.")


def has_replicas(rows: Rows, key: KeyRow) -> bool:
    return is_primary(key) and len(keystore.regions_of(rows, key.key_id)) > 1


def tidy(
    rows: Rows, now_ms: int, destroying: Destroying = unrecorded, recorder: KeyRecorder = UNRECORDED
) -> int:
    """Remove the rows of keys that are gone, and the bytes of materials that have expired. Nothing that is decided
    depends on when this runs, but that a primary is not deleted before its replicas' rows."""
    gone, expired = keystore.keys_to_purge(rows, now_ms), keystore.expired_materials(rows, now_ms)
    if gone or expired:
        destroying(gone, now_ms)
    removed = keystore.purge_keys(rows, now_ms)
    for key in removed:
        _begin_deletion_of_primary(rows, key)
        recorder.happened("DeleteKey", key.arn, now_ms, {})
    for material in expired:
        keystore.empty_material(rows, material)
        for key in keystore.regions_of(rows, material.key_id):
            details = {"keyMaterialId": bytes(material.material_id).hex()}
            recorder.happened("DeleteExpiredKeyMaterial", key.arn, now_ms, details)
    if removed:
        bump(rows)
    return len(removed)


def _begin_deletion_of_primary(rows: Rows, replica: KeyRow) -> None:
    """Once the last replica is gone, the window of a primary that waits for it begins."""
    left = keystore.regions_of(rows, replica.key_id)
    if len(left) == 1 and awaits_replicas(left[0]) and replica.deletion_at is not None:
        deletion_at = replica.deletion_at + (left[0].deletion_window_days or 0) * _DAY_MS
        keystore.set_state(rows, left[0], KeyState.PENDING_DELETION.value, deletion_at)


def find_managed_key(rows: Rows, account_id: str, region: str) -> KeyRow | None:
    """aws/s3 of an account and region, if it was used before."""
    alias = key_labels.find_alias(rows, account_id, region, MANAGED_S3_ALIAS)
    return keystore.find_key(rows, alias.key_id, alias.region) if alias else None


def ensure_managed_key(rows: Rows, kms: Kms, *, account_id: str, region: str, now_ms: int) -> KeyRow:
    """aws/s3 of an account and region, created on first use; part of a write transaction."""
    found = find_managed_key(rows, account_id, region)
    if found is not None:
        return found
    key = KeyRow(
        key_id=str(uuid.UUID(bytes=kms.random(16), version=4)),
        account_id=account_id,
        region=region,
        manager=AWS,
        state=KeyState.ENABLED.value,
        key_spec=SYMMETRIC,
        key_usage=ENCRYPT_DECRYPT,
        origin="AWS_KMS",
        description="Default key that protects my S3 objects when no other key is defined",
        policy=managed_s3_policy(account_id, region),
        created_at=now_ms,
        rotation_period_days=MANAGED_ROTATION_DAYS,
        rotation_from=now_ms,
    )
    keystore.insert_key(rows, key)
    kms.materials.add(rows, key.key_id, replaces=None, now_ms=now_ms)
    key_labels.insert_alias(rows, AliasRow(account_id, region, MANAGED_S3_ALIAS, key.key_id, now_ms, now_ms))
    bump(rows)
    return key
