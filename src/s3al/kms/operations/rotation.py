"""Rotation of a key's material: on demand, its schedule, its history.

What lives here: the rotation operations. What does not: when a rotation is due and the job that does it
(kms.rotation), drawing and wrapping of material (materials).

Law: a rotation on demand does not move the schedule.

Source: KMS Developer Guide, "Rotate AWS KMS keys"; wording as recorded from AWS.
"""

from __future__ import annotations

from s3al.auth.authorized import Authorized
from s3al.errors import RequestError
from s3al.kms.access import on_key, read
from s3al.kms.identifiers import key_of
from s3al.kms.imports import pending_material, usable_until, waits
from s3al.kms.key_specs import SYMMETRIC
from s3al.kms.keys import refuse_replica, when
from s3al.kms.paging import page, page_of, sequence_of
from s3al.kms.ports import OPERATIONS, Kms
from s3al.kms.rotation import DEFAULT_PERIOD_DAYS, next_rotation
from s3al.kms.states import state_after
from s3al.service.operation import Call, Params, Reply
from s3al.store import keystore
from s3al.store.catalog import bump
from s3al.store.database import Rows
from s3al.store.keystore import KeyRow, MaterialRow

MAX_ON_DEMAND = 25  # of one key, for its whole life; AWS's quota


def _check_rotates(key: KeyRow, call: Call) -> None:
    """State, and whether this kind of key rotates so. Raises UnsupportedOperationException."""
    state_after(call.operation, key, call.now_ms)
    refuse_replica(key)
    if key.key_spec != SYMMETRIC:
        raise RequestError(
            "UnsupportedOperationException", f"{key.arn} key spec is {key.key_spec}, which does not rotate."
        )
    if key.origin == "EXTERNAL" and call.operation != "RotateKeyOnDemand":
        raise RequestError(
            "UnsupportedOperationException", f"{key.arn} origin is EXTERNAL which is not valid for this operation."
        )


@OPERATIONS.operation("RotateKeyOnDemand", on_key("kms:RotateKeyOnDemand"))
async def rotate_key_on_demand(authorized: Authorized, call: Call, kms: Kms) -> Reply:
    def write(rows: Rows) -> Reply:
        key = key_of(rows, call)
        _check_rotates(key, call)
        if key.on_demand_rotations >= MAX_ON_DEMAND:
            raise RequestError(
                "LimitExceededException",
                "The on-demand rotations limit has been reached for the given keyId. "
                f"No more on-demand rotations can be performed for this key: {key.key_id}",
            )
        if key.origin == "EXTERNAL":
            _rotate_to_imported(rows, key, call.now_ms)
        elif (
            kms.materials.add(
                rows, key.key_id, replaces=key.current_material, now_ms=call.now_ms, rotation_type="ON_DEMAND"
            )
            is None
        ):
            raise RequestError("ConflictException")
        keystore.count_on_demand_rotation(rows, key.key_id)
        bump(rows)
        return Reply({"KeyId": key.arn})

    return await call.commit(kms.db, authorized, write)


def _rotate_to_imported(rows: Rows, key: KeyRow, now_ms: int) -> None:
    """To the material that was imported for it. Raises KMSInvalidStateException if none waits."""
    pending = pending_material(rows, key)
    if pending is None or (pending.valid_to is not None and pending.valid_to <= now_ms) or not pending.wrapped:
        raise RequestError(
            "KMSInvalidStateException", f"No available key material pending rotation for the key: {key.arn}."
        )
    keystore.promote_material(rows, pending, now_ms=now_ms)
    rotated = keystore.find_key(rows, key.key_id, key.region)
    assert rotated is not None
    keystore.set_usable_until(rows, key.key_id, usable_until(rows, rotated))


