"""A KMS key as a document: its materials over time, its rotation, what hangs from it, who has which say over it.

What lives here: those facts. What does not: who may do what (readers), counting objects (counting), the picture of the
timeline (pictures).

Laws: a key of another account is not there, neither is one that the caller may not describe; each part has the
permission that AWS asks for it, and is left out without it; the state is that of the moment of the request.

Source: KMS Developer Guide, "Rotate AWS KMS keys"; spec/key-hierarchy.md, Materials.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from s3al.errors import RequestError
from s3al.explain import counting, hierarchy, readers
from s3al.explain.cautions import caution
from s3al.explain.visible import Visible
from s3al.explain.words import day
from s3al.kms.identifiers import Asker, find_named_key
from s3al.kms.imports import waits
from s3al.kms.operations.rotation import MAX_ON_DEMAND
from s3al.kms.rotation import next_rotation
from s3al.kms.states import shown_state
from s3al.service.operation import Call, Params
from s3al.store import key_labels, keystore
from s3al.store.database import Rows
from s3al.store.keystore import KeyRow, MaterialRow

_ABSENT = "There is no such KMS key, or you may not describe it."


def named_key(rows: Rows, call: Call, identifier: str) -> KeyRow | None:
    """The key of the caller's account that an id, ARN or alias names; None if there is none."""
    try:
        key = find_named_key(rows, identifier, Asker.of(call), aliases=True).row
    except RequestError:
        return None
    return key if key.account_id == call.principal.account_id else None


def explain_key(visible: Visible, identifier: str, marker: Any) -> Params:
    """marker: `next` of the page before; such a further page counts on, and does not ask about people again. Raises
    NoSuchEntity for what is not there or may not be described."""
    rows, call = visible.rows, visible.call
    key = named_key(rows, call, identifier)
    if key is None or not visible.may_kms("DescribeKey", key.arn):
        raise RequestError("NoSuchEntity", _ABSENT)
    counted = counting.count(visible, key.arn, marker)
    document: Params = {
        "explains": "kms-key",
        "key_id": key.key_id,
        "arn": key.arn,
        "aliases": key_labels.aliases_of(rows, key),
        "description": key.description,
        "manager": key.manager,
        "state": shown_state(key, call.now_ms),
        "origin": key.origin,
        "key_spec": key.key_spec,
        "key_usage": key.key_usage,
        "made_at_ms": key.created_at,
        "deletion_at_ms": key.deletion_at,
        "materials": _materials(visible, key, counted),
        "rotation": _rotation(visible, key),
        "last_use": _last_use(visible, key),
        "objects": {
            "looked_at": counted.looked_at,
            "under_this_key": sum(counted.materials.values()),
            "by_mode": dict(counted.modes),
            "by_bucket": dict(counted.buckets),
            "damaged": counted.damaged,
        },
        "people": readers.people_of_key(visible, key) if marker is None else None,
    }
    if counted.following is not None:
        document["next"] = counted.following
    document["cautions"] = _cautions(visible, key, document["people"])
    return document | {"withheld": visible.withheld, "asked_at_ms": call.now_ms}


def _materials(visible: Visible, key: KeyRow, counted: counting.Counted) -> list[Params] | None:
    if not visible.may_kms("ListKeyRotations", key.arn):
        visible.withhold("materials", ["kms:ListKeyRotations"])
        return None
    found = keystore.list_materials(visible.rows, key.key_id)
    return [
        {
            "material_id": bytes(material.material_id).hex(),
            "sequence": material.sequence,
            "made_at_ms": material.created_at,
            "made_by": hierarchy.made_by(material, key.origin),
            "state": _material_state(visible, key, material),
            "valid_to_ms": material.valid_to,
            "root_version": material.root_version,
            "objects": counted.materials[bytes(material.material_id).hex()],
        }
        for material in found
    ]


def _material_state(visible: Visible, key: KeyRow, material: MaterialRow) -> str:
    """`encrypts`, `decrypts` (what it encrypted before), `waits` (imported, until a rotation to it) or `gone`."""
    if waits(visible.rows, key, material):
        return "waits"
    if not material.wrapped or (material.valid_to is not None and material.valid_to <= visible.call.now_ms):
        return "gone"
    return "encrypts" if bytes(key.current_material or b"") == bytes(material.material_id) else "decrypts"


def _rotation(visible: Visible, key: KeyRow) -> Params | None:
    if not visible.may_kms("GetKeyRotationStatus", key.arn):
        visible.withhold("rotation", ["kms:GetKeyRotationStatus"])
        return None
    return {
        "by_the_clock": key.rotation_period_days is not None,
        "period_days": key.rotation_period_days,
        "next_at_ms": next_rotation(key),
        "on_demand_done": key.on_demand_rotations,
        "on_demand_left": max(0, MAX_ON_DEMAND - key.on_demand_rotations),
    }


def _last_use(visible: Visible, key: KeyRow) -> Params | None:
    if not visible.may_kms("GetKeyLastUsage", key.arn):
        visible.withhold("last-use", ["kms:GetKeyLastUsage"])
        return None
    use = visible.ports.kms.usage.last(visible.rows, key)
    return None if use is None else {"operation": use.operation, "at_ms": use.used_at, "request_id": use.request_id}


_OF_STATE: Final[Mapping[str, str]] = {
    "Disabled": "key-disabled",
    "PendingImport": "key-pending-import",
    "PendingDeletion": "key-pending-deletion",
    "PendingReplicaDeletion": "key-pending-deletion",
}


def state_cautions(key: KeyRow, now_ms: int) -> list[Params]:
    """What the key's state means for all that is under it."""
    named = _OF_STATE.get(shown_state(key, now_ms))
    if named is not None:
        when = day(key.deletion_at) if key.deletion_at is not None else "a date that its last replica's end decides"
        return [caution(named, when=when)]
    return [caution("material-expires", when=day(key.usable_until))] if key.usable_until is not None else []


def rotates_never(key: KeyRow) -> bool:
    """Of a key whose material could rotate by the clock."""
    return key.origin == "AWS_KMS" and key.key_spec == "SYMMETRIC_DEFAULT" and key.rotation_period_days is None


def _cautions(visible: Visible, key: KeyRow, people: Params | None) -> list[Params]:
    found = state_cautions(key, visible.call.now_ms)
    if rotates_never(key):
        found.append(caution("no-rotation"))
    both = [who for who in (people or {}).get("both", ()) if not who.endswith(":root")]
    found += [caution("one-person", who=who) for who in both]
    return found
