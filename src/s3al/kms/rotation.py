"""Rotation of a key's material by itself, after a period.

What lives here: when the next rotation is due, and the job that does those that are. What does not: the
operations (operations.rotation), drawing and wrapping of material (materials), rotation of the root
(root_rotation).

Laws: rotation adds material and changes nothing that exists; it is one conditional update, so that two
schedulers cannot rotate twice; when it is due is a function of (row, now); a key that is disabled or pending
deletion is not rotated, and what became due meanwhile is done once when it is enabled again.

Source: KMS Developer Guide, "Rotate AWS KMS keys".
"""

from __future__ import annotations

from itertools import islice

from s3al.kms.ports import Kms
from s3al.kms.states import may_rotate
from s3al.store import keystore
from s3al.store.catalog import bump
from s3al.store.database import Rows
from s3al.store.keystore import KeyRow

DEFAULT_PERIOD_DAYS = 365
_DAY_MS = 24 * 60 * 60 * 1000


def next_rotation(key: KeyRow) -> int | None:
    """When the key is to be rotated by itself (UTC ms, perhaps past); None if it never is."""
    if key.rotation_period_days is None or key.rotation_from is None:
        return None
    return key.rotation_from + key.rotation_period_days * _DAY_MS


def rotate_if_due(rows: Rows, kms: Kms, key: KeyRow, now_ms: int) -> bool:
    """Rotate a key whose time has come; part of a write transaction. False if it is not due or was just rotated."""
    due = next_rotation(key)
    if due is None or due > now_ms or not may_rotate(key, now_ms):
        return False
    added = kms.materials.add(rows, key.key_id, replaces=key.current_material, now_ms=now_ms, rotation_type="AUTOMATIC")
    if added is None:
        return False
    period_ms = (key.rotation_period_days or DEFAULT_PERIOD_DAYS) * _DAY_MS
    missed = (now_ms - due) // period_ms  # several periods may have gone by; they are made up by one rotation
    keystore.set_rotation(rows, key.key_id, key.rotation_period_days, due + missed * period_ms)
    bump(rows)
    kms.recorder.happened("RotateKey", key.arn, now_ms, {"rotationType": "AUTOMATIC"})
    return True


def rotate_all_due(rows: Rows, kms: Kms, now_ms: int) -> int:
    """The scheduler's job: rotate the keys that are due, some at a time. Returns how many were rotated."""
    rotated = (key for key in keystore.keys_with_rotation(rows) if rotate_if_due(rows, kms, key, now_ms))
    return sum(1 for _ in islice(rotated, keystore.AT_ONCE))