@OPERATIONS.operation("EnableKeyRotation", on_key("kms:EnableKeyRotation"))
async def enable_key_rotation(authorized: Authorized, call: Call, kms: Kms) -> Reply:
    def write(rows: Rows) -> Reply:
        key = key_of(rows, call)
        _check_rotates(key, call)
        period = call.params.get("RotationPeriodInDays")
        if period is None:
            period = key.rotation_period_days or DEFAULT_PERIOD_DAYS
        if (period, True) != (key.rotation_period_days, key.rotation_from is not None):
            keystore.set_rotation(rows, key.key_id, period, call.now_ms)
        return Reply()

    return await call.commit(kms.db, authorized, write)


@OPERATIONS.operation("DisableKeyRotation", on_key("kms:DisableKeyRotation"))
async def disable_key_rotation(authorized: Authorized, call: Call, kms: Kms) -> Reply:
    def write(rows: Rows) -> Reply:
        key = key_of(rows, call)
        _check_rotates(key, call)
        keystore.set_rotation(rows, key.key_id, None, None)
        return Reply()

    return await call.commit(kms.db, authorized, write)


@OPERATIONS.operation("GetKeyRotationStatus", on_key("kms:GetKeyRotationStatus"))
async def get_key_rotation_status(authorized: Authorized, call: Call, kms: Kms) -> Reply:
    def reader(rows: Rows) -> Reply:
        key = key_of(rows, call)
        state_after(call.operation, key, call.now_ms)
        due = None if key.deletion_at is not None else next_rotation(key)
        output: Params = {"KeyRotationEnabled": due is not None, "KeyId": key.arn}
        if due is not None:
            output |= {"RotationPeriodInDays": key.rotation_period_days, "NextRotationDate": when(due)}
        return Reply(output)

    return await read(authorized, call, kms, reader)


@OPERATIONS.operation("ListKeyRotations", on_key("kms:ListKeyRotations"))
async def list_key_rotations(authorized: Authorized, call: Call, kms: Kms) -> Reply:
    after, limit = page_of(call)
    everything = call.params.get("IncludeKeyMaterial") == "ALL_KEY_MATERIAL"

    def reader(rows: Rows) -> Reply:
        key = key_of(rows, call)
        state_after(call.operation, key, call.now_ms)
        # The first material came by no rotation, and one that waits has not come yet.
        beyond = max(sequence_of(after), 0 if everything else 1)
        found = keystore.list_materials(rows, key.key_id, after=beyond, limit=limit + 1)
        found = [row for row in found if everything or row.rotation_type is not None]
        last = str(found[limit - 1].sequence) if len(found) > limit else None
        return Reply(
            page(call, "Rotations", [_entry(rows, key, material, call.now_ms) for material in found[:limit]], last=last)
        )

    return await read(authorized, call, kms, reader)


def _entry(rows: Rows, key: KeyRow, material: MaterialRow, now_ms: int) -> Params:
    current = material.material_id == key.current_material
    entry: Params = {
        "KeyId": key.arn,
        "KeyMaterialId": bytes(material.material_id).hex(),
        "KeyMaterialState": "CURRENT" if current else "NON_CURRENT",
    }
    if material.rotation_type is not None:
        entry |= {"RotationDate": when(material.created_at), "RotationType": material.rotation_type}
    return entry | (_imported(rows, key, material, now_ms) if key.origin == "EXTERNAL" else {})


def _imported(rows: Rows, key: KeyRow, material: MaterialRow, now_ms: int) -> Params:
    """What is told of imported material alone."""
    here = bool(material.wrapped) and (material.valid_to is None or material.valid_to > now_ms)
    entry: Params = {"ImportState": "IMPORTED" if here else "PENDING_IMPORT"}
    if waits(rows, key, material):
        entry["KeyMaterialState"] = "PENDING_ROTATION"
    if material.description:
        entry["KeyMaterialDescription"] = material.description
    if here:
        entry["ExpirationModel"] = (
            "KEY_MATERIAL_DOES_NOT_EXPIRE" if material.valid_to is None else "KEY_MATERIAL_EXPIRES"
        )
    if here and material.valid_to is not None:
        entry["ValidTo"] = when(material.valid_to)
    return entry
